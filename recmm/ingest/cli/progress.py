"""Progress bars on stderr, so that stdout holds only results."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, track

T = TypeVar("T")


def bar(items: Iterable[T], description: str, *, total: float | None = None) -> Iterable[T]:
    """Yield ``items`` one by one under a progress bar.

    The bar shows how much is left if ``total`` is given or ``items`` has a length. There is no bar if stderr is not a
    terminal, because a transient bar leaves an empty line in a log file.
    """
    console = Console(stderr=True)
    return track(items, description, total=total, console=console, transient=True, disable=not console.is_terminal)


@contextmanager
def waiting(description: str) -> Iterator[None]:
    """Show a spinner and the elapsed time during one long library call that reports no progress."""
    console = Console(stderr=True)
    columns = SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        progress.add_task(description, total=None)
        yield
