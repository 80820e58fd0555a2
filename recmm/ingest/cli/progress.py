"""Progress bars on stderr, so that stdout holds results alone."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, track

T = TypeVar("T")


def bar(items: Iterable[T], description: str, *, total: float | None = None) -> Iterable[T]:
    """``items`` one by one, under a bar that shows, where ``total`` or their number is known, how much is left.

    Where stderr is no terminal there is no bar: a transient one would leave an empty line in every log.
    """
    console = Console(stderr=True)
    return track(items, description, total=total, console=console, transient=True, disable=not console.is_terminal)


@contextmanager
def waiting(description: str) -> Iterator[None]:
    """A sign of life with the time passed, for one long call of a library that does not say how far it is."""
    console = Console(stderr=True)
    columns = SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        progress.add_task(description, total=None)
        yield
