"""Pickled SciPy matrices without the dangers of pickle.

A pickle is a program that may call anything it can name. Here the few names that a COO or CSR matrix needs lead to
records that keep what the pickle says, so neither SciPy's nor NumPy's own code runs on foreign input, matrices of old
SciPy and NumPy releases load under new ones, and every other name is refused. The matrix is rebuilt from these records
after checks.
"""

import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from scipy.sparse import coo_matrix

from recmm.data.paths import require_file
from recmm.errors import DataError, IdError, UnsafePickleError


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
        found = _Unpickler(io.BytesIO(content), encoding="latin1").load()
    except UnsafePickleError as error:
        raise UnsafePickleError(
            f"{path} ({role}) asks for {error}, which no sparse matrix needs and which could run foreign code: "
            "refused, nothing was executed. Get a pickled SciPy COO or CSR matrix from a source you trust."
        ) from None
    except Exception as error:  # a damaged pickle can fail in any way
        raise DataError(
            f"{path} ({role}) is not a readable pickle of a sparse matrix ({type(error).__name__}: {error}). "
            "It may be truncated: copy or download it again."
        ) from error
    if not isinstance(found, _Coo | _Csr):
        raise DataError(f"{path} ({role}) holds {_describe(found)}; expected a SciPy COO or CSR matrix [users, items].")
    try:
        shape, rows, columns, values = found.entries()
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} ({role}) holds a damaged sparse matrix: {error}. Save the matrix again.") from error
    for what, ids, size in (("row", rows, shape[0]), ("column", columns, shape[1])):
        if ids.dtype.kind not in "iu" or (len(ids) and not 0 <= ids.min() <= ids.max() < size):
            raise IdError(
                f"{path} ({role}) has {what} ids of type {ids.dtype} outside 0 to {size - 1}; expected integers within "
                f"the matrix's shape {shape}."
            )
    return coo_matrix((values.astype(np.float64), (rows, columns)), shape=shape)


class _Array:
    """A NumPy array in a pickle: shape, type and bytes."""

    value: np.ndarray | None = None

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, content = state
        self.value = _array(content, dtype, shape, "F" if fortran else "C")


class _Dtype:
    """A NumPy dtype in a pickle; plain numbers only."""

    def __init__(self, code: str, *_: Any) -> None:
        self.value = np.dtype(code)
        if self.value.kind not in "biuf":
            raise ValueError(f"an array of type {code!r} instead of numbers")

    def __setstate__(self, state: Any) -> None:
        self.value = self.value.newbyteorder(state[1])


class _Matrix:
    """A sparse matrix in a pickle: the attributes that it had."""

    state: dict[str, Any]

    def __setstate__(self, state: Any) -> None:
        self.state = dict(state)

    def shape(self) -> tuple[int, int]:
        n_rows, n_columns = self.state["_shape"] if "_shape" in self.state else self.state["shape"]
        shape = int(n_rows), int(n_columns)
        if min(shape) < 0:
            raise ValueError(f"its shape is {shape}")
        return shape

    def column(self, value: Any) -> np.ndarray:
        if not isinstance(value, _Array) or value.value is None or value.value.ndim != 1:
            raise ValueError("its entries are not one-dimensional arrays")
        return value.value


class _Coo(_Matrix):
    """Coordinates under ``row`` and ``col`` (SciPy before 1.13) or ``coords``."""

    def entries(self) -> tuple[tuple[int, int], np.ndarray, np.ndarray, np.ndarray]:
        """shape, rows [n], columns [n], values [n]"""
        coordinates = self.state["coords"] if "coords" in self.state else (self.state["row"], self.state["col"])
        rows, columns = (self.column(axis) for axis in coordinates)
        values = self.column(self.state["data"])
        if not len(rows) == len(columns) == len(values):
            raise ValueError(f"it has {len(rows)} rows, {len(columns)} columns and {len(values)} values")
        return self.shape(), rows, columns, values


class _Csr(_Matrix):
    def entries(self) -> tuple[tuple[int, int], np.ndarray, np.ndarray, np.ndarray]:
        """shape, rows [n], columns [n], values [n]"""
        starts, columns, values = (self.column(self.state[name]) for name in ("indptr", "indices", "data"))
        shape = self.shape()
        lengths = starts[1:].astype(np.int64) - starts[:-1].astype(np.int64)
        ordered = len(starts) == shape[0] + 1 and starts[0] == 0 and (lengths >= 0).all()
        if not ordered or not starts[-1] == len(columns) == len(values):
            raise ValueError("its row pointers, columns and values do not fit together")
        return shape, np.repeat(np.arange(shape[0]), lengths), columns, values


class _Function:
    """A function in a pickle; an object, so that a pickle cannot change it."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self.call = call

    def __call__(self, *args: Any) -> Any:
        return self.call(*args)

    def __setstate__(self, state: Any) -> NoReturn:
        raise ValueError("a pickle cannot change a function")


def _array(content: Any, dtype: _Dtype, shape: tuple[int, ...], order: Any = "C") -> np.ndarray:
    raw = content.encode("latin1") if isinstance(content, str) else content  # Python 2 wrote bytes as text
    return np.frombuffer(raw, dtype.value).reshape(shape, order=order)


def _from_buffer(content: Any, dtype: _Dtype, shape: tuple[int, ...], order: Any) -> _Array:
    array = _Array()
    array.value = _array(content, dtype, shape, order)
    return array


def _latin1(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise ValueError(f"text in the encoding {encoding!r}")
    return text.encode("latin1")


ADMITTED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _Function(_latin1),  # how pickle protocol 2 spells an array's bytes
}
for _old_or_new in ("numpy.core", "numpy._core"):
    ADMITTED |= {
        (f"{_old_or_new}.multiarray", "_reconstruct"): _Function(lambda *_: _Array()),
        (f"{_old_or_new}.multiarray", "scalar"): _Function(lambda dtype, content: _array(content, dtype, (1,))[0]),
        (f"{_old_or_new}.numeric", "_frombuffer"): _Function(_from_buffer),
    }
for _layout, _record in (("coo", _Coo), ("csr", _Csr)):
    ADMITTED |= {
        (f"scipy.sparse.{module}", f"{_layout}_{kind}"): _record
        for module in (_layout, f"_{_layout}")
        for kind in ("matrix", "array")
    }


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return ADMITTED[module, name]
        except KeyError:
            raise UnsafePickleError(f"{module}.{name}") from None


def _describe(found: Any) -> str:
    return "a dense array" if isinstance(found, _Array) else f"an object of type {type(found).__name__}"
