"""`python -m recmm data download`: fetches what has a pinned source, and says where to find the rest."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recmm.errors import ConfigError, DataError, DigestError, DownloadError, MissingFileError
from recmm.ingest.cli.help import say_how_to_resume

if TYPE_CHECKING:
    from recmm.data.files.transfer import Patience
    from recmm.ingest.download.dataset_files import DatasetFiles


class Dataset(StrEnum):
    """The keys of ``sources.ORIGINS``, which are repeated here because importing them would make `--help` slow."""

    tiktok = "tiktok"
    baby = "baby"
    sports = "sports"
    clothing = "clothing"
    allrecipes = "allrecipes"


def download(
    dataset: Annotated[
        Dataset, typer.Argument(metavar="DATASET", help="One of tiktok, baby, sports, clothing, allrecipes.")
    ],
    split: Annotated[
        str | None,
        typer.Option(
            help="The split to download: mmrec, lattice or released. Default: all; one complete split is enough."
        ),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="The folder for all datasets. Default: RECMM_DATA if set, else data; runs use the same.",
        ),
    ] = None,
    base_url: Annotated[str | None, typer.Option(metavar="URL", help="A mirror of the repository's raw files.")] = None,
    timeout: Annotated[
        float, typer.Option(min=0.1, help="Seconds without data after which a connection is closed.")
    ] = 10.0,
    retries: Annotated[
        int, typer.Option(min=0, max=100, help="Further attempts after a broken connection, with growing pauses.")
    ] = 3,
    force: Annotated[bool, typer.Option("--force", help="Replace files whose size or digest is wrong.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the state of the files.")] = False,
) -> None:
    """Download the files of a known dataset and verify their size and digest.

    Files without a pinned source are listed with the page to get them from. An interrupted download continues when the
    command is run again. Existing files are verified, and replaced only with --force.

    Exit code 1: files are absent, wrong, or could not be downloaded.

    [bold]Examples[/bold]

      python -m recmm data download tiktok

      python -m recmm data download baby --split lattice --to ../datasets

      python -m recmm data download tiktok --dry-run

      python -m recmm data download tiktok \\
          --base-url https://example.org/DiffMM
    """
    from recmm.data.files.transfer import Patience
    from recmm.ingest.download.dataset_files import dataset_files

    if base_url is not None and not base_url.startswith(("http://", "https://")):
        raise ConfigError(f"--base-url {base_url}: expected the address of a mirror, with http:// or https://.")
    chosen = dataset_files(dataset.value, split=split, data=to)
    patience = Patience(timeout=timeout, retries=retries)
    problems: list[DataError] = []
    with say_how_to_resume():
        for choice in chosen:
            problems += _download(choice, base_url=base_url, patience=patience, force=force, dry_run=dry_run)
    complete = [choice.name for choice in chosen if not choice.missing()]
    if complete and not problems:
        typer.echo("\nNow run: " + " or ".join(f"python train.py dataset={name}" for name in complete))
    elif not dry_run:
        raise _summary(problems, chosen)


def _download(
    choice: DatasetFiles, *, base_url: str | None, patience: Patience, force: bool, dry_run: bool
) -> list[DataError]:
    """Download absent files that have a source, show the state of each file, and say what to get by hand."""
    from recmm.data.files.fetch import fetch
    from recmm.data.files.transfer import UnreachableError
    from recmm.ingest.download.dataset_files import ABSENT, WRONG

    states: dict[str, str] = {}
    problems: list[DataError] = []
    reachable = True
    for file in choice.files:
        state, problem = choice.state(file)
        remote = choice.remote(file)
        path = choice.folder / file
        if remote and (state == ABSENT or (state == WRONG and force)):
            state = "would be downloaded" if dry_run else "failed"
            if not dry_run and reachable:
                try:
                    fetch(remote, path, base_url=base_url or choice.origin.base, patience=patience, overwrite=force)
                    state = "downloaded, verified"
                except (DownloadError, DigestError) as error:
                    reachable = not isinstance(error, UnreachableError)
                    problems.append(error)
        elif state == WRONG:
            problems.append(DigestError(f"{path} {problem}. Move the file away, or replace it with --force."))
        states[file] = state
    _show(choice, states)
    if by_hand := [file for file, state in states.items() if state in (ABSENT, "failed")]:
        _advise(choice, by_hand)
    return problems


def _show(choice: DatasetFiles, states: dict[str, str]) -> None:
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    typer.echo(f"\ndataset={choice.name} ({choice.origin.dataset}) in {choice.folder}")
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("file", no_wrap=True)
    table.add_column("bytes", justify="right", no_wrap=True)
    table.add_column("state")
    for file, state in states.items():
        path, remote = choice.folder / file, choice.remote(file)
        size = path.stat().st_size if path.is_file() else remote and remote.size
        table.add_row(escape(file), "" if size is None else f"{size:,}", state)
    Console().print(table)


def _advise(choice: DatasetFiles, files: list[str]) -> None:
    """Say which files to get by hand, and where to save them; lines are not wrapped, so that they can be copied."""
    typer.echo(f"Get these files from {choice.origin.page} and save them as")
    for file in files:
        remote = choice.remote(file)
        there = f"  (from {remote.path}{', unpacked' if remote.zipped else ''})" if remote else ""
        typer.echo(f"  {choice.folder / file}{there}")
    if len(files) == 1 and files[0] in choice.origin.without:
        typer.echo(f"Without this file, `{choice.origin.without[files[0]]}` can be trained.")


def _summary(problems: list[DataError], chosen: list[DatasetFiles]) -> DataError:
    """One error that lists all failed downloads, or all absent files if none failed."""
    if problems:
        kind = type(problems[0]) if len({type(problem) for problem in problems}) == 1 else DataError
        return kind("\n".join(map(str, problems)))
    lacks = [f"{', '.join(choice.missing())} (dataset={choice.name}, {choice.folder})" for choice in chosen]
    return MissingFileError(f"Absent: {'; '.join(lacks)}. Get them from the pages named above.")
