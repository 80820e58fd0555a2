"""What a table of the report is: rows of cells, the marks of best and second best, and the note below it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from recmm.report.results.cells import Cell


@dataclass(frozen=True)
class Row:
    """A row: its labels and one cell per column."""

    labels: tuple[str, ...]
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Table:
    """A table of the report.

    Attributes:
        name: stem of its files, safe as a file name.
        title: one line above it.
        note: what a reader has to know to read the numbers.
        labels: headings of the rows' labels.
        columns: headings of the cells.
        rows: in the order of the page.
        wide: whether the CSV has the page's columns (one line per row) instead of one line per number.
    """

    name: str
    title: str
    note: str
    labels: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    wide: bool = False


def row_of(labels: tuple[str, ...], cells: Mapping[tuple[Any, ...], Cell], columns: Sequence[str]) -> Row:
    """The row with these labels: ``cells[*labels, column]`` for each column, empty where nothing was measured."""
    return Row(labels, tuple(cells.get((*labels, column), Cell()) for column in columns))


def mark_best(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Mark the highest and the second highest of the ranked numbers of each column.

    Numbers that are shown alike share a mark. A column with a single ranked number has no mark.
    """
    columns = zip(*(row.cells for row in rows), strict=True)
    return tuple(
        replace(row, cells=cells)
        for row, cells in zip(rows, zip(*map(_mark_column, columns), strict=True), strict=True)
    )


def _mark_column(column: Sequence[Cell]) -> list[Cell]:
    numbers = [cell.shown for cell in column if cell.ranked and isinstance(cell.value, float) and cell.shown]
    places = sorted(set(numbers), key=float, reverse=True) if len(numbers) > 1 else []
    marks = dict(zip(places, ("best", "second"), strict=False))
    return [replace(cell, mark=marks.get(cell.shown, "")) if cell.ranked else cell for cell in column]


def note_of(rows: Sequence[Row], what: str, of: str = "runs") -> str:
    """The note below a table: what it shows, over how many runs, and the meaning of the marks that occur in it."""
    cells = [cell for row in rows for cell in row.cells if cell.n]
    least, most = min((cell.n or 0 for cell in cells), default=0), max((cell.n or 0 for cell in cells), default=0)
    sentences = [what, f"n = {least} {of} per number" if least == most else f"n = {least} to {most} {of} per number"]
    if any(cell.mark for cell in cells):
        sentences.append("Bold: best of the column; underlined: second best")
    if any(cell.star for cell in cells):
        sentences.append("*: better than every other method of the column, paired test, Holm-corrected p < 0.05")
    if any(cell.below_popularity for cell in cells):
        sentences.append("▽: below the popularity baseline")
    if any(cell.below_feature_free for cell in cells):
        sentences.append("◇: below the best method that sees no feature under the same budget or a smaller one")
    if any(cell.published is not None for cell in cells):
        sentences.append("In brackets: the number that the paper prints")
    if any(label.endswith("†") for row in rows for label in row.labels):
        sentences.append("†: settings published by a paper; they were chosen on its test set and are not ranked")
    return ". ".join(sentences) + "."
