"""The report's figures, from a frame of runs with names (``labels.with_names``) and links."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from recmm.report.figures import Figure, Series
from recmm.report.labels import conditions_of, methods_of, metric_name, selected, short_name
from recmm.report.results import file_name, means, relative_to_full
from recmm.report.tables import Cell

RATES, SETTINGS, ABLATION = "Missing rate", "Hyper-parameters", "Ablation"
DEGRADATION, LEARNING = "Degradation", "Learning curves"
_BAND = "Line: mean over seeds and mask seeds; band: ± one standard deviation."
_LOGARITHMIC_FROM = 20  # largest over smallest value of a swept hyper-parameter
_FOLDERS_IN_HOVER = 4


def over_rate(frame: pl.DataFrame, metrics: Sequence[str]) -> list[Figure]:
    """Each metric over the missing rate, one line per method; one figure per catalogue, setting and metric."""
    return [
        figure
        for metric in metrics
        for figure in _over_rate(frame, f"test/{metric}", metric, RATES, f"{metric_name(metric)} on test")
    ]


def degradation(frame: pl.DataFrame, metrics: Sequence[str]) -> list[Figure]:
    """The share of each method's full-modality result over the missing rate; nothing where nothing ran with full."""
    relative = relative_to_full(frame, metrics)
    return [
        figure
        for metric in metrics
        for figure in _over_rate(
            relative,
            f"relative/{metric}",
            f"degradation-{metric}",
            DEGRADATION,
            f"{metric_name(metric)} relative to full modality",
        )
    ]


def _over_rate(frame: pl.DataFrame, column: str, name: str, section: str, y_label: str) -> list[Figure]:
    figures = []
    rated = frame.drop_nulls("rate")
    for (catalogue, missing), group in rated.group_by("catalogue", "missing", maintain_order=True):
        if group["rate"].n_unique() < 2:
            continue
        # Conditions of one setting that differ in more than the rate (another imputer, say) have lines of their own.
        apart = _other_parameters(group)
        several = apart["apart"].n_unique() > 1
        cells = means(apart.sort("rate"), ("method", "apart", "rate"), column)
        lines: dict[tuple[str, str], list[tuple[float, Cell]]] = {}
        for (method, other, rate), cell in cells.items():
            lines.setdefault((method, other), []).append((rate, cell))
        # One point is no curve: the many settings of a sweep that was run at a single rate stay out.
        names = [
            (method, other)
            for method in methods_of(group)
            for other in sorted(set(apart["apart"]))
            if len(lines.get((method, other), ())) > 1
        ]
        series = [
            _series(f"{method}, {other}" if several else method, lines[method, other], style)
            for style, (method, other) in enumerate(names)
        ]
        if not series:
            continue
        figures.append(
            Figure(
                name=file_name("rate", name, str(catalogue), str(missing)),
                section=section,
                title=f"{y_label}, {catalogue}, missing={missing}",
                note=_BAND,
                x_label="missing rate",
                y_label=y_label,
                series=tuple(series),
            )
        )
    return figures


def _other_parameters(group: pl.DataFrame) -> pl.DataFrame:
    """Add *apart*: what else than its rate and its seed differs among the conditions of one setting."""
    names = [name for name in group.columns if name.startswith("config/missing.")]
    told = ("rate", "train_rate", "test_rate", "seed")  # where a row has a rate, all of its rates are equal
    names = ["imputer", *(name for name in names if short_name(name) not in told)]
    varying = [name for name in names if group[name].n_unique() > 1]
    parts = [pl.format(f"{short_name(name)}={{}}", pl.col(name).cast(pl.String).fill_null("none")) for name in varying]
    return group.with_columns(apart=pl.concat_str(parts, separator=", ") if parts else pl.lit(""))


def over_settings(
    frame: pl.DataFrame, hyper_parameters: Mapping[str, Sequence[str]], metrics: Sequence[str]
) -> list[Figure]:
    """Each metric over each numeric hyper-parameter of a model that was swept, with all others held equal.

    Args:
        frame: the runs.
        hyper_parameters: model -> the columns in which its variants differ.
        metrics: such as recall@20.
    """
    figures = []
    for (catalogue, model), group in frame.group_by("catalogue", "model", maintain_order=True):
        columns = list(hyper_parameters.get(str(model), ()))
        for column in columns:
            if not group[column].dtype.is_numeric() or group[column].drop_nulls().n_unique() < 2:
                continue
            held = ["condition", "settings_source", *(other for other in columns if other != column)]
            varying = [name for name in held if group[name].n_unique() > 1]
            for metric in metrics:
                series = _setting_lines(group, column, held, varying, f"test/{metric}")
                if not series:
                    continue
                places = [float(place) for line in series for place in line.x]
                title = f"{metric_name(metric)} of {model} over {short_name(column)}, {catalogue}"
                figures.append(
                    Figure(
                        name=file_name("setting", str(model), short_name(column), metric, str(catalogue)),
                        section=SETTINGS,
                        title=title,
                        note=_BAND,
                        x_label=short_name(column),
                        y_label=f"{metric_name(metric)} on test",
                        series=tuple(series),
                        log_x=min(places) > 0 and max(places) / min(places) >= _LOGARITHMIC_FROM,
                    )
                )
    return figures


def _setting_lines(
    group: pl.DataFrame, column: str, held: Sequence[str], varying: Sequence[str], metric: str
) -> list[Series]:
    """One line per combination of what is held, where at least two values of the column were run under it."""
    cells = means(group.drop_nulls(column).sort(column), (*held, column), metric)
    lines: dict[tuple[Any, ...], list[tuple[float, Cell]]] = {}
    for (*combination, place), cell in cells.items():
        lines.setdefault(tuple(combination), []).append((float(place), cell))
    series: list[Series] = []
    for values, points in lines.items():
        if len(points) > 1:
            shown = [_held(name, value) for name, value in zip(held, values, strict=True) if name in varying]
            series.append(_series(", ".join(shown) or "test", points, len(series)))
    return series


def _held(name: str, value: Any) -> str:
    if name in ("condition", "settings_source"):
        return str(value)
    return f"{short_name(name)}={value:g}" if isinstance(value, int | float) else f"{short_name(name)}={value}"


def ablations(frame: pl.DataFrame, metrics: Sequence[str], monitor: str) -> list[Figure]:
    """Bars of the models that are variants of one class, by condition; of several settings the selected one.

    Args:
        frame: the runs.
        metrics: such as recall@20.
        monitor: the validation metric that selects.
    """
    figures = []
    for (catalogue, family), group in selected(frame, monitor).group_by("catalogue", "family", maintain_order=True):
        if group["model"].n_unique() < 2:
            continue
        order = conditions_of(group)
        for metric in metrics:
            cells = means(group, ("method", "condition"), f"test/{metric}")
            series = []
            for style, method in enumerate(methods_of(group)):
                points = [(place, cells[method, place]) for place in order if (method, place) in cells]
                series.append(_series(method, points, style))
            title = f"{metric_name(metric)} of the variants of {family}, {catalogue}"
            figures.append(
                Figure(
                    name=file_name("ablation", str(family), metric, str(catalogue)),
                    section=ABLATION,
                    title=title,
                    note="Bar: mean over seeds and mask seeds; whisker: ± one standard deviation.",
                    x_label="missing setting",
                    y_label=f"{metric_name(metric)} on test",
                    series=tuple(series),
                    bars=True,
                )
            )
    return figures


def learning_curves(own: pl.DataFrame, histories: Mapping[str, pl.DataFrame], monitor: str) -> list[Figure]:
    """The metric that selects, by epoch: one figure per catalogue and model, one line per run, a colour per condition.

    Args:
        own: the runs as they are.
        histories: folder -> the run's metrics by epoch.
        monitor: the column to show, such as val/recall@20.
    """
    figures = []
    for (catalogue, model), group in own.group_by("catalogue", "model", maintain_order=True):
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
                f"{name}, seed {row['seed']}\nepoch {epoch}: {value:.4f}\n{row['link']}"
                for epoch, value in points.rows()
            )
            values = tuple(points[monitor].to_list())
            series.append(
                Series(name, tuple(points["epoch"].to_list()), values, (None,) * len(values), hover, styles[name])
            )
        if any(line.x for line in series):
            figures.append(
                Figure(
                    name=file_name("learning", str(model), str(catalogue)),
                    section=LEARNING,
                    title=f"{monitor} of {model} by epoch, {catalogue}",
                    note="One line per run.",
                    x_label="epoch",
                    y_label=metric_name(monitor.removeprefix("val/")) + " on validation",
                    series=tuple(series),
                    markers=False,
                )
            )
    return figures


def _run_group(row: dict[str, Any], group: pl.DataFrame) -> str:
    """What tells this run apart within the figure of its model: condition and variant where they differ."""
    parts = [row[name] for name in ("condition", "method") if group[name].n_unique() > 1]
    return ", ".join(parts) or row["method"]


def _series(name: str, points: Iterable[tuple[Any, Cell]], style: int) -> Series:
    """Means with their spread; hovering tells the number, over how many runs, and their folders."""
    kept = [(place, cell) for place, cell in points if isinstance(cell.value, float)]
    return Series(
        name=name,
        x=tuple(place for place, _ in kept),
        y=tuple(cell.value for _, cell in kept),  # type: ignore[misc]
        sd=tuple(cell.sd for _, cell in kept),
        hover=tuple(_hover(name, place, cell) for place, cell in kept),
        style=style,
    )


def _hover(name: str, place: Any, cell: Cell) -> str:
    where = f"{place:g}" if isinstance(place, int | float) else str(place)
    spread = f" ± {cell.shown_sd}" if cell.shown_sd else ""
    folders = [Path(folder).name for folder in cell.folders[:_FOLDERS_IN_HOVER]]
    more = len(cell.folders) - len(folders)
    return "\n".join(
        [
            f"{name} at {where}",
            f"{cell.shown}{spread} (n = {cell.n})",
            *folders,
            *([f"and {more} more"] if more else []),
        ]
    )
