"""Readers and anything that may lie where a catalogue should."""

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp
from hypothesis import strategies as st

import recmm
from recmm.data.assembly import SplitColumns, assemble
from recmm.data.dataset import Split
from recmm.data.files.archive import unpack
from recmm.data.files.arrays import load_array, load_features
from recmm.data.files.pickles import load_sparse
from recmm.data.formats import read_canonical, read_matrices, read_mmrec, write_canonical
from recmm.data.formats.manifest import KEYS, MANIFEST, sha256
from recmm.errors import DataError, IdError, MissingFileError
from tests.data.fuzz import NUMBERS, fuzzed, jsons, npy_files, parquets, pickle_programs, read_or_refuse, tables
from tests.data.http_server import zipped

SPLIT = Split("toy", "By hand.")
FEATURES = {"visual": "visual.npy", "text": "text.npy"}
MATRICES = {"train": "trn.pkl", "val": "val.pkl", "test": "tst.pkl"}
PAIRS = {"train": [(0, 0), (0, 2), (1, 1), (2, 3)], "val": [(0, 3), (1, 0)], "test": [(2, 1), (3, 4)]}
TABLE = ["userID", "itemID", "x_label", "timestamp"]


def write_features(folder: Path) -> None:
    np.save(folder / "visual.npy", np.arange(15, dtype=np.float32).reshape(5, 3))
    np.save(folder / "text.npy", np.asfortranarray(np.arange(10).reshape(5, 2) / 8))


def write_mmrec(folder: Path) -> None:
    write_features(folder)
    rows = [(u, i, label, 7) for label, pairs in enumerate(PAIRS.values()) for u, i in pairs]
    (folder / "toy.inter").write_text("\n".join("\t".join(map(str, row)) for row in [TABLE, *rows]) + "\n")
    (folder / "users.csv").write_text("user\tuserID\n" + "".join(f"u{n}\t{n}\n" for n in range(4)))
    (folder / "items.csv").write_text("asin\titemID\n" + "".join(f"i{n}\t{n}\n" for n in range(5)))


def read_toy_mmrec(folder: Path) -> object:
    pair = ("users.csv", "items.csv")
    return read_mmrec(folder, name="toy", split=SPLIT, interactions="toy.inter", features=FEATURES, labels=pair)


def read_unlabelled_mmrec(folder: Path) -> object:
    return read_mmrec(folder, name="toy", split=SPLIT, interactions="toy.inter", features={})


def matrix(part: str, kind: Callable[..., Any] = sp.coo_matrix) -> Any:
    rows, columns = np.array(PAIRS[part]).T
    return kind(sp.coo_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape=(4, 5)))


def write_matrices(protocol: int, kind: Callable[..., Any]) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        write_features(folder)
        for part, file in MATRICES.items():
            (folder / file).write_bytes(pickle.dumps(matrix(part, kind), protocol))

    return write


def read_toy_matrices(folder: Path) -> object:
    return read_matrices(folder, name="toy", split=SPLIT, features=FEATURES, splits=MATRICES)


def write_toy_canonical(folder: Path) -> None:
    write_features(folder)
    columns = {
        part: SplitColumns(*np.array(pairs).T, timestamps=np.arange(len(pairs))) for part, pairs in PAIRS.items()
    }
    features = {m: load_features(folder / file, m) for m, file in FEATURES.items()}
    write_canonical(
        assemble(name="toy", split=SPLIT, splits=columns, n_users=4, n_items=5, features=features), folder / "toy"
    )


def repair(folder: Path) -> None:
    """Let the manifest say what its files are."""
    manifest = json.loads((folder / "toy" / MANIFEST).read_text())
    for file in manifest["files"]:
        path = folder / "toy" / file
        manifest["files"][file] = {"bytes": path.stat().st_size, "sha256": sha256(path)}
    (folder / "toy" / MANIFEST).write_text(json.dumps(manifest))


def read_toy_canonical(folder: Path) -> object:
    dataset = read_canonical(folder / "toy")
    return dataset.digest


@st.composite
def manifests(draw: st.DrawFn) -> bytes:
    """A manifest with values of other kinds."""
    manifest: dict[str, Any] = {
        "format": "recmm canonical",
        "format_version": 1,
        "name": "toy",
        "split": {"name": "toy", "recipe": "By hand."},
        "n_users": 4,
        "n_items": 5,
        "modalities": ["visual", "text"],
        "files": {},
    }
    odd = jsons([*KEYS, "recipe", "visual", "..", "../x", "\ud800", "x" * 5000])
    for key in draw(st.lists(st.sampled_from(sorted(manifest)), min_size=1, max_size=3)):
        manifest[key] = draw(odd)
    return json.dumps(manifest).encode()


INTERACTIONS = {
    "user": pl.Series([u for pairs in PAIRS.values() for u, _ in pairs]),
    "item": pl.Series([i for pairs in PAIRS.values() for _, i in pairs]),
    "split": pl.Series([part for part, pairs in PAIRS.items() for _ in pairs]),
}
LABELS = {"item": pl.Series([f"i{n}" for n in range(5)])}

test_features = fuzzed(write_features, lambda f: load_features(f / "visual.npy", "x"), "visual.npy", npy_files())
test_array = fuzzed(write_features, lambda f: load_array(f / "text.npy", "x"), "text.npy", npy_files(), examples=80)
test_mmrec_table = fuzzed(write_mmrec, read_toy_mmrec, "toy.inter", tables(TABLE), tables(TABLE[:3]))
test_mmrec_table_alone = fuzzed(write_mmrec, read_unlabelled_mmrec, "toy.inter", tables(TABLE), tables(TABLE[:3]))
test_mmrec_labels = fuzzed(write_mmrec, read_toy_mmrec, "items.csv", tables(["asin", "itemID"]))
test_mmrec_features = fuzzed(write_mmrec, read_toy_mmrec, "text.npy", npy_files())
test_matrices = fuzzed(write_matrices(4, sp.coo_matrix), read_toy_matrices, "trn.pkl", pickle_programs())
test_old_matrices = fuzzed(write_matrices(2, sp.csr_matrix), read_toy_matrices, "val.pkl", pickle_programs())
test_new_matrices = fuzzed(write_matrices(5, sp.csr_array), read_toy_matrices, "tst.pkl", pickle_programs())
test_manifest = fuzzed(write_toy_canonical, read_toy_canonical, f"toy/{MANIFEST}", manifests())
test_unrepaired = fuzzed(write_toy_canonical, read_toy_canonical, "toy/interactions.parquet", examples=20)
test_interactions = fuzzed(
    write_toy_canonical, read_toy_canonical, "toy/interactions.parquet", parquets(INTERACTIONS), repair=repair
)
test_labels = fuzzed(write_toy_canonical, read_toy_canonical, "toy/items.parquet", parquets(LABELS), repair=repair)
test_observed = fuzzed(write_toy_canonical, read_toy_canonical, "toy/observed.npy", npy_files(), repair=repair)
test_archive = fuzzed(
    lambda folder: (folder / "a.zip").write_bytes(zipped({"x/visual.npy": b"content" * 9})),
    lambda folder: unpack(folder / "a.zip", "visual.npy", folder / "visual.npy", limit=1000),
    "a.zip",
)


TEXT = b"\x80\x02X" + (10**6).to_bytes(4, "little") + b"a" * 10**6 + b"q\x00"
ENCODE = b"c_codecs\nencode\nh\x00X\x06\x00\x00\x00latin1\x86R"
DOUBLED = b")" + b"2\x86" * 60  # a tuple that holds the empty one 2**60 times
WORST = {
    "memo.pkl": b"\x80\x02Nr\xff\xff\xff\x7f.",
    "hash.pkl": b"\x80\x02}" + DOUBLED + b"Ns.",
    "deep.pkl": b"\x80\x02})" + b"\x85" * 300_000 + b"Ns.",
    "shown.pkl": b"\x80\x02c_codecs\nencode\nU\x01a" + DOUBLED + b"\x86R.",
    "type.pkl": b"\x80\x02cnumpy\ndtype\n" + DOUBLED + b"\x85R.",
    "shape.pkl": b"\x80\x02cscipy.sparse._coo\ncoo_matrix\n)\x81}U\x06_shape" + DOUBLED + b"sb.",
    "copies.pkl": TEXT + ENCODE * 2_000 + b".",
    "empty.pkl": b"\x80\x02" + b"]" * 20_000_000 + b".",
    "bytes.pkl": b"\x80\x04\x8e" + (2**60).to_bytes(8, "little") + b"ab.",
    "array.pkl": b"\x80\x05\x96" + (2**40).to_bytes(8, "little") + b"ab.",
    "long.pkl": b"\x80\x02\x8b\xff\xff\xff\x7f.",
    "header.npy": b"\x93NUMPY\2\0\xff\xff\xff\xff{",
    "nested.npy": b"\x93NUMPY\1\0\x10\x27" + b"(" * 10_000 + bytes(99),
    "zeros.npy": b"\x93NUMPY\1\0\x50\x00"
    + b"{'descr': '|V0', 'fortran_order': False, 'shape': (1000000000000,)}".ljust(80),
}
READ_ALL = """
import resource, sys
from pathlib import Path
from recmm.data.files.arrays import load_features
from recmm.data.files.pickles import load_sparse
from recmm.errors import DataError
pages = int(Path("/proc/self/statm").read_text().split()[0])
most = pages * resource.getpagesize() + 200 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (most, most))
for path in map(Path, sys.argv[1:]):
    try:
        (load_sparse if path.suffix == ".pkl" else load_features)(path, "x")
    except DataError as error:
        print(path.name, len(str(error)) < 1000 and path.name in str(error), flush=True)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the memory of a process is bounded on Linux only")
def test_the_worst_ends_in_bounded_time_and_memory(tmp_path: Path) -> None:
    """Each of them takes an unpickler or a careless reader gigabytes, hours, or its stack."""
    for name, content in WORST.items():
        (tmp_path / name).write_bytes(content)
    command = [sys.executable, "-c", READ_ALL, *(str(tmp_path / name) for name in WORST)]
    root = str(Path(recmm.__file__).parents[1])
    env = os.environ | {"PYTHONPATH": root, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    ended = subprocess.run(command, env=env, capture_output=True, text=True, timeout=240, check=False)
    assert ended.stdout.splitlines() == [f"{name} True" for name in WORST], ended.stderr


def test_copies_of_text_are_made_only_where_they_are_used(tmp_path: Path) -> None:
    (tmp_path / "x.pkl").write_bytes(WORST["copies.pkl"])
    assert read_or_refuse(lambda: load_sparse(tmp_path / "x.pkl", "x"), tmp_path) is not None


def test_weights_beyond_single_precision_are_refused(tmp_path: Path) -> None:
    write_matrices(4, sp.coo_matrix)(tmp_path)
    heavy = matrix("train").astype(np.float64) * 1e300
    (tmp_path / "trn.pkl").write_bytes(pickle.dumps(heavy))
    assert "one finite number as weight in single precision" in str(
        read_or_refuse(lambda: read_toy_matrices(tmp_path), tmp_path)
    )


def test_a_repeated_label_is_named_with_its_file(tmp_path: Path) -> None:
    write_mmrec(tmp_path)
    (tmp_path / "users.csv").write_text("user\tuserID\n" + "".join(f"same\t{n}\n" for n in range(4)))
    with pytest.raises(IdError, match=r"users\.csv: the label 'same' stands for several ids"):
        read_toy_mmrec(tmp_path)


def test_row_pointers_that_wrap_around_are_refused(tmp_path: Path) -> None:
    """The differences are 1, 2**63 - 1 and 2**63 - 1 modulo 2**64: none negative, and their sum is that of the ends."""
    damaged = sp.csr_matrix(np.ones((3, 1)))
    damaged.__dict__["indptr"] = np.array([0, 2**63 - 1, -(2**63) + 2, 3])
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(damaged))
    with pytest.raises(DataError, match="row pointers"):
        load_sparse(tmp_path / "x.pkl", "x")


@pytest.mark.parametrize("number", [number for number in NUMBERS if 2**31 <= number < 2**63])
def test_huge_ids_take_no_memory(tmp_path: Path, number: int) -> None:
    write_mmrec(tmp_path)
    table = (tmp_path / "toy.inter").read_text()
    for row in (f"{number}\t0\t0\t7\n", f"0\t{number}\t0\t7\n", f"{number}\t{number}\t0\t7\n"):
        (tmp_path / "toy.inter").write_text(table + row)
        assert isinstance(read_or_refuse(lambda: read_unlabelled_mmrec(tmp_path), tmp_path), IdError)
        assert read_or_refuse(lambda: read_toy_mmrec(tmp_path), tmp_path) is not None
    huge = matrix("train")
    huge._shape = (number, 5)
    write_matrices(4, sp.coo_matrix)(tmp_path)
    for file in MATRICES.values():
        (tmp_path / file).write_bytes(pickle.dumps(huge))
    assert read_or_refuse(lambda: read_toy_matrices(tmp_path), tmp_path) is not None


def test_tables_that_unpack_to_far_more_than_they_are_are_refused(tmp_path: Path) -> None:
    write_toy_canonical(tmp_path)
    zeros = pl.zeros(2_000_000, pl.Int64, eager=True)
    rows = pl.DataFrame({"user": zeros, "item": zeros}).with_columns(split=pl.lit("train"))
    rows.write_parquet(tmp_path / "toy" / "interactions.parquet")
    repair(tmp_path)
    assert "announces 2,000,000 rows" in str(read_or_refuse(lambda: read_toy_canonical(tmp_path), tmp_path))
    write_valid = tmp_path / "again"
    write_valid.mkdir()
    write_toy_canonical(write_valid)
    pl.DataFrame({"item": ["x" * 1_000_000] * 100}).write_parquet(write_valid / "toy" / "items.parquet")
    repair(write_valid)
    assert "far more text" in str(read_or_refuse(lambda: read_toy_canonical(write_valid), write_valid))


def test_a_name_that_no_file_can_have_is_said(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="cannot be read"):
        load_array(tmp_path / ("x" * 5000), "features")


@pytest.mark.parametrize(("encoding", "words"), [("utf-16", "position 0"), ("utf-16-le", "NUL"), ("cp037", "position")])
def test_another_encoding_is_named(tmp_path: Path, encoding: str, words: str) -> None:
    write_mmrec(tmp_path)
    (tmp_path / "toy.inter").write_bytes((tmp_path / "toy.inter").read_text().encode(encoding))
    with pytest.raises(DataError, match=f"not text in UTF-8 .*{words}.*Save the table as UTF-8"):
        read_toy_mmrec(tmp_path)


def test_line_ends_of_old_programs_are_named(tmp_path: Path) -> None:
    write_mmrec(tmp_path)
    (tmp_path / "toy.inter").write_bytes((tmp_path / "toy.inter").read_bytes().replace(b"\n", b"\r"))
    with pytest.raises(DataError, match=r"toy\.inter: its lines end with a carriage return alone"):
        read_toy_mmrec(tmp_path)


def test_what_a_terminal_would_act_on_is_escaped(tmp_path: Path) -> None:
    write_mmrec(tmp_path)
    (tmp_path / "toy.inter").write_text("user\x1b[31mID\titemID\tx_label\n")
    with pytest.raises(DataError, match=r"columns user\\x1b\[31mID"):
        read_toy_mmrec(tmp_path)
