"""What a figure of the report is: lines or bars with their spread, independent of how it is drawn."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from recmm.report.results.cells import Cell

BAND = "Line: mean over seeds and mask seeds; band: ± one standard deviation."
_LEGEND_WIDTH = 72  # characters
_FOLDERS_IN_HOVER = 4


@dataclass(frozen=True)
class Series:
    """One line, or one group of bars.

    Attributes:
        name: its entry in the legend; series of one name share one entry.
        x: places on the axis, numbers of a line or categories of bars.
        y: values.
        sd: standard deviations for the band or the error bar, None where there is one run.
        hover: the text that is shown when a reader points at a value.
        style: which colour, marker and dash.
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

    @classmethod
    def of_means(cls, name: str, points: Iterable[tuple[Any, Cell]], style: int) -> Self:
        """Means with their spread. The hover text has the number, over how many runs it is, and their folders.

        Args:
            name: of the series.
            points: place on the axis of x, and the mean there; empty cells are left out.
            style: of the series.
        """
        kept = [(place, cell) for place, cell in points if isinstance(cell.value, float)]
        return cls(
            name=name,
            x=tuple(place for place, _ in kept),
            y=tuple(cell.value for _, cell in kept),  # type: ignore[misc]
            sd=tuple(cell.sd for _, cell in kept),
            hover=tuple(_hover(name, place, cell) for place, cell in kept),
            style=style,
        )


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
    """

    name: str
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


def legend_shape(figure: Figure) -> tuple[int, int]:
    """Columns and rows of the legend below the axes, by the longest name. A single name has no legend: 0 rows."""
    names = {series.name for series in figure.series}
    columns = max(1, min(4, _LEGEND_WIDTH // (max(map(len, names)) + 6)))
    return columns, math.ceil(len(names) / columns) if len(names) > 1 else 0


def band(series: Series) -> tuple[list[float], list[float]]:
    """Lower and upper edge of mean ± sd; both equal the mean where there is one run."""
    spread: Sequence[float] = [sd or 0.0 for sd in series.sd]
    low = [y - s for y, s in zip(series.y, spread, strict=True)]
    return low, [y + s for y, s in zip(series.y, spread, strict=True)]


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
