"""Methods by conditions: the report's main tables."""

from collections.abc import Mapping
from dataclasses import replace

import polars as pl

from recmm.report.comparison.published import Printed
from recmm.report.comparison.significance import Place
from recmm.report.comparison.tables import Row, Table, mark_best, note_of, row_of
from recmm.report.results.cells import Cell, means
from recmm.report.results.naming import file_name, metric_name
from recmm.report.results.order import in_order
from recmm.report.results.results import Results


def overall(results: Results, stars: Mapping[Place, str], printed: Printed) -> list[Table]:
    """Methods by conditions, one table per catalogue and metric.

    Args:
        results: the table of results.
        stars: catalogue, condition and metric -> the method that is better than all others by the corrected test.
        printed: the numbers that papers print for the same method, condition and metric; see ``published.match``.
    """
    return [
        _table(str(catalogue), metric, group, results.monitor, stars, printed)
        for (catalogue,), group in results.everywhere.group_by("catalogue", maintain_order=True)
        for metric in results.metrics
    ]


def _table(
    catalogue: str, metric: str, group: pl.DataFrame, monitor: str, stars: Mapping[Place, str], printed: Printed
) -> Table:
    conditions = in_order(group, "condition")
    cells = means(group, ("method", "condition"), f"test/{metric}")
    popularity = means(group.filter(pl.col("model") == "popularity"), ("condition",), f"test/{metric}")
    ranked = set(group.filter("competes")["method", "condition"].rows())

    def marked(method: str, condition: str, cell: Cell) -> Cell:
        return replace(
            cell,
            ranked=(method, condition) in ranked,
            star=stars.get((catalogue, condition, metric)) == method,
            below_popularity=_below(cell, popularity.get((condition,))),
            published=printed.get((catalogue, method, condition, metric)),
        )

    rows = []
    for method in in_order(group, "method"):
        row = row_of((method,), cells, conditions)
        rows.append(Row(row.labels, tuple(marked(method, *each) for each in zip(conditions, row.cells, strict=True))))
    ordered = mark_best(rows)
    what = f"{metric_name(metric)} on test, mean ± standard deviation over seeds and mask seeds"
    several = group.filter(~pl.col("published")).group_by("model", "condition").agg(pl.col("method").n_unique())
    if (several["method"] > 1).any():
        what += f". Of several settings of one model only the best by {monitor} is ranked"
    title = f"{metric_name(metric)} on {catalogue}"
    name = file_name("overall", catalogue, metric)
    return Table(name, title, note_of(ordered, what), ("method",), tuple(conditions), ordered)


def _below(cell: Cell, baseline: Cell | None) -> bool:
    if baseline is None or not isinstance(cell.value, float) or not isinstance(baseline.value, float):
        return False
    return cell.value < baseline.value
