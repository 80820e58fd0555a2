"""Bars of the models that are variants of one class."""

import polars as pl

from recmm.report.figures.figure import Figure, Series
from recmm.report.results.cells import means
from recmm.report.results.naming import file_name, metric_name
from recmm.report.results.order import in_order
from recmm.report.results.results import Results


def ablations(results: Results) -> list[Figure]:
    """One figure per catalogue, class and metric, by condition. Of several settings of one model the selected one."""
    selected = results.everywhere.filter("selected")
    return [
        _figure(str(catalogue), str(family), metric, group)
        for (catalogue, family), group in selected.group_by("catalogue", "family", maintain_order=True)
        if group["model"].n_unique() > 1
        for metric in results.metrics
    ]


def _figure(catalogue: str, family: str, metric: str, group: pl.DataFrame) -> Figure:
    order = in_order(group, "condition")
    cells = means(group, ("method", "condition"), f"test/{metric}")
    series = []
    for style, method in enumerate(in_order(group, "method")):
        points = [(place, cells[method, place]) for place in order if (method, place) in cells]
        series.append(Series.of_means(method, points, style))
    return Figure(
        name=file_name("ablation", family, metric, catalogue),
        title=f"{metric_name(metric)} of the variants of {family}, {catalogue}",
        note="Bar: mean over seeds and mask seeds; whisker: ± one standard deviation.",
        x_label="missing setting",
        y_label=f"{metric_name(metric)} on test",
        series=tuple(series),
        bars=True,
    )
