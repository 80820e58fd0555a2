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


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs or of sweeps.", show_default=False)],
    metric: Annotated[
        list[str] | None, typer.Option(help="May be given several times; by default: recall@20, ndcg@20.")
    ] = None,
) -> None:
    """Compare finished runs in the terminal: means, differences to the best one, and the report's paired test."""
    from recmm.report.comparison.short import METRICS, show_comparison

    show_comparison(runs, metric or METRICS)


def evaluate(
    run: RunArgument,
    changes: Annotated[
        list[str],
        typer.Argument(metavar="GROUP=CHOICE KEY=VALUE ...", help="Of missing, imputer, eval.", show_default=False),
    ],
) -> None:
    """Validate and test a trained run under another missing setting, imputer or candidates, without training it again.

    The record lies beside the run, in RUN.evaluated. What is not named stays as it was trained, the imputer too.
    """
    from recmm.deploy.evaluating import evaluate_again

    evaluate_again(run, changes)


def explain(
    run: RunArgument,
    user: Annotated[str, typer.Option(help="Raw id of a user.", show_default=False)],
    item: Annotated[str, typer.Option(help="Raw id of an item.", show_default=False)],
    figure: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw the scores: .png, .svg or .pdf.")] = None,
) -> None:
    """Show what each modality of an item contributes to its score for a user: present, and hidden.

    The trained method ranks again under masks that differ in one entry of the item, so it needs the dataset.
    """
    from recmm.deploy.explaining import show_explanation

    show_explanation(run, user, item, figure)


def export(
    run: RunArgument,
    to: Annotated[str, typer.Option(help="safetensors, npz, parquet, faiss, hnsw, onnx or hf.", show_default=False)],
    out: Annotated[Path, typer.Option(metavar="DIR", help="A new folder.", show_default=False)],
) -> None:
    """Write the vectors of users and items with raw ids, or an item-to-item matrix (npz), for other software."""
    from recmm.deploy.export.forms import export as write

    typer.echo(f"export: {out} ({', '.join(write(run, to, out))})")


def methods() -> None:
    """List the methods: what `model=` may choose, with one line each."""
    _list("model")


def datasets() -> None:
    """List the datasets: what `dataset=` may choose, with one line each."""
    _list("dataset")


def settings() -> None:
    """List the missing settings and the imputers: what `missing=` and `imputer=` may choose, with one line each."""
    _list("missing", "imputer")


def _list(*groups: str) -> None:
    from recmm.deploy.choices import show_choices

    show_choices(*groups)


COMMANDS: dict[str, Callable[..., None]] = {
    "recommend": recommend,
    "evaluate": evaluate,
    "compare": compare,
    "ensemble": ensemble,
    "explain": explain,
    "export": export,
    "methods": methods,
    "datasets": datasets,
    "settings": settings,
}
"""Name of a command -> its function, for the application that joins all commands."""
