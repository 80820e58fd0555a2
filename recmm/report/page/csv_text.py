"""A table of the report as CSV."""

import io
from collections.abc import Iterator, Sequence

from recmm.data.files.quoting import write_rows
from recmm.report.comparison.tables import Table
from recmm.report.results.cells import Cell


def to_csv(table: Table) -> str:
    """The table as CSV: one line per number, or per row where the table is ``wide``; numbers at full precision.

    ``shown`` is the number as the page prints it; ``folders`` are the runs behind it, separated by ``;``.
    """
    buffer = io.StringIO()
    write_rows(buffer, _wide(table) if table.wide else _long(table))
    return buffer.getvalue()


def _wide(table: Table) -> Iterator[list[str]]:
    yield [*table.labels, *table.columns, "folders"]
    for row in table.rows:
        yield [*row.labels, *(_plain(cell.value) for cell in row.cells), _folders(row.cells)]


def _long(table: Table) -> Iterator[list[str]]:
    measured = (
        "value",
        "sd",
        "n",
        "shown",
        "mark",
        "star",
        "below_popularity",
        "below_feature_free",
        "published",
        "folders",
    )
    yield [*table.labels, "column", *measured]
    for row in table.rows:
        for column, cell in zip(table.columns, row.cells, strict=True):
            if cell.value is None:
                continue
            numbers = [_plain(value) for value in (cell.value, cell.sd, cell.n)]
            below = ["yes" if flag else "" for flag in (cell.below_popularity, cell.below_feature_free)]
            flags = [cell.mark, "*" if cell.star else "", *below]
            yield [*row.labels, column, *numbers, cell.shown, *flags, cell.published or "", _folders([cell])]


def _plain(value: float | int | str | None) -> str:
    return "" if value is None else str(value)


def _folders(cells: Sequence[Cell]) -> str:
    return ";".join(dict.fromkeys(folder for cell in cells for folder in cell.folders))
