"""What a table of the report is: rows of cells that know their runs; best and second best; the same as CSV."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

DIGITS = 4


@dataclass(frozen=True)
class Cell:
    """One number of a table, or one word, with the runs it came from.

    Attributes:
        value: the number at full precision, a text, or None where nothing was measured.
        sd: sample standard deviation over the runs, None with a single run.
        n: number of runs averaged.
        folders: the runs' folders, relative to the report's.
        digits: decimals shown of a float.
        ranked: whether it competes for best and second best of its column.
        mark: "best", "second" or "".
        star: the best is better than every other method by the corrected test.
        below_floor: less than what popularity reaches in the same column.
        published: what a paper prints for the same method, condition and metric, as it is printed.
    """

    value: float | int | str | None = None
    sd: float | None = None
    n: int | None = None
    folders: tuple[str, ...] = ()
    digits: int = DIGITS
    ranked: bool = True
    mark: str = ""
    star: bool = False
    below_floor: bool = False
    published: str | None = None

    @property
    def shown(self) -> str:
        """The value as every form of the table prints it."""
        return show(self.value, self.digits)

    @property
    def shown_sd(self) -> str:
        """The standard deviation with the value's decimals, "" without one."""
        return "" if self.sd is None else show(self.sd, self.digits)


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
        wide: every row is one run; the CSV then has the page's columns instead of one line per number.
    """

    name: str
    title: str
    note: str
    labels: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    wide: bool = False


def show(value: float | int | str | None, digits: int = DIGITS) -> str:
    """A number with ``digits`` decimals, a whole number or text as it is, "" for None and what is not finite."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    return f"{value:.{digits}f}" if isinstance(value, float) else str(value)


def mark_best(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Mark the highest and the second highest of the ranked numbers of each column.

    Numbers that are shown alike share a mark. A column with a single ranked number has nothing to be best of.
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


def to_csv(table: Table) -> str:
    """The table as CSV: one line per number, or per run where the table is ``wide``; numbers at full precision.

    ``shown`` is the number as the page prints it; ``folders`` are the runs behind it, separated by ``;``.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    if table.wide:
        writer.writerow([*table.labels, *table.columns, "folders"])
        for row in table.rows:
            writer.writerow([*row.labels, *(_plain(cell.value) for cell in row.cells), _folders(row.cells)])
        return buffer.getvalue()
    measured = ("value", "sd", "n", "shown", "mark", "star", "below_popularity", "published", "folders")
    writer.writerow([*table.labels, "column", *measured])
    for row in table.rows:
        for column, cell in zip(table.columns, row.cells, strict=True):
            if cell.value is None:
                continue
            numbers = [_plain(value) for value in (cell.value, cell.sd, cell.n)]
            flags = [cell.mark, "*" if cell.star else "", "yes" if cell.below_floor else ""]
            writer.writerow([*row.labels, column, *numbers, cell.shown, *flags, cell.published or "", _folders([cell])])
    return buffer.getvalue()


def _plain(value: float | int | str | None) -> str:
    return "" if value is None else str(value)


def _folders(cells: Sequence[Cell]) -> str:
    return ";".join(dict.fromkeys(folder for cell in cells for folder in cell.folders))
