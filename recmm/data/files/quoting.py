"""Text and values of a foreign file, made harmless: printable in a message, and no formula in a spreadsheet."""

import csv
import reprlib
from collections.abc import Iterable
from typing import Any, TextIO

from recmm.terminal import escaped

SHOWN = 200  # characters
STARTS = ("=", "+", "-", "@", "\t", "\r")  # a cell that starts so is a formula to a spreadsheet, and is executed


def shown(text: object) -> str:
    """``str(text)``, cut, and with what a terminal could act on or not print as an escape such as ``\\x1b``."""
    words = str(text)
    cut = words[:SHOWN] + ("..." if len(words) > SHOWN else "")
    return "".join(letter if letter.isprintable() else escaped(letter) for letter in cut)


def shown_value(value: Any) -> str:
    """A value as Python writes it, cut in length and depth however large it is."""
    return shown(_SHORT.repr(value))


class _Short(reprlib.Repr):
    def repr_int(self, x: int, level: int) -> str:
        # Python refuses to write long ones in digits.
        return super().repr_int(x, level) if x.bit_length() < 1000 else f"a number of {x.bit_length():,} bits"


_SHORT = _Short()
_SHORT.maxstring = _SHORT.maxother = 80


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
