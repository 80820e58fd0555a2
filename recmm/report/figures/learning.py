"""Learning curves."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from recmm.report.figures.figure import Figure, Series
from recmm.report.results.naming import file_name, metric_name
from recmm.report.results.results import Results


def learning_curves(results: Results, histories: Mapping[str, pl.DataFrame]) -> list[Figure]:
    """The monitored metric by epoch: one figure per catalogue and model, one line per run, a colour per condition.

    Args:
        results: the table of results.
        histories: folder -> the run's metrics by epoch.
    """
    figures = []
    monitor = results.monitor
    for (catalogue, model), group in results.frame.group_by("catalogue", "model", maintain_order=True):
        series = _lines(group, histories, monitor)
        if any(line.x for line in series):
            figures.append(
                Figure(
                    name=file_name("learning", str(model), str(catalogue)),
                    title=f"{monitor} of {model} by epoch, {catalogue}",
                    note="One line per run.",
                    x_label="epoch",
                    y_label=metric_name(monitor.removeprefix("val/")) + " on validation",
                    series=tuple(series),
                    markers=False,
                )
            )
    return figures


def _lines(group: pl.DataFrame, histories: Mapping[str, pl.DataFrame], monitor: str) -> list[Series]:
    names = {row["link"]: _run_group(row, group) for row in group.to_dicts()}
    styles = {name: style for style, name in enumerate(sorted(set(names.values())))}
    series = []
    for row in group.sort("condition", "rate", "seed").to_dicts():
        history = histories.get(row["folder"])
        if history is None or monitor not in history.columns:
            continue
        points = history.select("epoch", pl.col(monitor).cast(pl.Float64)).drop_nulls()
        name = names[row["link"]]
        hover = tuple(
            f"{name}, seed {row['seed']}\nepoch {epoch}: {value:.4f}\n{row['link']}" for epoch, value in points.rows()
        )
        values = tuple(points[monitor].to_list())
        series.append(
            Series(name, tuple(points["epoch"].to_list()), values, (None,) * len(values), hover, styles[name])
        )
    return series


def _run_group(row: dict[str, Any], group: pl.DataFrame) -> str:
    """The name of this run's line: its condition and method, each where it differs within the figure."""
    parts = [row[name] for name in ("condition", "method") if group[name].n_unique() > 1]
    return ", ".join(parts) or row["method"]
