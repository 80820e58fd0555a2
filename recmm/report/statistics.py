"""The comparison of methods as tables of the report, and the stars that it allows."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import polars as pl

from recmm.errors import RunError
from recmm.report.comparison import compare
from recmm.report.labels import competing, conditions_of, metric_name
from recmm.report.results import Place, file_name
from recmm.report.runs import Runs
from recmm.report.tables import Cell, Row, Table

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
    "Best against each of the rest under one condition. Values per user are averaged over seeds and mask seeds and "
    "paired over users; p values are corrected by Holm's method within catalogue, condition and metric; intervals are "
    "bootstrapped over what stands beside them (seeds and mask seeds count from 3 on), and empty where not every seed "
    "met every mask seed. Published "
    "settings take no part, and of several settings of one model only the best on validation does."
)


def comparisons(runs: Runs, metrics: Sequence[str], monitor: str) -> tuple[list[Table], dict[Place, str], list[str]]:
    """Compare the methods of each catalogue by each metric.

    Args:
        runs: with names and links in their frame.
        metrics: such as recall@20.
        monitor: the validation metric by which the setting of a model that takes part was selected.

    Returns:
        The tables; which method has a star in which column; and one sentence for each comparison that was refused.
    """
    tables: list[Table] = []
    stars: dict[Place, str] = {}
    refused: list[str] = []
    frame = competing(runs.frame, monitor)
    for catalogue in frame["catalogue"].unique(maintain_order=True):
        own = replace(runs, frame=frame.filter(pl.col("catalogue") == catalogue))
        if own.frame["variant"].n_unique() < 2:
            continue
        for metric in metrics:
            try:
                compared = compare(own, metric)
            except RunError as error:
                refused.append(f"No test of {metric_name(metric)} on {catalogue}: {error}")
                continue
            best = compared.filter(pl.col("best") & pl.col("star"))
            stars |= {
                (catalogue, condition, metric): method for condition, method in best["condition", "variant"].rows()
            }
            tables.append(_table(catalogue, metric, compared, own.frame))
    return tables, stars, refused


def _table(catalogue: str, metric: str, compared: pl.DataFrame, frame: pl.DataFrame) -> Table:
    links = frame.group_by("variant", "condition").agg(pl.col("link").sort())
    found = {(variant, condition): tuple(folders) for variant, condition, folders in links.rows()}
    rows = []
    order = conditions_of(compared)
    for row in sorted(compared.to_dicts(), key=lambda row: order.index(row["condition"])):
        folders = found.get((row["variant"], row["condition"])) or found.get((row["variant"], "any"), ())
        rows.append(Row((row["condition"], row["variant"]), tuple(_cell(row, name, folders) for name in _COLUMNS)))
    name = file_name("comparison", catalogue, metric)
    title = f"Tests of {metric_name(metric)} on {catalogue}"
    return Table(name, title, _NOTE, ("condition", "method"), tuple(_COLUMNS.values()), tuple(rows))


def _cell(row: dict[str, Any], name: str, folders: tuple[str, ...]) -> Cell:
    star = name == "mean" and bool(row["best"] and row["star"])
    return Cell(row[name], n=row["n"] if name == "mean" else None, folders=folders, star=star)
