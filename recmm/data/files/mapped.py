"""Files that stay memory-mapped while a run uses them: whether they were cut short or written to meanwhile."""

import mmap
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from recmm.errors import TruncatedFileError


def require_mapped(values: np.ndarray) -> None:
    """See that the file behind a memory map still has all of its bytes: reading beyond its end would kill the process.

    Raises:
        TruncatedFileError: it was cut short after it was opened.
    """
    mapped = _map_of(values)
    if mapped is None:
        return
    start: int = values.offset  # type: ignore[attr-defined]
    needed, size = start - start % mmap.ALLOCATIONGRANULARITY + len(mapped), mapped.size()
    if size < needed:
        raise TruncatedFileError(
            f"{values.filename} was cut short while it was in use: {size:,} of {needed:,} bytes are left. "  # type: ignore[attr-defined]
            "Put the whole file back, leave it alone while a run reads it, and start again."
        )


class MappedFiles:
    """The files behind arrays, as they are when this is made.

    Attributes:
        n_bytes: that are mapped in all.
    """

    def __init__(self, arrays: Iterable[np.ndarray]) -> None:
        self._arrays = [values for values in arrays if _map_of(values) is not None]
        self.n_bytes = sum(values.nbytes for values in self._arrays)
        self._seen = self._look()

    def changed(self) -> list[Path]:
        """The files whose size, time of change or place on the disk differs from what it was at the last call.

        Raises:
            TruncatedFileError: one was cut short.
        """
        for values in self._arrays:
            require_mapped(values)
        before, self._seen = self._seen, self._look()
        return [path for path, state in self._seen.items() if before[path] != state]

    def _look(self) -> dict[Path, tuple[int, ...] | None]:
        return {path: _state(path) for path in (Path(values.filename) for values in self._arrays)}  # type: ignore[attr-defined]


def _map_of(values: np.ndarray) -> Any:
    """The map behind an array or a view of one; NumPy keeps it in both. None for an array in memory."""
    return getattr(values, "_mmap", None) if isinstance(values, np.memmap) else None


def _state(path: Path) -> tuple[int, ...] | None:
    try:
        found = os.stat(path)
    except OSError:  # deleted: the map keeps the content
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino
