"""Feature files: mapped, never unpickled, and checked without looking at rows that nobody observed."""

import os
import re
from pathlib import Path

import numpy as np
import pytest

from recmm.data.files import arrays
from recmm.data.files.arrays import as_features, check_finite, load_array, load_features, read_only, visible_chunks
from recmm.errors import (
    FeatureFileError,
    FeatureShapeError,
    FeatureValueError,
    MissingFileError,
    ObjectArrayError,
    TruncatedFileError,
)

VALUES = np.arange(12, dtype=np.float32).reshape(4, 3)


class Payload:
    """Runs a shell command when it is unpickled."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.witness}",)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_single_and_half_precision_stay_memory_mapped(tmp_path: Path, dtype: type) -> None:
    np.save(tmp_path / "f.npy", VALUES.astype(dtype))
    values = load_features(tmp_path / "f.npy", "features")
    assert isinstance(values, np.memmap)
    assert values.dtype == dtype
    assert not values.flags.writeable
    np.testing.assert_array_equal(values, VALUES)


@pytest.mark.parametrize("dtype", ["<f8", ">f4", "<i8", "|b1"])
def test_other_numbers_become_float32(tmp_path: Path, dtype: str) -> None:
    np.save(tmp_path / "f.npy", VALUES.astype(dtype))
    values = load_features(tmp_path / "f.npy", "features")
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, VALUES.astype(dtype).astype(np.float32))


def test_fortran_order_and_header_version_2_are_understood(tmp_path: Path) -> None:
    with (tmp_path / "f.npy").open("wb") as file:
        np.lib.format.write_array(file, np.asfortranarray(VALUES), version=(2, 0))
    np.testing.assert_array_equal(load_features(tmp_path / "f.npy", "features"), VALUES)


def test_an_array_without_rows_can_be_read(tmp_path: Path) -> None:
    np.save(tmp_path / "f.npy", np.ones((4, 0), bool))
    assert load_array(tmp_path / "f.npy", "observed").shape == (4, 0)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"text\.npy, the features of 'text'"):
        load_features(tmp_path / "text.npy", "the features of 'text'")


@pytest.mark.parametrize("kept", [-1, 130, 128, 127, 100, 11, 9, 7, 3, 0])
def test_a_truncated_file_is_refused(tmp_path: Path, kept: int) -> None:
    np.save(tmp_path / "f.npy", VALUES)
    (tmp_path / "f.npy").write_bytes((tmp_path / "f.npy").read_bytes()[:kept])
    in_data = kept in (-1, 130, 128)
    expected = r"is truncated: .* bytes, but .*\(4, 3\)" if in_data else f"is truncated: its {kept} bytes end within"
    with pytest.raises(TruncatedFileError, match=expected):
        load_features(tmp_path / "f.npy", "features")


def test_object_dtype_is_refused_and_never_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "f.npy", np.array([[Payload(tmp_path / "witness")]], dtype=object), allow_pickle=True)
    with pytest.raises(ObjectArrayError, match=r"f\.npy .*object dtype.*refused"):
        load_features(tmp_path / "f.npy", "features")
    assert not (tmp_path / "witness").exists()


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "f.npy").write_bytes(b"PK\x03\x04 an archive")
    with pytest.raises(FeatureFileError, match=r"f\.npy .*not a readable \.npy") as caught:
        load_features(tmp_path / "f.npy", "features")
    assert type(caught.value) is FeatureFileError


def header(shape: str = "(4, 3)", descr: str = "'<f4'") -> str:
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}"


@pytest.mark.parametrize(
    "text",
    [
        header("(4, 3"),
        header(descr="'<f4"),
        header("(-4, 3)"),
        header("(-4, -3)"),
        header("(True, 3)"),
        header("(False, 3)"),
        header("(-4, 3)", "'|O'"),
        header("(4.0, 3)"),
        header("[4, 3]"),
        header(f"({10**30}, 0)"),
        header(f"({'1, ' * 65})"),
        header(descr="()"),
        header(descr="'no type'"),
        "{[]: 1}",
        "{1: 1, 'a': 2}",
        "(" * 5000,
        "-" * 9000 + "1",
        "   \n x",
        "",
    ],
    ids=lambda text: text[:70],
)
@pytest.mark.parametrize("version", [1, 2])
def test_a_damaged_header_is_refused(tmp_path: Path, text: str, version: int) -> None:
    start = np.lib.format.MAGIC_PREFIX + bytes([version, 0]) + len(text).to_bytes(2 * version, "little")
    (tmp_path / "f.npy").write_bytes(start + text.encode() + VALUES.tobytes())
    with pytest.raises(FeatureFileError, match=r"f\.npy .*not a readable \.npy file: its header is damaged") as caught:
        load_array(tmp_path / "f.npy", "features")
    assert type(caught.value) is FeatureFileError
    (tmp_path / "f.npy").write_bytes(start + text.encode())  # neither does it matter that nothing follows
    with pytest.raises(FeatureFileError, match="damaged"):
        load_array(tmp_path / "f.npy", "features")


def test_a_header_made_by_hand_is_understood(tmp_path: Path) -> None:
    """What the damaged headers above differ from."""
    start = np.lib.format.MAGIC_PREFIX + b"\1\0" + len(header()).to_bytes(2, "little")
    (tmp_path / "f.npy").write_bytes(start + header().encode() + VALUES.tobytes())
    np.testing.assert_array_equal(load_array(tmp_path / "f.npy", "features"), VALUES)


@pytest.mark.parametrize("values", [np.array([["a"]]), np.ones((2, 2), complex), np.zeros((2, 2), "M8[s]")])
def test_values_that_are_no_real_numbers_are_refused(values: np.ndarray) -> None:
    with pytest.raises(FeatureFileError, match=r"text\.npy has dtype .*expected real numbers"):
        as_features(values, "text.npy")


@pytest.mark.parametrize("shape", [(4,), (4, 3, 2), (4, 0)])
def test_only_matrices_with_columns_are_features(shape: tuple[int, ...]) -> None:
    with pytest.raises(FeatureShapeError, match=re.escape(f"text.npy has shape {shape}")):
        as_features(np.ones(shape, np.float32), "text.npy")


def test_chunks_hide_what_is_not_observed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "CHUNK", 6)  # two rows at a time
    visible = np.array([True, False, False, True])
    found = [(start, block.tolist()) for start, block in visible_chunks(VALUES, visible)]
    assert found == [(0, [[0, 1, 2], [0, 0, 0]]), (2, [[0, 0, 0], [9, 10, 11]])]


def test_non_finite_values_are_counted_over_all_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "CHUNK", 3)  # one row at a time
    values = VALUES.copy()
    values[1, 0], values[3, 0], values[3, 2] = np.nan, np.inf, -np.inf
    with pytest.raises(FeatureValueError, match=r"text\.npy holds 3 NaN or Inf values in 2 of 4 rows, first row 1 "):
        check_finite(values, np.ones(4, bool), "text.npy")
    check_finite(values, np.array([True, False, True, False]), "text.npy")


def test_what_overflows_single_precision_is_not_finite() -> None:
    with pytest.raises(FeatureValueError, match="first row 1 "):
        check_finite(as_features(np.array([[1.0], [1e300]]), "text.npy"), np.ones(2, bool), "text.npy")


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="the system does not tell what is mapped")
def test_a_matrix_that_was_read_in_chunks_does_not_stay_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "large.npy"
    np.save(path, np.ones((1 << 14, 1 << 10), np.float32))
    values = read_only(load_features(path, "x"))  # a view, as a dataset holds it
    assert sum(float(block.sum()) for _, block in visible_chunks(values, np.ones(len(values), bool))) == 1 << 24
    entry = Path("/proc/self/smaps").read_text().split(str(path))[1]
    resident = next(int(line.split()[1]) for line in entry.splitlines() if line.startswith("Rss:"))
    assert resident < 1024  # kB, of 65,536 in the file
