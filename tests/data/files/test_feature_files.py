"""Feature matrices in .npz, .pt, .safetensors and .parquet files."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import save_file

from recmm.data.files.feature_files import label_column, load_matrix
from recmm.errors import DataError, FeatureFileError, MissingFileError, ObjectArrayError, UnsafePickleError

VALUES = np.arange(12, dtype=np.float32).reshape(4, 3)
TENSOR = torch.from_numpy(VALUES)


def by_columns(values: np.ndarray) -> pl.DataFrame:
    return pl.DataFrame({f"d{k}": values[:, k] for k in range(values.shape[1])})


def write(path: Path, kind: str) -> None:
    match kind:
        case "npy":
            np.save(path.with_suffix(".npy"), VALUES)
        case "npz":
            np.savez(path, VALUES)
        case "pt":
            torch.save(torch.nn.Parameter(TENSOR), path)
        case "pth":
            torch.save({"epoch": 3, "x": TENSOR.to(torch.bfloat16)}, path)
        case "safetensors":
            save_file({"x": TENSOR}, path)
        case "columns.parquet":
            by_columns(VALUES).write_parquet(path)
        case "lists.parquet":
            pl.DataFrame({"x": VALUES.tolist()}).write_parquet(path)
        case "arrays.parquet":
            pl.DataFrame({"item": range(4), "x": pl.Series(VALUES)}).write_parquet(path)


@pytest.mark.parametrize(
    "kind",
    ["npy", "npz", "pt", "pth", "safetensors", "columns.parquet", "lists.parquet", "arrays.parquet"],
)
def test_every_kind_of_file_gives_the_same_matrix(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"x.{kind}"
    write(path, kind)
    np.testing.assert_array_equal(load_matrix(path, "features"), VALUES)


def test_one_of_several_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", image=VALUES, text=VALUES + 1)
    save_file({"image": TENSOR, "text": TENSOR + 1}, tmp_path / "x.safetensors")
    torch.save({"image": TENSOR, "text": TENSOR + 1}, tmp_path / "x.pt")
    for file in ("x.npz", "x.safetensors", "x.pt"):
        np.testing.assert_array_equal(load_matrix(tmp_path / f"{file}:text", "features"), VALUES + 1)
        with pytest.raises(FeatureFileError, match=r"it holds image, text: name one with FILE:NAME"):
            load_matrix(tmp_path / file, "features")
        with pytest.raises(FeatureFileError, match="has no array 'audio'"):
            load_matrix(tmp_path / f"{file}:audio", "features")


class Evil:
    def __reduce__(self) -> Any:
        return (print, ("executed",))


def test_nothing_is_executed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(Evil(), tmp_path / "x.pt")
    with pytest.raises(UnsafePickleError, match=r"x\.pt \(features\) holds more than tensors"):
        load_matrix(tmp_path / "x.pt", "features")
    np.savez(tmp_path / "x.npz", np.array([Evil()]))
    with pytest.raises(ObjectArrayError, match="object dtype"):
        load_matrix(tmp_path / "x.npz", "features")
    (tmp_path / "y.pt").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(DataError):
        load_matrix(tmp_path / "y.pt", "features")
    assert "executed" not in capsys.readouterr().out


@pytest.mark.parametrize("suffix", [".npz", ".pt", ".safetensors", ".parquet"])
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\xff" * 100, b"PAR1" + b"\0" * 40])
def test_a_damaged_file_is_a_sentence(suffix: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / f"x{suffix}").write_bytes(content)
    with pytest.raises(DataError, match=rf"x\{suffix}"):
        load_matrix(tmp_path / f"x{suffix}", "features")
    with pytest.raises(MissingFileError):
        load_matrix(tmp_path / f"absent{suffix}", "features")


def test_a_column_of_labels_is_no_feature(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    by_columns(VALUES).with_columns(item_id=pl.Series([3, 1, 2, 0])).write_parquet(path)
    assert label_column(path) == "item_id"
    np.testing.assert_array_equal(load_matrix(path, "features", labelled=True), VALUES)
    with pytest.raises(FeatureFileError, match="column 'item_id' names the item of each row"):
        load_matrix(path, "features")
    by_columns(VALUES).write_parquet(path)
    assert label_column(path) is None


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pl.DataFrame({"x": [[1.0, 2.0], [3.0]]}), "lists of 2 different lengths"),
        (pl.DataFrame({"x": [[1.0, 2.0], None]}), "no list in row 1"),
        (pl.DataFrame({"x": [1.0], "d": [True]}), "column 'd' is of type Boolean"),
        (pl.DataFrame({"x": [[1.0]], "y": [[1.0]]}), "it holds x, y"),
    ],
)
def test_tables_that_are_no_matrix(table: pl.DataFrame, message: str, tmp_path: Path) -> None:
    table.write_parquet(tmp_path / "x.parquet")
    with pytest.raises(DataError, match=message):
        load_matrix(tmp_path / "x.parquet", "features")
