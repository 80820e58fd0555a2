"""The commands for finished runs. Every start of the program imports this, so it loads Typer alone."""

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

RunArgument = Annotated[
    Path, typer.Argument(metavar="RUN", help="The folder of a finished run, or its best.ckpt.", show_default=False)
]


class Cold(StrEnum):
    """What a user gets whom the catalogue does not know."""

    nothing = "nothing"
    popular = "popular"


def recommend(
    run: RunArgument,
    users: Annotated[
        str | None,
        typer.Option(metavar="FILE|U1,U2", help="Raw ids of users, or a file with one per line.", show_default=False),
    ] = None,
    k: Annotated[int, typer.Option("-k", "--k", help="Items per user.")] = 20,
    everyone: Annotated[bool, typer.Option("--all", help="Every user of the catalogue.")] = False,
    candidates: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Recommend only these items: raw ids, one per line.", show_default=False),
    ] = None,
    exclude_seen: Annotated[
        bool, typer.Option("--exclude-seen/--include-seen", help="Whether to leave out items of a user's training.")
    ] = True,
    cold: Annotated[
        Cold, typer.Option(help="What users get whom the catalogue does not know: nothing, or the popular items.")
    ] = Cold.nothing,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where to: .parquet, .csv or .jsonl. Default: a table on the terminal."),
    ] = None,
) -> None:
    """Recommend items to users from a finished run: raw ids in, raw ids and scores out.

    Nothing but the checkpoint is read. Its lists for the users of the test are those of the run's topk.parquet. Users
    that it does not know are named and counted on stderr. All others are written in blocks, so that millions of users
    take no more memory than a thousand.
    """
    from recmm.deploy.recommending import Request, recommend_to

    request = Request(users, everyone, k, candidates, exclude_seen, cold == Cold.popular)
    recommend_to(run, request, out)


def ensemble(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN RUN ...", help="The folders of finished runs.", show_default=False)
    ],
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write ensemble.json, topk.parquet and per_user.parquet.", show_default=False),
    ] = None,
) -> None:
    """Fuse finished runs on the same data: reciprocal ranks of their lists, weighted by a selection on validation.

    The test metrics are those of the weights that are best on validation. Runs keep the first 50 items of each list of
    validation and test, so no run is loaded or trained again.
    """
    from recmm.deploy.ensemble import fuse_runs

    fuse_runs(runs, out)


COMMANDS: dict[str, Callable[..., None]] = {"recommend": recommend, "ensemble": ensemble}
"""Name of a command -> its function, for the application that joins all commands."""
