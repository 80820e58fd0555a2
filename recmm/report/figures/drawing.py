"""The static form of a figure: PNG and SVG for papers and for print."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from recmm.data.files.atomic import atomic_file
from recmm.report.figures.figure import Figure, band, categories, legend_shape
from recmm.report.figures.style import COLOURS, DASHES, HATCHES, MARKERS, STYLE, plain

_AXIS_WIDTH = 50  # characters


def draw(figure: Figure, folder: Path) -> tuple[Path, Path]:
    """Write ``<name>.png`` and ``<name>.svg`` into ``folder``; returns their paths."""
    with plt.rc_context(STYLE):  # type: ignore[arg-type]  # its keys are typed one by one
        columns, rows = legend_shape(figure)
        drawing, axes = plt.subplots(figsize=(4.8, 3.0 + 0.17 * rows), layout="constrained")
        (_draw_bars if figure.bars else _draw_lines)(axes, figure)
        axes.set(xlabel=plain(figure.x_label), ylabel=plain(figure.y_label))
        if figure.log_x:
            axes.set_xscale("log")
            places = sorted({float(place) for series in figure.series for place in series.x})
            axes.set_xticks(places, [f"{place:g}" for place in places])
            axes.minorticks_off()
        entries = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
        if rows:
            drawing.legend(
                entries.values(), entries.keys(), loc="outside lower center", ncols=columns, frameon=False, fontsize=8
            )
        paths = folder / f"{figure.name}.png", folder / f"{figure.name}.svg"
        for path in paths:
            kind = path.suffix[1:]
            metadata: dict[str, Any] = {"Date": None} if kind == "svg" else {}
            with atomic_file(path) as spare:
                drawing.savefig(spare, format=kind, dpi=200, metadata=metadata)
        plt.close(drawing)
    return paths


def _draw_lines(axes: Axes, figure: Figure) -> None:
    for series in figure.series:
        colour, marker, dash = COLOURS[series.style % 7], MARKERS[series.style % 8], DASHES[series.style // 7 % 4]
        axes.plot(
            series.x,
            series.y,
            color=colour,
            linestyle=dash,
            linewidth=1.4 if figure.markers else 0.9,
            marker=marker if figure.markers else None,
            markersize=5,
            label=plain(series.name),
        )
        if any(series.sd):
            axes.fill_between(series.x, *band(series), color=colour, alpha=0.15, linewidth=0)
    if not figure.markers:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _draw_bars(axes: Axes, figure: Figure) -> None:
    places = categories(figure)
    width = 0.8 / len(figure.series)
    for number, series in enumerate(figure.series):
        left = [places.index(place) + (number - (len(figure.series) - 1) / 2) * width for place in series.x]
        axes.bar(
            left,
            series.y,
            width,
            yerr=[sd or 0.0 for sd in series.sd] if any(series.sd) else None,
            color=COLOURS[series.style % 7],
            hatch=HATCHES[series.style % 7],
            edgecolor="white",
            error_kw={"elinewidth": 0.9, "capsize": 2, "ecolor": "#333333"},
            label=plain(series.name),
        )
    axes.set_xticks(range(len(places)), [plain(str(place)) for place in places])
    if sum(len(str(place)) + 2 for place in places) > _AXIS_WIDTH:
        axes.tick_params(axis="x", rotation=30)
        plt.setp(axes.get_xticklabels(), ha="right")
    axes.grid(visible=False, axis="x")
