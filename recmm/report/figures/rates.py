"""Figures over the missing rate."""

import polars as pl

from recmm.report.figures.figure import BAND, Figure, Series
from recmm.report.results.cells import Cell, means
from recmm.report.results.naming import file_name, metric_name, short_name
from recmm.report.results.order import in_order
from recmm.report.results.results import Results


def over_rate(results: Results) -> list[Figure]:
    """Each metric over the missing rate, one line per method; one figure per catalogue, setting and metric."""
    return [
        figure
        for metric in results.metrics
        for figure in _figures(results.everywhere, f"test/{metric}", metric, f"{metric_name(metric)} on test")
    ]


def relative_over_rate(results: Results) -> list[Figure]:
    """Relative performance: each metric as a share of the method's full-modality result, over the missing rate.

    There is no figure where no method ran with full modality.
    """
    return [
        figure
        for metric in results.metrics
        for figure in _figures(
            results.relative,
            f"relative/{metric}",
            f"degradation-{metric}",
            f"{metric_name(metric)} relative to full modality",
        )
    ]


def _figures(frame: pl.DataFrame, column: str, name: str, y_label: str) -> list[Figure]:
    figures = []
    rated = frame.drop_nulls("rate")
    for (catalogue, missing), group in rated.group_by("catalogue", "missing", maintain_order=True):
        if group["rate"].n_unique() < 2:
            continue
        series = _lines(group, column)
        if series:
            figures.append(
                Figure(
                    name=file_name("rate", name, str(catalogue), str(missing)),
                    title=f"{y_label}, {catalogue}, missing={missing}",
                    note=BAND,
                    x_label="missing rate",
                    y_label=y_label,
                    series=tuple(series),
                )
            )
    return figures


def _lines(group: pl.DataFrame, column: str) -> list[Series]:
    """One line per method, or per method and further parameters where conditions differ in more than the rate."""
    apart = _with_other_parameters(group)
    several = apart["other"].n_unique() > 1
    cells = means(apart.sort("rate"), ("method", "other", "rate"), column)
    lines: dict[tuple[str, str], list[tuple[float, Cell]]] = {}
    for (method, other, rate), cell in cells.items():
        lines.setdefault((method, other), []).append((rate, cell))
    # A line needs two points: settings that were run at a single rate are left out.
    names = [
        (method, other)
        for method in in_order(group, "method")
        for other in sorted(set(apart["other"]))
        if len(lines.get((method, other), ())) > 1
    ]
    return [
        Series.of_means(f"{method}, {other}" if several else method, lines[method, other], style)
        for style, (method, other) in enumerate(names)
    ]


def _with_other_parameters(group: pl.DataFrame) -> pl.DataFrame:
    """Add *other*: the imputer and the parameters, besides rate and seed, that differ among the conditions."""
    names = [name for name in group.columns if name.startswith("config/missing.")]
    told = ("rate", "train_rate", "test_rate", "seed")  # where a row has a rate, all of its rates are equal
    names = ["imputer", *(name for name in names if short_name(name) not in told)]
    varying = [name for name in names if group[name].n_unique() > 1]
    parts = [pl.format(f"{short_name(name)}={{}}", pl.col(name).cast(pl.String).fill_null("none")) for name in varying]
    return group.with_columns(other=pl.concat_str(parts, separator=", ") if parts else pl.lit(""))
