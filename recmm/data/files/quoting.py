"""Text and values of a foreign file, made short and printable for a message."""

import reprlib
from typing import Any

from recmm.terminal import escaped

SHOWN = 200  # characters


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
