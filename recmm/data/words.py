"""What a foreign file says, fit to stand in a message."""

import reprlib
from typing import Any

SHOWN = 200  # characters


def shown(text: object) -> str:
    """``str(text)``, cut, and with what a terminal could act on or not print as an escape such as ``\\x1b``."""
    words = str(text)
    cut = words[:SHOWN] + ("..." if len(words) > SHOWN else "")
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in cut)


def shown_value(value: Any) -> str:
    """A value as Python writes it, cut in length and depth however large it is."""
    return shown(_SHORT.repr(value))


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80
