"""Figures over swept hyper-parameters."""

from collections.abc import Sequence
from typing import Any

import polars as pl

from recmm.report.figures.figure import BAND, Figure, Series
from recmm.report.results.cells import Cell, means
from recmm.report.results.naming import file_name, metric_name, short_name
from recmm.report.results.results import Results

_LOGARITHMIC_FROM = 20  # largest over smallest value of a swept hyper-parameter


def over_hyper_parameters(results: Results) -> list[Figure]:
    """Each metric over each numeric hyper-parameter of a model that was swept, with all others held equal."""
    figures = []
    for (catalogue, model), group in results.everywhere.group_by("catalogue", "model", maintain_order=True):
        columns = results.hyper_parameters.get(str(model), [])
        for column in columns:
            if not group[column].dtype.is_numeric() or group[column].drop_nulls().n_unique() < 2:
                continue
            held = ["condition", "settings_source", *(other for other in columns if other != column)]
            for metric in results.metrics:
                series = _lines(group, column, held, f"test/{metric}")
                if series:
                    figures.append(_figure(str(catalogue), str(model), short_name(column), metric, series))
    return figures


def _figure(catalogue: str, model: str, setting: str, metric: str, series: Sequence[Series]) -> Figure:
    places = [float(place) for line in series for place in line.x]
    return Figure(
        name=file_name("setting", model, setting, metric, catalogue),
        title=f"{metric_name(metric)} of {model} over {setting}, {catalogue}",
        note=BAND,
        x_label=setting,
        y_label=f"{metric_name(metric)} on test",
        series=tuple(series),
        log_x=min(places) > 0 and max(places) / min(places) >= _LOGARITHMIC_FROM,
    )


def _lines(group: pl.DataFrame, column: str, held: Sequence[str], metric: str) -> list[Series]:
    """One line per combination of the columns that are held, where it was run with at least two values of ``column``.

    A line is named by those held columns that vary.
    """
    varying = [name for name in held if group[name].n_unique() > 1]
    cells = means(group.drop_nulls(column).sort(column), (*held, column), metric)
    lines: dict[tuple[Any, ...], list[tuple[float, Cell]]] = {}
    for (*combination, place), cell in cells.items():
        lines.setdefault(tuple(combination), []).append((float(place), cell))
    series: list[Series] = []
    for values, points in lines.items():
        if len(points) > 1:
            shown = [_held(name, value) for name, value in zip(held, values, strict=True) if name in varying]
            series.append(Series.of_means(", ".join(shown) or "test", points, len(series)))
    return series


def _held(name: str, value: Any) -> str:
    if name in ("condition", "settings_source"):
        return str(value)
    return f"{short_name(name)}={value:g}" if isinstance(value, int | float) else f"{short_name(name)}={value}"
