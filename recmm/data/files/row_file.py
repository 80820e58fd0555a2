"""A .npy file of one row per item that is filled row by row, in any order, with plain writes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np


class RowFile:
    """Rows [n, D] on their way into a file; what is never written stays zero and, on most file systems, takes no space.

    Attributes:
        written: bool [n], the rows that the file has.
    """

    def __init__(self, path: Path, n_rows: int, dim: int, dtype: np.dtype) -> None:
        header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (n_rows, dim)}
        self.written = np.zeros(n_rows, bool)
        self._dtype, self._stride = dtype, dim * dtype.itemsize
        self._file = path.open("wb")
        np.lib.format.write_array_header_1_0(self._file, header)
        self._start = self._file.tell()
        self._file.truncate(self._start + n_rows * self._stride)

    def write(self, ids: np.ndarray, rows: np.ndarray) -> None:
        """Put ``rows`` [k, D] to the places ``ids`` [k]."""
        for place, row in zip(ids.tolist(), np.ascontiguousarray(rows, self._dtype), strict=True):
            self._file.seek(self._start + place * self._stride)
            self._file.write(row.data)
        self.written[ids] = True

    def close(self) -> None:
        self._file.close()


@contextmanager
def row_file(path: Path, n_rows: int, dim: int, dtype: np.dtype) -> Iterator[RowFile]:
    """A ``RowFile`` that is closed at the end of the block; missing parent folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = RowFile(path, n_rows, dim, dtype)
    try:
        yield file
    finally:
        file.close()
