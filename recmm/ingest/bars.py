"""Progress bars on stderr, so that stdout holds results alone."""

from collections.abc import Iterable
from typing import TypeVar

from rich.console import Console
from rich.progress import track

T = TypeVar("T")


def bar(items: Iterable[T], description: str, *, total: float | None = None) -> Iterable[T]:
    """``items`` one by one, under a bar that shows, where ``total`` or their number is known, how much is left.

    Where stderr is no terminal there is no bar: a transient one would leave an empty line in every log.
    """
    console = Console(stderr=True)
    return track(items, description, total=total, console=console, transient=True, disable=not console.is_terminal)
