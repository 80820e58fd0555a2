"""`python -m recmm data encode`: features of the items from their texts, images or sounds."""

import shutil
from collections.abc import Iterator, Sequence
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recmm.errors import ConfigError
from recmm.ingest.cli.help import resumable
from recmm.ingest.cli.progress import bar
from recmm.ingest.encode import CATALOGUE, Choice, find

if TYPE_CHECKING:
    import numpy as np

RECIPE = 1  # of the preprocessing in recmm.ingest.encode; raised by hand when a change alters features


class Modality(StrEnum):
    TEXTUAL = "textual"
    VISUAL = "visual"
    ACOUSTIC = "acoustic"


class Device(StrEnum):
    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


def encode(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="A folder in the canonical layout.", show_default=False)
    ],
    modality: Annotated[Modality, typer.Option(help="What is encoded; also the name of the features.")],
    encoder: Annotated[str, typer.Option(help="See the list below.", show_default=False)],
    out: Annotated[Path, typer.Option(help="The new folder: all of FOLDER and the features.", show_default=False)],
    table: Annotated[
        Path | None,
        typer.Option(help="CSV, TSV or Parquet with the raw content; FOLDER's raw.parquet if not given."),
    ] = None,
    id_column: Annotated[
        str | None, typer.Option(help="The table's column with the items' raw labels; found by its name if not given.")
    ] = None,
    column: Annotated[
        str | None,
        typer.Option(help="The table's column with texts or paths; text, image or audio if not given."),
    ] = None,
    files: Annotated[
        Path | None,
        typer.Option(help="What paths are relative to (the table's folder). No table: files named by item label."),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Items at a time; changes memory and speed alone.")] = 32,
    device: Annotated[Device, typer.Option(help="auto takes CUDA where there is one.")] = Device.AUTO,
) -> None:
    """Make features of texts, images or sounds: a new folder that holds all of FOLDER and one modality more.

    Items without content and files that cannot be read become missing entries, each with its reason in
    encode_MODALITY.csv. Features that FOLDER has under the same name are replaced in the new folder. A command that was
    killed goes on where it was when it is started again. Encoders that download fetch their weights at the first use.

    [bold]Examples[/bold]

      python -m recmm data encode mine --out mine_text \\
          --modality textual --encoder minilm-offline

      python -m recmm data encode mine_text --out mine_both --files photos \\
          --modality visual --encoder vgg16

      python -m recmm data encode mine --out mine_bert \\
          --table items.csv --column title \\
          --modality textual --encoder bert-base-uncased

    [bold]Encoders[/bold]
    """
    from recmm.data.formats import read_canonical
    from recmm.ingest.encode.content import raw_content
    from recmm.ingest.encode.output import summarise, write
    from recmm.ingest.encode.resumable import Work, encode_items, work_digest

    choice = find(encoder, modality)
    if out.is_symlink() or (out.exists() and not (out.is_dir() and not any(out.iterdir()))):
        raise ConfigError(f"--out {out} exists already: choose another folder, or move it aside.")
    place = _device(device)
    dataset = read_canonical(folder)
    content = raw_content(
        dataset.item_ids, folder, modality, table=table, id_column=id_column, column=column, files=files
    )
    settings = _settings(choice, encoder)
    digest = work_digest(settings, dataset.item_ids, content.entries, files=modality is not Modality.TEXTUAL)
    typer.echo(f"{encoder} on {place}, from {content.source} ...", err=True)
    model = choice.load(encoder, place)
    work = Work(out.with_name(f".{out.name}.{modality}.{digest[:16]}.encoding"), dataset.n_items)
    with work.held, resumable():
        found = encode_items(content.entries, model, work, batch_size=batch_size, watch=_watch)
        about = {"modality": str(modality), "dim": model.dim, "source": content.source, "device": place, **settings}
        write(dataset, folder, out, modality, found, about)
    shutil.rmtree(work.folder, ignore_errors=True)
    summarise(out, modality, found, model.dim, content.unknown)


# The table is written once, and --help shows it.
encode.__doc__ = "\n\n    ".join(
    [str(encode.__doc__).rstrip(), *(f"{choice.modality}  {choice.line}".replace("[", r"\[") for choice in CATALOGUE)]
)


def _device(device: Device) -> str:
    import torch

    there = torch.cuda.is_available()
    if device is Device.CUDA and not there:
        raise ConfigError("--device cuda: torch finds no CUDA device here. Take --device cpu or auto.")
    return "cuda" if there and device is not Device.CPU else "cpu"


def _settings(choice: Choice, encoder: str) -> dict[str, str]:
    """What decides the features beside the content, for the digest and the record."""
    return {"encoder": encoder, "recipe": str(RECIPE)} | {name: _version(name) for name in choice.packages}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # the encoder says so when it is loaded
        return "not installed"


def _watch(batches: Sequence["np.ndarray"], n_items: int, before: int) -> Iterator["np.ndarray"]:
    """The batches under a bar."""
    if before and batches:
        typer.echo(f"{before:,} of {n_items:,} items need no encoding or were done before.", err=True)
    yield from bar(batches, "Encoding", total=len(batches))
