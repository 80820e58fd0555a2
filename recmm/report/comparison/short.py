"""`python -m recmm compare RUN RUN ...`: a short table of runs with the paired test, in the terminal."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl
from rich.console import Console
from rich.table import Table

from recmm.data.files.quoting import shown
from recmm.report.comparison.compare import compare
from recmm.report.records.runs import load_runs

METRICS = ("recall@20", "ndcg@20")


def short_table(folders: Sequence[Path], metrics: Sequence[str] = METRICS) -> pl.DataFrame:
    """One row per metric, dataset, condition and method: ``metric`` and the columns of ``compare``.

    Unlike in the report, every method and setting that is named takes part.

    Raises:
        RunError: there is no finished run, or the runs cannot be compared.
    """
    frame = load_runs(folders).frame
    tables = [compare(frame, metric).select(pl.lit(metric).alias("metric"), pl.all()) for metric in metrics]
    return pl.concat(tables)


def show_comparison(folders: Sequence[Path], metrics: Sequence[str] = METRICS) -> None:
    """Print ``short_table``, one table for each dataset and metric.

    Raises:
        RunError: see ``short_table``.
    """
    console = Console(soft_wrap=True, highlight=False, markup=False)
    rows = short_table(folders, metrics)
    for (dataset, split, metric), group in rows.group_by("dataset", "split", "metric", maintain_order=True):
        table = Table(title=f"test {metric} on {shown(str(dataset))} (split {shown(str(split))})", title_justify="left")
        for heading, justify in (("missing", "left"), ("method", "left"), *((name, "right") for name in _NUMBERS)):
            table.add_column(heading, justify=justify)  # type: ignore[arg-type]
        for row in group.iter_rows(named=True):
            mean = f"{row['mean']:.4f}" + ("" if row["std"] is None else f" ± {row['std']:.4f}")
            star = "*" if row["star"] and row["best"] else ""
            numbers = (f"{mean}{star}", str(row["n"]), _number(row["difference"], ".4f"), _number(row["p_holm"], ".2g"))
            table.add_row(shown(row["condition"]), shown(row["variant"]), *numbers, row["test"] or "")
        console.print(table)
    console.print("The best method against each other one; p by Holm over all tests of a table; * p < .05 against all.")


_NUMBERS = ("mean", "runs", "difference to best", "p (Holm)", "test")


def _number(value: float | None, spec: str) -> str:
    return "" if value is None else format(value, spec)
