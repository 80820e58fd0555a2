"""Methods by conditions: the report's main tables."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import polars as pl

from recmm.experiment.sweep.marks import BASELINES
from recmm.report.comparison.published import Printed
from recmm.report.comparison.significance import Place
from recmm.report.comparison.tables import Row, Table, mark_best, note_of, row_of
from recmm.report.results.budgets import Budgets
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
        _table(str(catalogue), metric, group, results, stars, printed)
        for (catalogue,), group in results.everywhere.group_by("catalogue", maintain_order=True)
        for metric in results.metrics
    ]


def _table(
    catalogue: str, metric: str, group: pl.DataFrame, results: Results, stars: Mapping[Place, str], printed: Printed
) -> Table:
    conditions = in_order(group, "condition")
    cells = means(group, ("method", "condition"), f"test/{metric}")
    popularity = means(group.filter(pl.col("model") == "popularity"), ("condition",), f"test/{metric}")
    ranked = set(group.filter("competes", "equal_budget")["method", "condition"].rows())
    bars = _bars(catalogue, group, cells, results.budgets)

    def marked(method: str, condition: str, cell: Cell) -> Cell:
        return replace(
            cell,
            ranked=(method, condition) in ranked,
            star=stars.get((catalogue, condition, metric)) == method,
            below_popularity=_below(cell, popularity.get((condition,))),
            below_feature_free=any(_below(cell, bar) for bar in bars.get((method, condition), ())),
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
        what += f". Of several settings of one model only the best by {results.monitor} is ranked"
    unequal = group.filter("competes", ~pl.col("equal_budget"))
    if not unequal.is_empty():
        what += f". Not ranked for an unequal budget (see Budgets): {', '.join(in_order(unequal, 'method'))}"
    title = f"{metric_name(metric)} on {catalogue}"
    name = file_name("overall", catalogue, metric)
    return Table(name, title, note_of(ordered, what), ("method",), tuple(conditions), ordered)


def _bars(
    catalogue: str, group: pl.DataFrame, cells: Mapping[tuple[Any, ...], Cell], budgets: Budgets
) -> dict[tuple[str, str], list[Cell]]:
    """Method and condition -> the numbers of methods without features whose budget is no larger, for those with."""
    places = ("method", "model", "condition")
    free = group.filter("competes", ~pl.col("uses_modalities"), ~pl.col("model").is_in(BASELINES))
    bars: dict[tuple[str, str], list[Cell]] = {}
    for method, model, condition in group.filter("competes", "uses_modalities").select(places).unique().iter_rows():
        own = budgets[catalogue, model].budget
        bars[method, condition] = [
            cells[other, condition]
            for other, its_model, at in free.select(places).unique().iter_rows()
            if at == condition and (other, condition) in cells and budgets[catalogue, its_model].budget.within(own)
        ]
    return bars


def _below(cell: Cell, baseline: Cell | None) -> bool:
    if baseline is None or not isinstance(cell.value, float) or not isinstance(baseline.value, float):
        return False
    return cell.value < baseline.value
