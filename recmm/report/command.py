"""`python -m recmm report FOLDER ...`: from records to one page, tables as CSV and LaTeX, figures as PNG and SVG."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import polars as pl
import typer

from recmm.data.files.atomic import replace_atomically
from recmm.data.files.quoting import shown
from recmm.experiment.config.publishable import publishable_text
from recmm.report.comparison.all_runs import all_runs
from recmm.report.comparison.content import content
from recmm.report.comparison.costs import costs
from recmm.report.comparison.ledger import ledger
from recmm.report.comparison.overall import overall
from recmm.report.comparison.published import match, published_table
from recmm.report.comparison.relative import relative_performance
from recmm.report.comparison.significance import comparisons
from recmm.report.comparison.target_items import target_items
from recmm.report.figures.ablations import ablations
from recmm.report.figures.drawing import draw
from recmm.report.figures.hyper_parameters import over_hyper_parameters
from recmm.report.figures.learning import learning_curves
from recmm.report.figures.rates import over_rate, relative_over_rate
from recmm.report.page.about import about
from recmm.report.page.csv_text import to_csv
from recmm.report.page.html import Section, render
from recmm.report.page.latex import to_latex
from recmm.report.page.place import replaced_as_one
from recmm.report.records.folders import read_history
from recmm.report.records.published import find_published, read_published
from recmm.report.records.runs import Runs, load_runs
from recmm.report.results.results import Results, tabulate
from recmm.report.results.strata import strata_of

METRICS = ("recall@20", "ndcg@20", "precision@20")

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
        Path | None, typer.Option(help="The report's folder; `report` in the first folder if not given.")
    ] = None,
    metric: Annotated[
        list[str] | None, typer.Option(help=f"May be given several times; by default: {', '.join(METRICS)}.")
    ] = None,
    published: Annotated[
        Path | None, typer.Option(help="Numbers of papers as CSV; by default those of the sweeps' experiments.")
    ] = None,
) -> None:
    """Make one HTML page of finished runs, with every table as CSV and LaTeX and every figure as PNG and SVG."""
    page = write_report(folders, out or folders[0] / "report", metric or METRICS, published)
    typer.echo(f"report: {page}")


def write_report(
    folders: Sequence[Path], out: Path, metrics: Sequence[str] = METRICS, published: Path | None = None
) -> Path:
    """Read the records in ``folders`` and write the report to ``out``; returns the page's path.

    ``out`` then holds index.html, tables/ and figures/. They are replaced as a whole, so that no table or figure of an
    earlier report is left, and a report that is killed changes nothing.

    Raises:
        RunError: there is no finished run, none has one of the metrics, or a file cannot be read.
    """
    runs = load_runs(folders)
    results = tabulate(runs, metrics, out)
    printed = read_published([published] if published else find_published(folders))
    sections, warnings = _sections(runs, results, printed)
    every_run = all_runs(results)
    figures = [figure for section in sections for figure in section.figures]
    title = f"recmm report: {', '.join(Path(folder).resolve().name for folder in folders)}"
    with replaced_as_one(out) as new:
        for table in [every_run, *(table for section in sections for table in section.tables)]:
            replace_atomically(new / "tables" / f"{table.name}.csv", to_csv(table))
            replace_atomically(new / "tables" / f"{table.name}.tex", to_latex(table))
        static = {figure.name: draw(figure, new / "figures")[1] for figure in figures}
        told = [*(shown(publishable_text(line)) for line in runs.left_out), *warnings]
        page = render(shown(title), about(runs, results), told, sections, every_run, static)
        replace_atomically(new / "index.html", page)
    return out / "index.html"


def _sections(runs: Runs, results: Results, printed: pl.DataFrame) -> tuple[list[Section], list[str]]:
    """The sections of the page in their order, and a sentence for each comparison that was refused."""
    beside, rest = match(results, printed)
    tests, stars, warnings = comparisons(results)
    worth, refused = content(results)
    alone = published_table(rest)
    strata = strata_of(results, runs.records)
    histories = {folder: history for folder in runs.records if (history := read_history(Path(folder))) is not None}
    sections = [
        Section("Overall", overall(results, stars, beside)),
        Section("Missing rate", figures=over_rate(results)),
        Section("Hyper-parameters", figures=over_hyper_parameters(results)),
        Section("Ablation", figures=ablations(results)),
        Section("Relative performance", relative_performance(results), relative_over_rate(results)),
        Section("Tests", tests),
        Section("What content contributes", worth),
        Section("Target item", target_items(strata, results.metrics)),
        Section("Learning curves", figures=learning_curves(results, histories)),
        Section("Budgets", ledger(results)),
        Section("Time and memory", costs(results)),
        Section("Published numbers", [alone] if alone else []),
    ]
    return sections, [*warnings, *refused]
