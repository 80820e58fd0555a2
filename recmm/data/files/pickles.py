"""Pickled SciPy matrices without pickle.

A pickle is a program that may call anything it can name, and that may ask for any amount of memory and time. Here a
small machine of our own (``pickle_machine``) runs the few instructions that a COO or CSR matrix needs. The few names
that it needs lead to records that keep what the pickle says, so neither SciPy's nor NumPy's own code runs on
foreign input, matrices of old SciPy and NumPy releases load under new ones, and every other name is refused. The matrix
is rebuilt from these records after checks.
"""

import operator
import re
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import coo_matrix

from recmm.data.files.paths import require_file
from recmm.data.files.pickle_machine import Function, Record, run
from recmm.data.files.quoting import shown
from recmm.errors import DataError, IdError, UnsafePickleError

NUMBERS = re.compile(r"[<>=|]?[biuf](1|2|4|8|16)")  # a type of plain numbers, as NumPy names it in a pickle
DAMAGED = (LookupError, TypeError, ValueError, OverflowError)


def load_sparse(path: Path, role: str) -> coo_matrix:
    """The COO or CSR matrix that ``path`` holds, as float64 COO with every stored entry; nothing of it is executed.

    Raises:
        MissingFileError: there is no such file.
        UnsafePickleError: the pickle names anything but SciPy's COO and CSR classes and NumPy's arrays.
        DataError: not a pickle, truncated, or no sparse matrix of numbers.
        IdError: rows or columns that are not integers within the matrix's shape.
    """
    content = require_file(path, role).read_bytes()
    try:
        found = run(content, ADMITTED)
    except UnsafePickleError as error:
        raise UnsafePickleError(
            f"{path} ({role}) asks for {shown(error)}, which no sparse matrix needs and which could run foreign "
            "code: refused, nothing was executed. Get a pickled SciPy COO or CSR matrix from a source you trust."
        ) from None
    except DAMAGED as error:
        raise DataError(
            f"{path} ({role}) is not a readable pickle of a sparse matrix ({type(error).__name__}: "
            f"{shown(error)}). It may be truncated: copy or download it again."
        ) from error
    if not isinstance(found, _Coo | _Csr):
        raise DataError(f"{path} ({role}) holds {_describe(found)}; expected a SciPy COO or CSR matrix [users, items].")
    try:
        shape, rows, columns, values = found.entries()
    except DAMAGED as error:
        raise DataError(
            f"{path} ({role}) holds a damaged sparse matrix: {shown(error)}. Save the matrix again."
        ) from error
    for what, ids, size in (("row", rows, shape[0]), ("column", columns, shape[1])):
        if ids.dtype.kind not in "iu" or (len(ids) and not 0 <= ids.min() <= ids.max() < size):
            raise IdError(
                f"{path} ({role}) has {what} ids of type {ids.dtype} outside 0 to {size - 1}; expected integers within "
                f"the matrix's shape {shape}."
            )
    with np.errstate(over="ignore"):  # what overflows becomes Inf, which is refused as a weight
        return coo_matrix((values.astype(np.float64), (rows, columns)), shape=shape)


class _Text:
    """Bytes that an old protocol spells as text."""

    def __init__(self, text: Any, encoding: Any) -> None:
        if encoding != "latin1" or not isinstance(text, str):
            raise ValueError(f"text in {_shown_text(encoding)}")
        self.text = text


class _Dtype(Record):
    """A NumPy dtype in a pickle; plain numbers only."""

    def __init__(self, code: Any, *_: Any) -> None:
        if not isinstance(code, str) or not NUMBERS.fullmatch(code):
            raise ValueError(f"an array of {_shown_text(code)} instead of numbers")
        self.value = np.dtype(code)

    def set_state(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) < 2 or state[1] not in ("<", ">", "=", "|"):
            raise ValueError("a type without its byte order")
        self.value = self.value.newbyteorder(state[1])


class _Array(Record):
    """A NumPy array in a pickle: shape, type and bytes, which become an array only where a matrix holds it."""

    parts: tuple[Any, Any, Any, Any] | None = None  # content, dtype, shape, order

    def set_state(self, state: Any) -> None:
        _, shape, dtype, fortran, content = state
        self.parts = content, dtype, shape, "F" if fortran else "C"

    def value(self) -> np.ndarray:
        if self.parts is None:
            raise ValueError("one of its arrays has no content")
        content, dtype, shape, order = self.parts
        if isinstance(content, _Text):
            content = content.text
        if isinstance(content, str):  # Python 2 wrote bytes as text
            content = content.encode("latin1")
        if not isinstance(content, bytes | bytearray) or not isinstance(dtype, _Dtype):
            raise ValueError("one of its arrays has no numbers")
        return np.frombuffer(content, dtype.value).reshape(shape, order=order)


class _Matrix(Record):
    """A sparse matrix in a pickle: the attributes that it had."""

    state: dict[str, Any] = {}  # noqa: RUF012 - replaced, never changed

    def set_state(self, state: Any) -> None:
        if not isinstance(state, dict):
            raise ValueError("a matrix without attributes")
        self.state = state

    def part(self, *names: str) -> Any:
        """The attribute with the first of these names that there is."""
        for name in names:
            if name in self.state:
                return self.state[name]
        raise ValueError(f"it has no {names[-1]}")

    def shape(self) -> tuple[int, int]:
        n_rows, n_columns = self.part("_shape", "shape")
        shape = operator.index(n_rows), operator.index(n_columns)
        if min(shape) < 0 or max(shape) > np.iinfo(np.int64).max:
            raise ValueError("its shape is negative or beyond any matrix")
        return shape

    def column(self, value: Any) -> np.ndarray:
        array = value.value() if isinstance(value, _Array) else np.empty(())
        if array.ndim != 1:
            raise ValueError("its entries are not one-dimensional arrays")
        return array


class _Coo(_Matrix):
    """Coordinates under ``row`` and ``col`` (SciPy before 1.13) or ``coords``."""

    def entries(self) -> tuple[tuple[int, int], np.ndarray, np.ndarray, np.ndarray]:
        """shape, rows [n], columns [n], values [n]"""
        coordinates = self.state["coords"] if "coords" in self.state else (self.part("row"), self.part("col"))
        rows, columns = (self.column(axis) for axis in coordinates)
        values = self.column(self.part("data"))
        if not len(rows) == len(columns) == len(values):
            raise ValueError(f"it has {len(rows)} rows, {len(columns)} columns and {len(values)} values")
        return self.shape(), rows, columns, values


class _Csr(_Matrix):
    def entries(self) -> tuple[tuple[int, int], np.ndarray, np.ndarray, np.ndarray]:
        """shape, rows [n], columns [n], values [n]"""
        starts, columns, values = (self.column(self.part(name)) for name in ("indptr", "indices", "data"))
        shape = self.shape()
        # All starts are compared with the last one: differences of numbers beyond it could wrap around.
        fits = len(starts) == shape[0] + 1 and starts.dtype.kind in "iu" and starts[0] == 0
        if not fits or not starts[-1] == starts.max() == len(columns) == len(values) or starts.min() < 0:
            raise ValueError("its row pointers, columns and values do not fit together")
        starts = starts.astype(np.int64)
        lengths = starts[1:] - starts[:-1]
        if (lengths < 0).any():
            raise ValueError("its row pointers, columns and values do not fit together")
        return shape, np.repeat(np.arange(shape[0]), lengths), columns, values


def _scalar(dtype: Any, content: Any) -> Any:
    array = _Array()
    array.parts = content, dtype, (), "C"
    return array.value()[()]


def _from_buffer(content: Any, dtype: Any, shape: Any, order: Any) -> _Array:
    array = _Array()
    array.parts = content, dtype, shape, order
    return array


ADMITTED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): Function(_Text),  # how pickle protocol 2 spells an array's bytes
}
for _old_or_new in ("numpy.core", "numpy._core"):
    ADMITTED |= {
        (f"{_old_or_new}.multiarray", "_reconstruct"): Function(lambda *_: _Array()),
        (f"{_old_or_new}.multiarray", "scalar"): Function(_scalar),
        (f"{_old_or_new}.numeric", "_frombuffer"): Function(_from_buffer),
    }
for _layout, _record in (("coo", _Coo), ("csr", _Csr)):
    ADMITTED |= {
        (f"scipy.sparse.{module}", f"{_layout}_{kind}"): _record
        for module in (_layout, f"_{_layout}")
        for kind in ("matrix", "array")
    }


def _describe(found: Any) -> str:
    return "a dense array" if isinstance(found, _Array) else f"an object of type {type(found).__name__}"


def _shown_text(value: Any) -> str:
    """Text as Python writes it; of anything else only the type, for it may hold itself many times over."""
    return repr(shown(value)) if isinstance(value, str) else f"a {type(value).__name__}"
