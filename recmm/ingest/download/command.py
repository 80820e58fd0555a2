"""`python -m recmm data download`: the known datasets' files, from pinned public sources or a page."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recmm.errors import ConfigError, DataError, DigestError, DownloadError, MissingFileError
from recmm.ingest.cli.help import resumable

if TYPE_CHECKING:
    from recmm.data.files.transfer import Patience
    from recmm.ingest.download.files import Choice


class Dataset(StrEnum):
    """The datasets of the papers; a test holds it to ``sources.ORIGINS``, which would make `--help` slow."""

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
            help="One of its splits: mmrec, lattice or released. Without it all, of which one has to be whole."
        ),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="The folder that holds the datasets' folders. Default: RECMM_DATA, else data, where runs look, too.",
        ),
    ] = None,
    base_url: Annotated[str | None, typer.Option(metavar="URL", help="A mirror of the repository's raw files.")] = None,
    timeout: Annotated[
        float, typer.Option(min=0.1, help="Seconds without a byte after which a connection is given up.")
    ] = 10.0,
    retries: Annotated[
        int, typer.Option(min=0, max=100, help="Further attempts after a broken connection, with growing pauses.")
    ] = 3,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are not the pinned ones.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what is there and what would come.")] = False,
) -> None:
    """Download a known dataset, verified by size and digest, or say from which page to take which files.

    Run again, it goes on where it was cut short. Files that are there are verified, never replaced without --force.

    Exit code 1: files are absent, wrong, or could not be downloaded.

    [bold]Examples[/bold]

      python -m recmm data download tiktok

      python -m recmm data download baby --split lattice --to ../datasets

      python -m recmm data download tiktok --dry-run

      python -m recmm data download tiktok \\
          --base-url https://example.org/DiffMM
    """
    from recmm.data.files.transfer import Patience
    from recmm.ingest.download.files import choices

    if base_url is not None and not base_url.startswith(("http://", "https://")):
        raise ConfigError(f"--base-url {base_url} is no address of a mirror; expected http:// or https://.")
    chosen = choices(dataset.value, split=split, data=to)
    patience = Patience(timeout=timeout, retries=retries)
    problems: list[DataError] = []
    with resumable():
        for choice in chosen:
            problems += _bring(choice, base_url=base_url, patience=patience, force=force, dry_run=dry_run)
    whole = [choice.name for choice in chosen if not choice.missing()]
    if whole and not problems:
        typer.echo("\nNow run: " + " or ".join(f"python train.py dataset={name}" for name in whole))
    elif not dry_run:
        raise _summary(problems, chosen)


def _bring(choice: Choice, *, base_url: str | None, patience: Patience, force: bool, dry_run: bool) -> list[DataError]:
    """Download what is absent and has a source, show what became of every file, and say what is left to do by hand."""
    from recmm.data.files.fetch import fetch
    from recmm.data.files.transfer import UnreachableError
    from recmm.ingest.download.files import ABSENT, WRONG

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
            problems.append(DigestError(f"{path} {problem}. Move it aside, or replace it with --force."))
        states[file] = state
    _show(choice, states)
    if by_hand := [file for file, state in states.items() if state in (ABSENT, "failed")]:
        _advise(choice, by_hand)
    return problems


def _show(choice: Choice, states: dict[str, str]) -> None:
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


def _advise(choice: Choice, files: list[str]) -> None:
    """What to take from which page and where to put it; unwrapped, so that paths and addresses can be copied."""
    typer.echo(f"By hand: from {choice.origin.page}")
    typer.echo("take these files and put them at")
    for file in files:
        remote = choice.remote(file)
        there = f"  (there {remote.path}{', to be unpacked' if remote.zipped else ''})" if remote else ""
        typer.echo(f"  {choice.folder / file}{there}")
    if len(files) == 1 and files[0] in choice.origin.without:
        typer.echo(f"Without it `{choice.origin.without[files[0]]}` runs.")


def _summary(problems: list[DataError], chosen: list[Choice]) -> DataError:
    """One error for all: what failed, or what is absent."""
    if problems:
        kind = type(problems[0]) if len({type(problem) for problem in problems}) == 1 else DataError
        return kind("\n".join(map(str, problems)))
    lacks = [f"{', '.join(choice.missing())} (dataset={choice.name}, {choice.folder})" for choice in chosen]
    return MissingFileError(f"Absent: {'; '.join(lacks)}. Take them from where it is said above.")
