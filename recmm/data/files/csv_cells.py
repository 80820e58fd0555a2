"""Cells of tables that recmm writes as CSV, which people open in spreadsheets."""

import csv
from collections.abc import Iterable
from typing import Any, TextIO

STARTS = ("=", "+", "-", "@", "\t", "\r")  # a cell that starts so is a formula to a spreadsheet, and is executed


def write_rows(file: TextIO, rows: Iterable[Iterable[Any]]) -> None:
    """Write rows as CSV; a text that a spreadsheet would execute gets an apostrophe in front, numbers stay."""
    csv.writer(file, lineterminator="\n").writerows([inert(cell) for cell in row] for row in rows)


def inert(cell: Any) -> Any:
    """``cell``, with an apostrophe in front where a spreadsheet would execute it; "-0.5" is a number and stays."""
    if not isinstance(cell, str) or len(cell) == 1 or not cell.startswith(STARTS):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell
