"""The layout `matrices`: one pickled SciPy matrix [users, items] per split, and one .npy file per modality."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from scipy.sparse import coo_matrix

from recmm.data.assembly import SplitColumns, assemble
from recmm.data.dataset import SPLITS, MultimodalDataset, Split
from recmm.data.files.arrays import load_features
from recmm.data.files.pickles import load_sparse
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
    folder = Path(folder)
    matrices = {part: load_sparse(folder / splits[part], f"the matrix of split {part!r}") for part in SPLITS}
    n_users, n_items = shape = matrices["train"].shape
    columns = {}
    for part, matrix in matrices.items():
        check_shape(matrix, shape, str(folder / splits[part]), splits["train"])
        columns[part] = split_columns(matrix, str(folder / splits[part]))
    return assemble(
        name=name,
        split=split,
        splits=columns,
        n_users=n_users,
        n_items=n_items,
        features={m: load_features(folder / file, f"the features of {m!r}") for m, file in features.items()},
        feature_sources={m: str(folder / file) for m, file in features.items()},
    )


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
