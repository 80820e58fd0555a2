"""`python -m recmm data encode`: encodes the items' texts, images or sounds into features."""

import shutil
from collections.abc import Iterator, Sequence
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recmm.errors import ConfigError
from recmm.ingest.cli.help import say_how_to_resume
from recmm.ingest.cli.progress import bar
from recmm.ingest.encode.registry import ENCODERS, EncoderEntry, find

if TYPE_CHECKING:
    import numpy as np

RECIPE = 1  # version of the preprocessing in recmm.ingest.encode; increase it when a change alters features


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
    modality: Annotated[Modality, typer.Option(help="The kind of content; also the name of the new features.")],
    encoder: Annotated[str, typer.Option(help="An encoder of the list below.", show_default=False)],
    out: Annotated[
        Path, typer.Option(help="The new folder: the content of FOLDER and the new features.", show_default=False)
    ],
    table: Annotated[
        Path | None,
        typer.Option(help="CSV, TSV or Parquet file with the raw content. Default: raw.parquet of FOLDER."),
    ] = None,
    id_column: Annotated[
        str | None, typer.Option(help="The table's column of raw item labels. Default: found by its usual names.")
    ] = None,
    column: Annotated[
        str | None,
        typer.Option(help="The table's column of texts or paths. Default: text, image or audio."),
    ] = None,
    files: Annotated[
        Path | None,
        typer.Option(
            help="The folder that paths are relative to. Default: the table's. Without a table: a folder with one file "
            "per item, named by its label."
        ),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Items per batch; affects only memory and speed.")] = 32,
    device: Annotated[Device, typer.Option(help="auto: CUDA if available.")] = Device.AUTO,
) -> None:
    """Encode texts, images or sounds into features, in a new folder with the content of FOLDER and this modality.

    Items without content, or with a file that cannot be read, become missing entries; encode_MODALITY.csv lists the
    reasons. If FOLDER has features of this modality, the new folder holds the new ones instead. An interrupted command
    continues when it is run again. Encoders marked "downloads" download their weights at the first use.

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

    entry = find(encoder, modality)
    if out.is_symlink() or (out.exists() and not (out.is_dir() and not any(out.iterdir()))):
        raise ConfigError(f"--out {out} exists already: choose another folder, or move it away.")
    place = _device(device)
    dataset = read_canonical(folder)
    content = raw_content(
        dataset.item_ids, folder, modality, table=table, id_column=id_column, column=column, files=files
    )
    settings = _settings(entry, encoder)
    digest = work_digest(settings, dataset.item_ids, content.entries, files=modality is not Modality.TEXTUAL)
    typer.echo(f"{encoder} on {place}, from {content.source} ...", err=True)
    model = entry.load(encoder, place)
    work = Work(out.with_name(f".{out.name}.{modality}.{digest[:16]}.encoding"), dataset.n_items)
    with work.held, say_how_to_resume():
        found = encode_items(content.entries, model, work, batch_size=batch_size, watch=_watch)
        about = {"modality": str(modality), "dim": model.dim, "source": content.source, "device": place, **settings}
        write(dataset, folder, out, modality, found, about)
    shutil.rmtree(work.folder, ignore_errors=True)
    summarise(out, modality, found, model.dim, content.unknown)


# --help shows the table of encoders.
encode.__doc__ = "\n\n    ".join(
    [str(encode.__doc__).rstrip(), *(f"{entry.modality}  {entry.line}".replace("[", r"\[") for entry in ENCODERS)]
)


def _device(device: Device) -> str:
    import torch

    there = torch.cuda.is_available()
    if device is Device.CUDA and not there:
        raise ConfigError("--device cuda: torch finds no CUDA device. Use --device cpu or auto.")
    return "cuda" if there and device is not Device.CPU else "cpu"


def _settings(entry: EncoderEntry, encoder: str) -> dict[str, str]:
    """What determines the features besides the content; for the digest and encode_<modality>.json."""
    return {"encoder": encoder, "recipe": str(RECIPE)} | {name: _version(name) for name in entry.packages}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # loading the encoder raises the error
        return "not installed"


def _watch(batches: Sequence["np.ndarray"], n_items: int, before: int) -> Iterator["np.ndarray"]:
    """The batches, under a progress bar."""
    if before and batches:
        typer.echo(f"{before:,} of {n_items:,} items have no content or were encoded by an earlier run.", err=True)
    yield from bar(batches, "Encoding", total=len(batches))
