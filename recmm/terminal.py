"""What reaches the terminal: no character that it would act on, and none that its encoding cannot write."""

import io
import logging
import sys
import unicodedata

ACTED_ON = ("Cc", "Cs", "Zl", "Zp")  # Unicode's categories of controls, halves of surrogates, line and paragraph ends
TURNING = {*range(0x202A, 0x202F), *range(0x2066, 0x206A)}  # characters that change the direction of writing


def printable(text: str) -> str:
    """``text`` with everything that a terminal acts on as an escape such as ``\\x1b``; newlines and tabs stay."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(escaped(letter) if is_control(letter) and letter not in "\n\t" else letter for letter in text)


def is_control(letter: str) -> bool:
    """Whether a terminal acts on this character, or cannot be sent it."""
    return unicodedata.category(letter) in ACTED_ON or ord(letter) in TURNING


def escaped(letter: str) -> str:
    """``\\x1b`` for the escape character, and so on."""
    return letter.encode("unicode_escape").decode()


def prepare_terminal() -> None:
    """Called once where a program starts, before anything is printed.

    From then on characters that stdout or stderr cannot encode are replaced, and log messages, which may quote a
    foreign file, pass through ``printable``.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
            stream.reconfigure(errors="replace")
    logging.setLogRecordFactory(_Record)


class _Record(logging.LogRecord):
    def getMessage(self) -> str:
        return printable(super().getMessage())
