"""Paired tests between methods as tables of the report, and the stars that they allow."""

from typing import Any

import polars as pl

from recmm.errors import RunError
from recmm.report.comparison.compare import compare
from recmm.report.comparison.tables import Row, Table
from recmm.report.records.variants import ANY
from recmm.report.results.cells import Cell
from recmm.report.results.naming import file_name, metric_name
from recmm.report.results.order import in_order
from recmm.report.results.results import Results

Place = tuple[str, str, str]
"""Catalogue, condition, metric: one column of an overall table."""

_COLUMNS = {
    "mean": "mean",
    "low": "95 % low",
    "high": "95 % high",
    "difference": "difference to best",
    "difference_low": "difference, 95 % low",
    "difference_high": "difference, 95 % high",
    "crossed": "intervals over",
    "test": "test",
    "p": "p",
    "p_holm": "p (Holm)",
}
_NOTE = (
    "The best method against each of the others under one condition. Values per user are averaged over seeds and mask "
    "seeds and paired over users. p values are corrected by Holm's method over all tests of one catalogue, condition "
    'and metric. Intervals are bootstrapped over what the column "intervals over" names (seeds and mask seeds from 3 '
    "on); they are empty unless every seed was run with every mask seed. Published settings take no part. Of several "
    "settings of one model only the best on validation takes part. A star needs the budget of the others (see Budgets)."
)


def comparisons(results: Results) -> tuple[list[Table], dict[Place, str], list[str]]:
    """Compare the competing methods of each catalogue by each metric.

    Returns:
        The tables; which method has a star in which column; and one sentence for each comparison that was refused.
    """
    tables: list[Table] = []
    stars: dict[Place, str] = {}
    refused: list[str] = []
    competing = results.frame.filter("competes")
    for catalogue in competing["catalogue"].unique(maintain_order=True):
        own = competing.filter(pl.col("catalogue") == catalogue)
        if own["variant"].n_unique() < 2:
            continue
        equals = _with_equal_budgets(results.everywhere.filter(pl.col("catalogue") == catalogue))
        for metric in results.metrics:
            try:
                compared = compare(own, metric)
            except RunError as error:
                refused.append(f"No test of {metric_name(metric)} on {catalogue}: {error}")
                continue
            fair = [place in equals for place in compared.select("condition", "variant").iter_rows()]
            compared = compared.with_columns(star=pl.col("star") & (~pl.col("best") | pl.Series(fair)))
            best = compared.filter(pl.col("best") & pl.col("star"))
            stars |= {
                (catalogue, condition, metric): method for condition, method in best["condition", "variant"].rows()
            }
            tables.append(_table(catalogue, metric, compared, own))
    return tables, stars, refused


def _with_equal_budgets(everywhere: pl.DataFrame) -> set[tuple[str, str]]:
    """Condition and variant of the methods that compete with at least one other method of an equal budget."""
    equal = everywhere.filter("competes", "equal_budget")
    several = equal.filter(pl.col("variant").n_unique().over("condition") > 1)
    return set(several.select("condition", "variant").iter_rows())


def _table(catalogue: str, metric: str, compared: pl.DataFrame, own: pl.DataFrame) -> Table:
    links = own.group_by("variant", "condition").agg(pl.col("link").sort())
    found = {(variant, condition): tuple(folders) for variant, condition, folders in links.rows()}
    order = in_order(own, "condition")
    rows = []
    for row in sorted(compared.to_dicts(), key=lambda row: order.index(row["condition"])):
        folders = found.get((row["variant"], row["condition"])) or found.get((row["variant"], ANY), ())
        rows.append(Row((row["condition"], row["variant"]), tuple(_cell(row, name, folders) for name in _COLUMNS)))
    name = file_name("comparison", catalogue, metric)
    title = f"Tests of {metric_name(metric)} on {catalogue}"
    return Table(name, title, _NOTE, ("condition", "method"), tuple(_COLUMNS.values()), tuple(rows))


def _cell(row: dict[str, Any], name: str, folders: tuple[str, ...]) -> Cell:
    star = name == "mean" and bool(row["best"] and row["star"])
    return Cell(row[name], n=row["n"] if name == "mean" else None, folders=folders, star=star)
