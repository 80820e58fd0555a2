"""Progress bars on stderr, so that stdout holds results alone."""

from collections.abc import Iterable
from typing import TypeVar

from rich.console import Console
from rich.progress import track

T = TypeVar("T")


def bar(items: Iterable[T], description: str, *, total: float | None = None) -> Iterable[T]:
    """``items`` one by one, under a bar that shows, where ``total`` or their number is known, how much is left."""
    return track(items, description, total=total, console=Console(stderr=True), transient=True)
