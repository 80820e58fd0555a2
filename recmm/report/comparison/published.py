"""Numbers of papers, beside what was measured under the same dataset, setting, method, rate and metric."""

from collections.abc import Mapping

import polars as pl

from recmm.report.comparison.tables import Row, Table
from recmm.report.results.cells import Cell
from recmm.report.results.results import Results

Printed = Mapping[tuple[str, str, str, str], str]
"""Catalogue, method, condition and metric -> the number as it is printed."""

_KEYS = ("dataset", "missing", "model", "rate", "metric")
_ROW = ("table", "dataset", "missing", "rate", "method", "variant")


def match(results: Results, published: pl.DataFrame) -> tuple[Printed, pl.DataFrame]:
    """Join printed numbers to measured ones on dataset, missing, method (the model's name), metric and rate.

    A model with several variants under one condition takes none, since the file does not say which of them is the
    paper's. A place for which different numbers are printed takes none either.

    Args:
        results: the table of results.
        published: as ``read_published`` returns it.

    Returns:
        The printed numbers that belong to a measured one, and the rows of ``published`` that do not.
    """
    wanted = published.rename({"method": "model"}).with_row_index("row")
    printed = wanted.drop_nulls("value").filter(pl.col("value").n_unique().over(_KEYS) == 1)
    places = ("dataset", "missing", "model", "rate")
    measured = results.everywhere.select("catalogue", "method", "condition", *places).unique(maintain_order=True)
    alone = measured.filter(pl.len().over("catalogue", "condition", "model") == 1)
    joined = alone.join(printed, on=places, how="inner", nulls_equal=True)
    found = {
        (row["catalogue"], row["method"], row["condition"], row["metric"]): row["value"] for row in joined.to_dicts()
    }
    return found, wanted.filter(~pl.col("row").is_in(joined["row"].implode())).rename({"model": "method"}).drop("row")


def published_table(rest: pl.DataFrame) -> Table | None:
    """The printed numbers without a measured one, a column per metric; None where there are none."""
    if rest.is_empty():
        return None
    metrics = tuple(rest["metric"].unique(maintain_order=True))
    rows = []
    for key, group in rest.group_by(_ROW, maintain_order=True):
        values = dict(group.select("metric", "value").rows())
        notes = "; ".join(group["note"].drop_nulls().unique(maintain_order=True))
        labels = tuple("" if part is None else str(part) for part in key)
        rows.append(Row(labels, (*(Cell(values.get(metric)) for metric in metrics), Cell(notes or None))))
    note = "As printed in the papers. A row without numbers stands for a figure that prints none."
    title = "Published numbers without a measured counterpart"
    return Table("published", title, note, _ROW, (*metrics, "note"), tuple(rows), wide=True)
