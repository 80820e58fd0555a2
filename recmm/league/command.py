"""`python -m recmm league plan|run|report|verify`."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from recmm.data.files.quoting import shown
from recmm.experiment.sweep.progress import duration
from recmm.league.jobs import Jobs
from recmm.league.league import read_league
from recmm.league.rows import DIVERGED, DONE
from recmm.league.runner import Runner
from recmm.league.standing import OPEN, STALE, Standing

PLACE = Path("experiments/league")

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Every method, the same masks, the same budget: plan, run, table.",
)

_Name = Annotated[
    str, typer.Option("--league", help="A file of conf/league, without .yaml, or the path of another one.")
]
_Place = Annotated[Path, typer.Option("--place", help="The folder that holds results/ and best/.")]
_Only = Annotated[str, typer.Option(help="These methods only, separated by commas.")]
_Dataset = Annotated[str, typer.Option(help="These datasets only.")]
_Setting = Annotated[str, typer.Option(help="These missing settings only.")]


def main(arguments: Sequence[str]) -> None:
    """Run the command with these arguments; leaves the process.

    Raises:
        RecmmError: the league's file, its results or its data are wrong.
    """
    app(args=list(arguments), prog_name="recmm league")


@app.command()
def plan(
    league: _Name = "default", place: _Place = PLACE, only: _Only = "", dataset: _Dataset = "", setting: _Setting = ""
) -> None:
    """Show the jobs, which of them are done, stale or open, and the CPU hours that are left by estimate."""
    standing = _standing(league, place, only, dataset, setting)
    states = (DONE, DIVERGED, STALE, OPEN)
    table = Table("method", "dataset", "missing", *states, "best val R@20", "s a run", "left")
    total: Counter[str] = Counter()
    seconds = 0.0
    for cell in standing.cells:
        counts = Counter(standing.state(job) for _, job in cell.jobs())
        counts[OPEN] += 0 if cell.repetitions or _is_closed(counts) else standing.n_repetitions(cell)
        row = cell.winner and standing.row(cell.winner)
        left = standing.seconds_left(cell)
        table.add_row(
            *(*cell.name, *(str(counts[state] or "") for state in states)),
            *(f"{row['val_recall@20']:.4f}" if row else "", f"{standing.seconds(cell.trials[0]):.0f}"),
            duration(left) if left else "",
        )
        total, seconds = total + counts, seconds + left
    console = Console(highlight=False, soft_wrap=True, width=None if Console().is_terminal else 160)
    console.print(table)
    console.print(", ".join(f"{total[state]} {state}" for state in states) + f" of {sum(total.values())} jobs")
    console.print(f"{seconds / 3600:.1f} CPU hours left, by the times measured so far and the league's guesses")
    if standing.others and not (only or dataset or setting):
        console.print(f"{len(standing.others)} rows belong to none of these jobs and do not count.")
    for name, error in {cell.name[1]: cell.trials[0].unreadable for cell in standing.cells}.items():
        if error is not None:
            console.print(f"{name} is not here, so that rows are matched without their data: {error}")


@app.command()
def run(
    league: _Name = "default",
    place: _Place = PLACE,
    only: _Only = "",
    dataset: _Dataset = "",
    setting: _Setting = "",
    hours: Annotated[float | None, typer.Option(help="Start no further job after so many hours.", min=0)] = None,
) -> None:
    """Do the open jobs, the cheapest methods first. Killed and started again it goes on where it stopped."""
    runner = Runner(Jobs(read_league(league)), place, hours)
    raise typer.Exit(0 if runner.run(*map(_names, (only, dataset, setting))) else 1)


@app.command()
def report(
    league: _Name = "default",
    place: _Place = PLACE,
    out: Annotated[Path, typer.Option(help="The Markdown file.")] = Path("docs/league.md"),
    page: Annotated[
        Path, typer.Option(help="The folder of the page, made of the best trials' runs that are here.")
    ] = Path("multirun_outputs/league/report"),
) -> None:
    """Write the table as Markdown, the diagram of ranks and, where the runs are here, tests and a page of them."""
    from recmm.league.report import write_league

    for path in write_league(_standing(league, place, "", "", ""), out, place, page):
        typer.echo(path)


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(help="Rows as in experiments/league/results.", show_default=False)],
    league: _Name = "default",
    rerun: Annotated[
        bool, typer.Option(help="Make the cheapest of the sound rows again and compare its metrics.")
    ] = False,
    out: Annotated[Path, typer.Option(help="The folder of the rerun.")] = Path("multirun_outputs/league_verify"),
) -> None:
    """Check submitted rows: arguments, configuration, data and signature of each; with --rerun, the numbers of one."""
    from recmm.league.submission import check_rows, chosen_for_rerun, rerun_row

    jobs = Jobs(read_league(league))
    findings = check_rows(file, jobs)
    for finding in findings:
        typer.echo(f"{shown(finding.row['overrides'])}: {shown(finding.told) if finding.told else 'ok'}")
    wrong = sum(bool(finding.told) for finding in findings)
    typer.echo(f"{len(findings)} rows, {wrong} wrong")
    row = chosen_for_rerun(findings) if rerun else None
    if rerun and row is None:
        typer.echo("No row is left that could be made again.")
    elif row is not None:
        told = rerun_row(row, jobs, out)
        typer.echo(f"made again: {shown(row['overrides'])}: {'; '.join(told) or 'the same numbers, bit for bit'}")
        wrong += bool(told)
    raise typer.Exit(1 if wrong or (rerun and row is None) else 0)


def _standing(league: str, place: Path, only: str, dataset: str, setting: str) -> Standing:
    return Standing(Jobs(read_league(league)), place / "results", *map(_names, (only, dataset, setting)))


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


def _is_closed(counts: Counter[str]) -> bool:
    """Whether no trial is left that could bring repetitions."""
    return not counts[OPEN] + counts[STALE]
