"""What a figure of the report is, and its static form: PNG and SVG for papers and for print."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes

from recmm.data.files.atomic import atomic_file

matplotlib.use("Agg")  # no screen is needed

import matplotlib.pyplot as plt
from matplotlib.ticker import MaxNLocator

# Okabe and Ito's palette without its yellow, which white paper swallows; markers and dashes tell apart without colour.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES = ("-", "--", ":", "-.")
HATCHES = ("", "//", "..", "xx", "\\\\", "oo", "++")
_LEGEND_WIDTH, _AXIS_WIDTH = 72, 50  # characters
STYLE: dict[str, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e3e3e3",
    "axes.axisbelow": True,
    "svg.hashsalt": "recmm",  # the same numbers give the same file
    "hatch.linewidth": 0.6,
}


@dataclass(frozen=True)
class Series:
    """One line, or one group of bars.

    Attributes:
        name: its entry in the legend; series of one name share one entry.
        x: places on the axis, numbers of a line or categories of bars.
        y: values.
        sd: standard deviations for the band or the error bar, None where there is one run.
        hover: what a reader sees who points at a value.
        style: which colour, marker and dash; the same method has the same one in all figures of a report.
    """

    name: str
    x: tuple[float, ...] | tuple[str, ...]
    y: tuple[float, ...]
    sd: tuple[float | None, ...]
    hover: tuple[str, ...]
    style: int

    def __post_init__(self) -> None:
        if len({len(self.x), len(self.y), len(self.sd), len(self.hover)}) != 1:
            raise ValueError(f"series {self.name}: x, y, sd and hover differ in length")


@dataclass(frozen=True)
class Figure:
    """A figure of the report.

    Attributes:
        name: stem of its files, safe as a file name.
        title, note: above and below it.
        x_label, y_label: with units.
        series: lines or groups of bars.
        bars: whether x holds categories.
        log_x: whether the axis of x is logarithmic.
        markers: False for lines of very many points.
        section: where in the report it stands.
    """

    name: str
    section: str
    title: str
    note: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    bars: bool = False
    log_x: bool = False
    markers: bool = True


def categories(figure: Figure) -> list[Any]:
    """The categories of a bar chart in the order of their first appearance."""
    return list(dict.fromkeys(place for series in figure.series for place in series.x))


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


def legend_shape(figure: Figure) -> tuple[int, int]:
    """Columns and rows of the legend below the axes, by the longest name; no row where there is one name only."""
    names = {series.name for series in figure.series}
    columns = max(1, min(4, _LEGEND_WIDTH // (max(map(len, names)) + 6)))
    return columns, math.ceil(len(names) / columns) if len(names) > 1 else 0


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


def band(series: Series) -> tuple[list[float], list[float]]:
    """Lower and upper edge of mean ± sd; both on the line where there is one run."""
    spread: Sequence[float] = [sd or 0.0 for sd in series.sd]
    low = [y - s for y, s in zip(series.y, spread, strict=True)]
    return low, [y + s for y, s in zip(series.y, spread, strict=True)]


def plain(text: str) -> str:
    """Without Matplotlib's mathematics, and never a name that its legends hide."""
    text = text.replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text
