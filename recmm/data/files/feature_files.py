"""Feature matrices in other files than .npy: .npz, .pt, .safetensors and .parquet; nothing in them is executed.

Where a file holds several matrices, ``FILE:NAME`` says which.
"""

import pickle
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from recmm.data.files.arrays import DAMAGED, load_array
from recmm.data.files.parquet import try_parquet
from recmm.data.files.paths import require_file
from recmm.data.files.quoting import shown, shown_value
from recmm.errors import FeatureFileError, FeatureShapeError, ObjectArrayError, UnsafePickleError

ID_NAMES = ("item", "itemid", "iid", "id", "index", "indexlevel0", "asin", "parentasin", "productid", "movieid")


def load_matrix(path: Path, role: str, *, labelled: bool = False) -> np.ndarray:
    """The array of a feature file, by its suffix; an .npy file is a read-only memory map, others lie in memory.

    Args:
        path: the file; with ``:NAME`` behind it where it holds several arrays.
        role: what it holds, for errors.
        labelled: whether the caller knows the item of each row. If not, a table's column of labels has to count the
            rows from 0.

    Raises:
        MissingFileError: there is no such file.
        ObjectArrayError, UnsafePickleError: the file wants objects to be unpickled.
        FeatureFileError: damaged, without arrays, with several of which none is named, or with columns that are not
            numbers.
    """
    file, name = named_file(path)
    read = READERS.get(file.suffix.lower())
    if read is None:
        return load_array(file, role)
    require_file(file, role)
    try:
        if read is _parquet and not labelled:
            _check_order(file, f"{file} ({role})")
        return read(file, name, f"{file} ({role})")
    except (OSError, RuntimeError, EOFError, zipfile.BadZipFile, *DAMAGED) as error:
        reason = shown((str(error).splitlines() or [type(error).__name__])[0])
        raise FeatureFileError(f"{file} ({role}) is not a readable {file.suffix} file: {reason}.") from error


def named_file(path: Path) -> tuple[Path, str | None]:
    """The file, and the name of the array in it if ``path`` ends with one."""
    if ":" not in path.name or path.exists():
        return path, None
    file, _, name = path.name.rpartition(":")
    return path.with_name(file), name


def label_column(path: Path) -> str | None:
    """The column of a Parquet file that says which item each row belongs to; None for others and without one."""
    if path.suffix.lower() != ".parquet":
        return None
    try_parquet(require_file(path, "a table of features"))
    schema = pl.scan_parquet(path, glob=False).collect_schema()
    named = [column for column in schema if column.lower().replace("_", "").replace(" ", "") in ID_NAMES]
    return next(iter([*named, *(column for column, kind in schema.items() if kind == pl.String)]), None)


def _check_order(file: Path, source: str) -> None:
    column = label_column(file)
    if column is None:
        return
    labels = pl.read_parquet(file, columns=[column], glob=False).to_series()
    if not labels.cast(pl.String).equals(pl.Series(range(len(labels))).cast(pl.String)):
        raise FeatureFileError(
            f"{source}: column {shown_value(column)} names the item of each row, but here row k has to belong to item "
            "id k: sort the rows and drop the column. (--from csv reads it.)"
        )


def _npz(file: Path, name: str | None, source: str) -> np.ndarray:
    with np.load(file, allow_pickle=False) as archive:
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise FeatureFileError(f"{source} is an .npy file: give it that suffix.")
        chosen = _chosen(dict.fromkeys(archive.files), name, source)
        try:
            return np.asarray(archive[chosen])
        except ValueError as error:
            if "allow_pickle" not in str(error):
                raise
            raise ObjectArrayError(
                f"{source}: {chosen!r} is of object dtype and could run foreign code: refused."
            ) from error


def _torch(file: Path, name: str | None, source: str) -> np.ndarray:
    import torch

    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UnsafePickleError(
            f"{source} holds more than tensors and could run foreign code: refused. Save the tensor alone, with "
            "torch.save(features, FILE)."
        ) from error
    if isinstance(content, Mapping):
        content = content[_chosen({key: value for key, value in content.items() if _is_tensor(value)}, name, source)]
    if not _is_tensor(content):
        raise FeatureFileError(f"{source} holds a {type(content).__name__}; expected a tensor, or tensors by name.")
    return _array(content)


def _safetensors(file: Path, name: str | None, source: str) -> np.ndarray:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="pt") as archive:
            return _array(archive.get_tensor(_chosen(dict.fromkeys(archive.keys()), name, source)))
    except SafetensorError as error:
        raise FeatureFileError(f"{source} is not a readable .safetensors file: {shown(error)}.") from error


def _parquet(file: Path, name: str | None, source: str) -> np.ndarray:
    """One column of lists of numbers, all of one length, or one column of numbers per feature."""
    table = pl.read_parquet(file, glob=False)
    label = label_column(file)
    table = table if label is None else table.drop(label)
    lists = [column for column, kind in table.schema.items() if isinstance(kind, pl.List | pl.Array)]
    if lists:
        column = table[_chosen(dict.fromkeys(lists), name, source)]
        if column.null_count():
            row = int(column.is_null().arg_max() or 0)
            raise FeatureShapeError(f"{source} has no list in row {row} (counted from 0); a row of NaN says 'missing'.")
        lengths = (column.arr.len() if isinstance(column.dtype, pl.Array) else column.list.len()).unique()
        if len(lengths) > 1:
            raise FeatureShapeError(f"{source} has lists of {len(lengths)} different lengths; expected one length.")
        return np.asarray(column.cast(pl.List(pl.Float32)).explode().to_numpy()).reshape(len(column), -1)
    if strange := [column for column, kind in table.schema.items() if not kind.is_numeric()]:
        kinds = f"{shown_value(strange[0])} is of type {shown(table.schema[strange[0]])}"
        raise FeatureFileError(f"{source}: column {kinds}; expected numbers in all columns, or one column of lists.")
    return table.to_numpy()


READERS: Mapping[str, Callable[[Path, str | None, str], np.ndarray]] = {
    ".npz": _npz,
    ".pt": _torch,
    ".pth": _torch,
    ".safetensors": _safetensors,
    ".parquet": _parquet,
}


def _chosen(arrays: Mapping[Any, Any], name: str | None, source: str) -> Any:
    """The key of the array that is named, or of the only one."""
    if name is not None and name in arrays:
        return name
    if name is None and len(arrays) == 1:
        return next(iter(arrays))
    has = shown(", ".join(map(str, arrays))) or "nothing"
    problem = f"has no array {shown_value(name)}" if name is not None else "holds not one array"
    raise FeatureFileError(f"{source} {problem}, it holds {has}: name one with FILE:NAME.")


def _is_tensor(value: Any) -> bool:
    import torch

    return isinstance(value, torch.Tensor)


def _array(tensor: Any) -> np.ndarray:
    import torch

    dense = tensor.detach().to_dense() if tensor.layout != torch.strided else tensor.detach()
    if dense.is_quantized or dense.is_complex():
        raise FeatureFileError(f"A tensor of {dense.dtype} is no matrix of features; save it as float32.")
    return np.asarray((dense.float() if dense.dtype == torch.bfloat16 else dense).numpy())
