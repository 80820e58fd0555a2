"""The layout `matrices`: one pickled SciPy matrix [users, items] per split, and one .npy file per modality."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from scipy.sparse import coo_matrix

from recmm.data.assembly import SplitColumns
from recmm.data.dataset import MultimodalDataset, Split
from recmm.data.files.pickles import load_sparse
from recmm.data.formats.reading import Contents, Reading, attempt, is_there, read_features, strictly
from recmm.errors import IdError

FILES = {"train": "trnMat.pkl", "val": "valMat.pkl", "test": "tstMat.pkl"}


def read_matrices(
    folder: Path, *, name: str, split: Split, features: Mapping[str, str], splits: Mapping[str, str] = FILES
) -> MultimodalDataset:
    """Read a folder of pickled matrices, as DiffMM and LATTICE release them.

    A stored entry is an interaction unless its value is 0; values other than 1 become weights.

    Args:
        features: modality -> .npy file [n_items, D_m], float16 or float32 kept and memory-mapped; only these are read.
        splits: "train", "val", "test" -> file of a COO or CSR matrix. All three have the same shape.

    Raises:
        MissingFileError: a file that is not there.
        UnsafePickleError, DataError: a pickle that is refused or holds no sparse matrix (``pickles.load_sparse``).
        IdError: matrices of different shapes, or indices outside them.
        FeatureFileError: an .npy file that is truncated, of object dtype, or none (``arrays.load_features``).
        Everything that ``assembly.assemble`` raises.
    """
    return strictly(reading(Path(folder), name=name, split=split, features=features, splits=splits)).assembled()


def reading(
    folder: Path, *, name: str, split: Split, features: Mapping[str, str], splits: Mapping[str, str] = FILES
) -> Reading[Contents]:
    """The parts of a folder of pickled matrices, see ``read_matrices``."""
    contents = Contents(name, str(folder), split, origins=dict(splits))
    shape = None
    for part, file in splits.items():
        if not (yield from is_there(folder, file, role := f"the matrix of split {part!r}")):
            continue
        matrix = yield from attempt(file, None, load_sparse, folder / file, role)
        if matrix is None:
            continue
        if shape is None:
            shape, first = matrix.shape, file
        yield from attempt(file, "id_range", check_shape, matrix, shape, str(folder / file), first)
        contents.splits[part] = split_columns(matrix, file)
    contents.n_users, contents.n_items = shape or (0, 0)
    yield from read_features(contents, folder, features)
    return contents


def check_shape(matrix: coo_matrix, shape: tuple[int, int], source: str, first: str) -> None:
    """Refuse a matrix of another shape than that of the file ``first``; raises IdError."""
    if matrix.shape != shape:
        raise IdError(
            f"{source} has shape {matrix.shape}, but {first} has {shape}; expected matrices [users, items] over the "
            "same ids. Take all of them from one release."
        )


def split_columns(matrix: coo_matrix, source: str) -> SplitColumns:
    """The stored entries other than 0; their values are weights unless all are 1."""
    stored = matrix.data != 0
    weights = matrix.data[stored]
    return SplitColumns(
        users=matrix.row[stored],
        items=matrix.col[stored],
        weights=None if np.all(weights == 1) else weights,
        source=source,
    )
