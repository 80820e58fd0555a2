"""Test pairs by the modalities that the target item has."""

from collections.abc import Sequence

import polars as pl

from recmm.report.comparison.tables import Table, note_of, row_of
from recmm.report.results.cells import means
from recmm.report.results.naming import file_name, metric_name
from recmm.report.results.order import in_order


def target_items(strata: pl.DataFrame, metrics: Sequence[str]) -> list[Table]:
    """One table per catalogue and metric: a row per condition and method, a column per set of modalities.

    Args:
        strata: as ``strata_of`` returns them.
        metrics: those that strata do not have are left out.
    """
    tables = []
    for (catalogue,), group in strata.group_by("catalogue", maintain_order=True) if not strata.is_empty() else ():
        columns = sorted(set(group["stratum"]), key=lambda name: (name == "none", -name.count("+"), name))
        for metric in metrics:
            of_metric = group.filter(pl.col("metric") == metric)
            if not of_metric.is_empty():
                tables.append(_table(str(catalogue), metric, of_metric, columns))
    return tables


def _table(catalogue: str, metric: str, of_metric: pl.DataFrame, columns: Sequence[str]) -> Table:
    cells = means(of_metric, ("condition", "method", "stratum"), "value")
    rows = tuple(
        row_of((condition, method), cells, columns)
        for condition in in_order(of_metric, "condition")
        for method in in_order(of_metric.filter(pl.col("condition") == condition), "method")
    )
    sizes = of_metric.group_by("stratum").agg(pl.col("n").min(), most=pl.col("n").max()).sort("stratum")
    shown = (f"{name} {least}" + (f" to {most}" if most > least else "") for name, least, most in sizes.rows())
    note = note_of(
        rows,
        f"{metric_name(metric)} over the test pairs whose item has exactly these modalities at test; every pair has "
        "the same weight. A feature-free method counts once under each mask. Pairs per run: " + ", ".join(shown),
        of="repetitions",
    )
    name = file_name("strata", catalogue, metric)
    title = f"{metric_name(metric)} by the modalities of the target item, {catalogue}"
    return Table(name, title, note, ("condition", "method"), tuple(columns), rows)
