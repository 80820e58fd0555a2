"""Feature matrices in .npy files: memory-mapped, never unpickled, and read in chunks."""

import math
import mmap
import tokenize
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from recmm.data.files.mapped import require_mapped
from recmm.data.files.paths import require_file
from recmm.errors import (
    FeatureFileError,
    FeatureShapeError,
    FeatureValueError,
    ObjectArrayError,
    TruncatedFileError,
)

DIMENSIONS = 64  # that an array can have
CHUNK = 1 << 22  # values held in memory at a time while a matrix is checked, digested or copied
HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
# A header is a Python literal, and NumPy lets out whatever the parsing and the use of a damaged one raise.
DAMAGED = (
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    SyntaxError,
    tokenize.TokenError,
    RecursionError,
    MemoryError,
)


def load_array(path: Path, role: str) -> np.ndarray:
    """The array of an .npy file as a read-only memory map, whatever its shape and type; nothing is ever unpickled.

    Raises:
        MissingFileError: there is no such file.
        TruncatedFileError: it ends within its header, or earlier than its header says.
        ObjectArrayError: of object dtype.
        FeatureFileError: not an .npy file, or with a damaged header.
    """
    require_file(path, role)
    size = path.stat().st_size
    damaged = FeatureFileError(
        f"{path} ({role}) is not a readable .npy file: its header is damaged or it is of another kind. "
        "Write it again with numpy.save."
    )
    with path.open("rb") as file:
        if _ends_in_header(file.read(12), size):
            raise TruncatedFileError(
                f"{path} ({role}) is truncated: its {size:,} bytes end within the header. Copy or download it again."
            )
        file.seek(0)
        try:
            shape, fortran, dtype = HEADERS[np.lib.format.read_magic(file)](file)
        except DAMAGED as error:
            raise damaged from error
        offset = file.tell()
    fits = all(type(length) is int and 0 <= length < 1 << 63 for length in shape)  # True is an int, too
    if not fits or len(shape) > DIMENSIONS:
        raise damaged
    if dtype.hasobject:
        raise ObjectArrayError(
            f"{path} ({role}) has object dtype, which would have to be unpickled and could run foreign code: refused. "
            "Save it again as float32 or float16."
        )
    expected = offset + dtype.itemsize * math.prod(shape)
    if size < expected:
        raise TruncatedFileError(
            f"{path} ({role}) is truncated: {size:,} bytes, but its header announces shape {shape} of {dtype}, that is "
            f"{expected:,} bytes. Copy or download it again."
        )
    try:
        if expected == offset:
            return np.empty(shape, dtype)  # an empty file region cannot be mapped
        return np.memmap(path, dtype=dtype, mode="r", offset=offset, shape=shape, order="F" if fortran else "C")
    except DAMAGED as error:  # more dimensions, or longer ones, than an array can have
        raise damaged from error


def _ends_in_header(start: bytes, size: int) -> bool:
    """Whether a file of ``size`` bytes, whose first 12 are ``start``, is an .npy file that ends within its header."""
    end = 10 if start[6:7] == b"\x01" else 12  # of the header's length, two bytes in version 1 and four later
    return np.lib.format.MAGIC_PREFIX.startswith(start[:6]) and size < end + int.from_bytes(start[8:end], "little")


def read_only(values: np.ndarray) -> np.ndarray:
    """A view of ``values`` that cannot be written to; ``values`` stays as it is, and a memory map stays one."""
    view = values.view()
    view.flags.writeable = False
    return view


def load_features(path: Path, role: str) -> np.ndarray:
    """Features [n_items, D] of one modality: float32 and float16 stay mapped, other numbers become float32 in memory.

    Raises:
        MissingFileError, FeatureFileError: as ``load_array``, and also for a type that is not real numbers.
        FeatureShapeError: not two-dimensional, or without columns.
    """
    return as_features(load_array(path, role), f"{path} ({role})")


def as_features(values: np.ndarray, source: str) -> np.ndarray:
    """``values`` as float32 or float16 of this machine's byte order; a copy only where it has to be one.

    Raises:
        FeatureFileError, FeatureShapeError: as ``check_matrix``.
    """
    check_matrix(values, source)
    if values.dtype in (np.float32, np.float16):
        return values
    with np.errstate(over="ignore"):  # what overflows becomes Inf, which check_finite reports with its row
        return np.asarray(values, np.float16 if values.dtype == np.dtype(">f2") else np.float32)


def check_matrix(values: np.ndarray, source: str) -> None:
    """Refuse what cannot be features, before anything is read or copied.

    Raises:
        FeatureFileError: values that are not real numbers.
        FeatureShapeError: not two-dimensional, or without columns.
    """
    if values.dtype.kind not in "fiub":
        raise FeatureFileError(f"{source} has dtype {values.dtype}; expected real numbers, best float32 or float16.")
    if values.ndim != 2 or values.shape[1] == 0:
        raise FeatureShapeError(
            f"{source} has shape {values.shape}; expected two dimensions: one row per item, one column per feature."
        )


def visible_chunks(values: np.ndarray, visible: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Blocks of consecutive rows of ``values`` [n, D] with their first row's number; rows not ``visible`` are zeros.

    Rows that are not visible (bool [n]) are never read, so their values cannot leak into anything.

    Raises:
        TruncatedFileError: the file behind a memory map was cut short meanwhile.
    """
    rows = max(1, CHUNK // values.shape[1])
    for start in range(0, len(values), rows):
        require_mapped(values)
        shown = visible[start : start + rows]
        block = np.zeros((len(shown), values.shape[1]), values.dtype)
        block[shown] = values[start : start + rows][shown]
        release_pages(values)
        yield start, block


def release_pages(values: np.ndarray) -> None:
    """Release the pages that were read of a read-only memory map, so that memory does not grow to the file's size.

    The values stay readable: the system reads them again, usually from its cache. Nothing is done to other arrays.
    """
    mapped = getattr(values, "_mmap", None)  # NumPy keeps it in views, too
    if isinstance(values, np.memmap) and values.mode == "r" and mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)


def check_finite(values: np.ndarray, observed: np.ndarray, source: str) -> None:
    """Refuse NaN and Inf in the rows of ``values`` [n_items, D] that are ``observed``, bool [n_items].

    Raises:
        FeatureValueError: names ``source``, how many values in how many rows, and the first of these rows.
    """
    n_values = n_rows = first = 0
    for start, block in visible_chunks(values, observed):
        bad = np.count_nonzero(~np.isfinite(block), axis=1)
        rows = np.flatnonzero(bad)
        if len(rows) and not n_rows:
            first = start + int(rows[0])
        n_values += int(bad.sum())
        n_rows += len(rows)
    if n_rows:
        raise FeatureValueError(
            f"{source} holds {n_values:,} NaN or Inf values in {n_rows:,} of {len(values):,} rows, first row {first} "
            "(counted from 0). Repair them, or mark those entries as not observed in the canonical layout."
        )
