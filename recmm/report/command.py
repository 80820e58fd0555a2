"""`python -m recmm report FOLDER ...`: from records to one page, tables as CSV and LaTeX, figures as PNG and SVG."""

import os
import shutil
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer

from recmm import __version__
from recmm.data.files.atomic import replace_atomically
from recmm.errors import RunError
from recmm.experiment.records import read_result
from recmm.report import plots, results
from recmm.report.figures import draw
from recmm.report.labels import with_names
from recmm.report.latex import to_latex
from recmm.report.page import Section, render
from recmm.report.published import find_published, match, published_table, read_published
from recmm.report.runs import Runs, in_every_condition, load_runs
from recmm.report.statistics import comparisons
from recmm.report.strata import strata_of
from recmm.report.tables import to_csv

METRICS = ("recall@20", "ndcg@20", "precision@20")
_MONITOR = "val/recall@20"  # of records from before the key was written

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def main(arguments: Sequence[str]) -> None:
    """Run the command with these arguments; leaves the process, with exit code 2 for a wrong option.

    Raises:
        RunError: see ``write_report``.
    """
    app(args=list(arguments), prog_name="recmm report")


@app.command()
def report(
    folders: Annotated[list[Path], typer.Argument(help="Folders of sweeps or of single runs.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option(help="Where the report goes; `report` in the first folder if not given.")
    ] = None,
    metric: Annotated[
        list[str] | None, typer.Option(help=f"May be given several times. If not: {', '.join(METRICS)}.")
    ] = None,
    published: Annotated[
        Path | None, typer.Option(help="Numbers of papers as CSV; if not given, those of the sweeps' experiments.")
    ] = None,
) -> None:
    """Make one HTML page of finished runs, with every table as CSV and LaTeX and every figure as PNG and SVG."""
    page = write_report(folders, out or folders[0] / "report", metric or METRICS, published)
    typer.echo(f"report: {page}")


def write_report(
    folders: Sequence[Path], out: Path, metrics: Sequence[str] = METRICS, published: Path | None = None
) -> Path:
    """Read the records in ``folders`` and write the report to ``out``; returns the page's path.

    ``out`` then holds index.html, tables/ and figures/. Those of an earlier report there are replaced as whole folders,
    so that no table or figure of it is left beside the new ones.

    Raises:
        RunError: there is no finished run, none has one of the metrics, or a file cannot be read.
    """
    runs = load_runs(folders)
    _refuse_unknown(runs.frame, metrics)
    frame = with_names(_with_links(runs.frame, out))
    runs = Runs(frame, runs.unfinished, runs.hyper_parameters)
    records = {folder: read_result(Path(folder)) or {} for folder in frame["folder"]}
    printed = read_published([published] if published else find_published(folders))
    sections, warnings = _sections(runs, records, metrics, printed)
    every_run = results.all_runs(frame, metrics)
    if (out / "index.html").exists():
        for folder in ("tables", "figures"):
            shutil.rmtree(out / folder, ignore_errors=True)
    for table in [every_run, *(table for section in sections for table in section.tables)]:
        replace_atomically(out / "tables" / f"{table.name}.csv", to_csv(table))
        replace_atomically(out / "tables" / f"{table.name}.tex", to_latex(table))
    figures = [figure for section in sections for figure in section.figures]
    static = {figure.name: draw(figure, out / "figures")[1] for figure in figures}
    title = f"recmm report: {', '.join(Path(folder).resolve().name for folder in folders)}"
    page = render(title, _about(runs, records), warnings, sections, every_run, static)
    replace_atomically(out / "index.html", page)
    return out / "index.html"


def _sections(
    runs: Runs, records: dict[str, dict[str, Any]], metrics: Sequence[str], printed: pl.DataFrame
) -> tuple[list[Section], list[str]]:
    own = runs.frame
    monitors = [record.get("monitor", _MONITOR) for record in records.values()]
    monitor = max(monitors, key=monitors.count)  # it may differ among sweeps; a comparison needs one
    frame = in_every_condition(own)
    beside, rest = match(frame, printed)
    tests, stars, warnings = comparisons(runs, metrics, monitor)
    alone = published_table(rest)
    histories = {folder: history for folder in own["folder"] if (history := _history(Path(folder))) is not None}
    sections = [
        Section("Overall", results.overall(frame, metrics, monitor, stars, beside)),
        Section(plots.RATES, figures=plots.over_rate(frame, metrics)),
        Section(plots.SETTINGS, figures=plots.over_settings(frame, runs.hyper_parameters, metrics)),
        Section(plots.ABLATION, figures=plots.ablations(frame, metrics, monitor)),
        Section(plots.DEGRADATION, results.degradation(frame, metrics), plots.degradation(frame, metrics)),
        Section("Tests", tests),
        Section("Target item", results.strata(strata_of(own, frame, records), metrics)),
        Section(plots.LEARNING, figures=plots.learning_curves(own, histories, monitor)),
        Section("Time and memory", results.costs(own)),
        Section("Published numbers", [alone] if alone else []),
    ]
    return sections, warnings


def _refuse_unknown(frame: pl.DataFrame, metrics: Sequence[str]) -> None:
    known = [name.removeprefix("test/") for name in frame.columns if name.startswith("test/")]
    for metric in metrics:
        if metric not in known:
            raise RunError(f"None of the runs has the metric {metric}: choose among {', '.join(known)}.")


def _with_links(frame: pl.DataFrame, out: Path) -> pl.DataFrame:
    """``link``: the run's folder as seen from the report, with slashes on every system."""
    here = out.resolve()
    links = [Path(os.path.relpath(Path(folder).resolve(), here)).as_posix() for folder in frame["folder"]]
    return frame.with_columns(link=pl.Series(links, dtype=pl.String))


def _history(folder: Path) -> pl.DataFrame | None:
    path = folder / "metrics.csv"
    return pl.read_csv(path, infer_schema_length=None) if path.exists() else None


def _about(runs: Runs, records: dict[str, dict[str, Any]]) -> list[tuple[str, str]]:
    """What was loaded, for the head of the page."""
    frame = runs.frame
    started = sorted(str(record["started"])[:10] for record in records.values() if record.get("started"))
    versions: dict[str, set[str]] = {}
    for record in records.values():
        for name, number in record.get("versions", {}).items():
            versions.setdefault(name, set()).add(str(number))
    commits = {
        f"{record['git']['commit'][:8]}{' (changed)' if record['git'].get('dirty') else ''}"
        for record in records.values()
        if record.get("git", {}).get("commit")
    }
    unfinished = ", ".join(f"{number} {status}" for status, number in runs.unfinished.items())
    about = [
        ("Runs", f"{len(frame)} finished" + (f"; left out: {unfinished}" if unfinished else "")),
        ("Sweeps", _list(frame["sweep"])),
        ("Data", _list(f"{name}, digest {digest[:12]}" for name, digest in frame["catalogue", "data_digest"].rows())),
        ("Masks", _list(digest[:12] for digest in frame.filter("uses_modalities")["masks_digest"])),
        ("Settings", _list(source or "not noted" for source in frame["settings_source"])),
        ("Started", f"{started[0]} to {started[-1]}" if started else ""),
        ("Versions", ", ".join(f"{name} {' / '.join(sorted(numbers))}" for name, numbers in versions.items())),
        ("Commits", _list(commits)),
        ("Report", f"recmm {__version__}, {date.today().isoformat()}"),
    ]
    return [(name, value) for name, value in about if value]


def _list(values: Any) -> str:
    """Different values, sorted; of very many the first few and their number."""
    different = sorted(set(values))
    more = len(different) - 12
    return "; ".join(different[:12]) + (f"; and {more} more" if more > 0 else "")
