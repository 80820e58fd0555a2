"""Pickled matrices load, and a pickle that names anything else runs nothing."""

import os
import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from recmm.data.files.pickles import load_sparse
from recmm.errors import DataError, IdError, MissingFileError, UnsafePickleError

DENSE = np.array([[1, 0, 2, 0], [0, 0, 0, 0], [0, 3, 0, 0]], dtype=np.float32)
ROLE = "the matrix of split 'train'"


class Reduces:
    """Pickles as a call of ``function``."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.call = function, args

    def __reduce__(self) -> Any:
        return self.call


def dump(tmp_path: Path, value: Any, protocol: int = 4) -> Path:
    (tmp_path / "trnMat.pkl").write_bytes(pickle.dumps(value, protocol))
    return tmp_path / "trnMat.pkl"


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("kind", [sp.coo_matrix, sp.csr_matrix, sp.coo_array, sp.csr_array])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, bool])
def test_coo_and_csr_of_every_protocol_load(tmp_path: Path, kind: Any, protocol: int, dtype: type) -> None:
    matrix = load_sparse(dump(tmp_path, kind(DENSE.astype(dtype)), protocol), ROLE)
    assert isinstance(matrix, sp.coo_matrix)
    np.testing.assert_array_equal(matrix.toarray(), DENSE.astype(dtype))


def test_names_of_old_releases_load_without_a_warning(tmp_path: Path) -> None:
    """As SciPy before 1.8 and NumPy before 2 wrote them: scipy.sparse.coo with row and col, numpy.core.multiarray."""
    matrix = sp.coo_matrix(DENSE)
    state = matrix.__dict__ | {"row": matrix.row, "col": matrix.col}
    del state["coords"]
    matrix.__dict__.clear()
    matrix.__dict__.update(state)
    content = (
        pickle.dumps(matrix, 3)
        .replace(b"scipy.sparse._coo", b"scipy.sparse.coo")
        .replace(b"numpy._core", b"numpy.core")
    )
    assert b"scipy.sparse.coo\n" in content
    assert b"numpy.core.multiarray\n" in content
    (tmp_path / "trnMat.pkl").write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(load_sparse(tmp_path / "trnMat.pkl", ROLE).toarray(), DENSE)


@pytest.mark.parametrize("dtype", [">f4", "<f2"])
def test_other_number_types_and_numpy_sizes_load(tmp_path: Path, dtype: str) -> None:
    matrix = sp.coo_matrix(DENSE)
    matrix.data = matrix.data.astype(dtype)
    matrix.coords = tuple(axis.astype(">i4") for axis in matrix.coords)
    matrix._shape = (np.int64(3), np.int64(4))
    loaded = load_sparse(dump(tmp_path, matrix), ROLE)
    assert loaded.shape == (3, 4)
    np.testing.assert_array_equal(loaded.toarray(), DENSE)


def test_entries_that_stand_twice_are_kept_for_the_count(tmp_path: Path) -> None:
    twice = sp.coo_matrix((np.ones(2), ([0, 0], [1, 1])), shape=(1, 2))
    assert load_sparse(dump(tmp_path, twice), ROLE).nnz == 2


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_a_command_is_refused_by_name_and_does_not_run(tmp_path: Path, protocol: int) -> None:
    path = dump(tmp_path, Reduces(os.system, f"touch {tmp_path}/witness"), protocol)
    with pytest.raises(UnsafePickleError, match=rf"trnMat\.pkl .*asks for {os.name}\.system.*refused"):
        load_sparse(path, ROLE)
    assert not (tmp_path / "witness").exists()


def test_eval_is_refused(tmp_path: Path) -> None:
    path = dump(tmp_path, Reduces(eval, f"open({str(tmp_path / 'witness')!r}, 'w')"))
    with pytest.raises(UnsafePickleError, match=r"asks for builtins\.eval"):
        load_sparse(path, ROLE)
    assert not (tmp_path / "witness").exists()


def test_a_command_inside_a_matrix_is_refused(tmp_path: Path) -> None:
    matrix = sp.coo_matrix(DENSE)
    matrix.maxprint = {"hidden": [Reduces(os.system, f"touch {tmp_path}/witness")]}
    with pytest.raises(UnsafePickleError, match=rf"{os.name}\.system"):
        load_sparse(dump(tmp_path, matrix), ROLE)
    assert not (tmp_path / "witness").exists()


def test_a_command_inside_an_array_of_objects_is_refused(tmp_path: Path) -> None:
    matrix = sp.coo_matrix(DENSE)
    matrix.data = np.array([Reduces(os.system, f"touch {tmp_path}/witness")] * 3, dtype=object)
    with pytest.raises(DataError):
        load_sparse(dump(tmp_path, matrix), ROLE)
    assert not (tmp_path / "witness").exists()


@pytest.mark.parametrize("value", [np.load, np.frombuffer, sp.lil_matrix(DENSE), getattr, pickle.loads])
def test_other_names_of_numpy_scipy_and_python_are_refused(tmp_path: Path, value: Any) -> None:
    with pytest.raises(UnsafePickleError):
        load_sparse(dump(tmp_path, value), ROLE)


def test_dotted_names_do_not_reach_attributes(tmp_path: Path) -> None:
    (tmp_path / "trnMat.pkl").write_bytes(b"\x80\x04\x8c\x05numpy\x8c\x0endarray.tofile\x93.")
    with pytest.raises(UnsafePickleError, match=r"numpy\.ndarray\.tofile"):
        load_sparse(tmp_path / "trnMat.pkl", ROLE)


def test_a_pickle_cannot_change_the_loader(tmp_path: Path) -> None:
    """Setting the state of an admitted name itself must fail, or one file could prepare the reading of the next."""
    for name in (b"cnumpy\nndarray\n", b"cnumpy\ndtype\n", b"cscipy.sparse.coo\ncoo_matrix\n", b"c_codecs\nencode\n"):
        (tmp_path / "trnMat.pkl").write_bytes(b"\x80\x02" + name + b"N}U\x05valueK\x01s\x86b.")
        with pytest.raises(DataError, match="not a readable pickle"):
            load_sparse(tmp_path / "trnMat.pkl", ROLE)
    np.testing.assert_array_equal(load_sparse(dump(tmp_path, sp.coo_matrix(DENSE), 2), ROLE).toarray(), DENSE)


@pytest.mark.parametrize(
    ("value", "found"),
    [({"train": 1}, "type dict"), (DENSE, "dense array"), ([1, 2], "type list"), (None, "type NoneType")],
)
def test_other_content_is_named(tmp_path: Path, value: Any, found: str) -> None:
    with pytest.raises(DataError, match=rf"trnMat\.pkl .*holds .*{found}; expected a SciPy COO or CSR matrix"):
        load_sparse(dump(tmp_path, value), ROLE)


@pytest.mark.parametrize("kept", [0, 1, 60, -1])
def test_a_truncated_pickle_is_refused(tmp_path: Path, kept: int) -> None:
    path = dump(tmp_path, sp.coo_matrix(DENSE))
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DataError, match=r"trnMat\.pkl .*not a readable pickle.*truncated"):
        load_sparse(path, ROLE)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"trnMat\.pkl, the matrix of split 'train', does not exist"):
        load_sparse(tmp_path / "trnMat.pkl", ROLE)


@pytest.mark.parametrize(
    "change",
    [
        {"coords": (np.array([0, 3, 0]), np.array([0, 0, 0]))},
        {"coords": (np.array([0, 0, -1]), np.array([0, 0, 0]))},
        {"coords": (np.array([0, 0, 1]), np.array([0, 0, 4]))},
        {"coords": (np.array([0.0, 0.5, 1.0]), np.array([0, 0, 0]))},
    ],
)
def test_ids_outside_the_shape_or_not_integers_are_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    matrix = sp.coo_matrix(DENSE)
    matrix.__dict__.update(change)
    with pytest.raises(IdError, match=r"trnMat\.pkl .*ids of type \w+ outside 0 to [23]; expected integers"):
        load_sparse(dump(tmp_path, matrix), ROLE)


@pytest.mark.parametrize(
    "change",
    [
        {"indptr": np.array([0, 2, 2, 9], np.int32)},
        {"indptr": np.array([0, 2, 1, 3], np.int32)},
        {"indptr": np.array([0, 3], np.int32)},
        {"indptr": np.array([1, 2, 2, 3], np.int32)},
        {"data": np.ones(2)},
        {"data": np.ones((3, 1))},
        {"data": "none"},
        {"_shape": (3,)},
        {"_shape": (-1, 4)},
    ],
)
def test_matrices_that_do_not_fit_together_are_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    """SciPy itself would read beyond its buffers with some of these."""
    matrix = sp.csr_matrix(DENSE)
    matrix.__dict__.update(change)
    with pytest.raises(DataError, match="holds a damaged sparse matrix"):
        load_sparse(dump(tmp_path, matrix), ROLE)


def test_coordinates_of_different_lengths_are_refused(tmp_path: Path) -> None:
    matrix = sp.coo_matrix(DENSE)
    matrix.data = np.ones(2)
    with pytest.raises(DataError, match="it has 3 rows, 3 columns and 2 values"):
        load_sparse(dump(tmp_path, matrix), ROLE)


def test_real_releases_load(real_data: Path) -> None:
    matrix = load_sparse(real_data / "tiktok" / "trnMat.pkl", ROLE)
    assert (matrix.shape, matrix.nnz) == ((9308, 6710), 59541)


def test_a_matrix_that_python_2_pickled_loads(tmp_path: Path) -> None:
    """Python 2 wrote an array's bytes as a plain string."""

    def array(values: list[int]) -> bytes:
        raw = np.array(values, "<i4").tobytes()
        return (
            b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR(K\x01(K%ctcnumpy\ndtype\n(U\x02i4K\x00K\x01tR"
            b"(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U%c%stb" % (len(values), len(raw), raw)
        )

    state = b"U\x06_shape(K\x02K\x03tU\x03row%sU\x03col%sU\x04data%s" % (array([0, 1]), array([2, 0]), array([200, -1]))
    (tmp_path / "trnMat.pkl").write_bytes(b"\x80\x02cscipy.sparse.coo\ncoo_matrix\n)\x81}(" + state + b"ub.")
    np.testing.assert_array_equal(load_sparse(tmp_path / "trnMat.pkl", ROLE).toarray(), [[0, 0, 200], [-1, 0, 0]])


def test_the_admitted_decoder_knows_one_encoding(tmp_path: Path) -> None:
    (tmp_path / "trnMat.pkl").write_bytes(b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x05\x00\x00\x00utf-8\x86R.")
    with pytest.raises(DataError, match="text in 'utf-8'"):
        load_sparse(tmp_path / "trnMat.pkl", ROLE)
