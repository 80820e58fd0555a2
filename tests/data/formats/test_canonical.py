"""The canonical layout: what is written reads back the same, and what was changed since is refused."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from recmm.data.dataset import ItemFeatures, MultimodalDataset, Split
from recmm.data.formats import canonical_writer, read_canonical, write_canonical
from recmm.errors import (
    ColumnError,
    DataError,
    DigestError,
    FeatureShapeError,
    FeatureValueError,
    IdError,
    MissingFileError,
    ObjectArrayError,
    SplitOverlapError,
)
from tests.data.formats.manifests import edit_manifest, sign


@pytest.fixture
def dataset(catalogue: MultimodalDataset) -> MultimodalDataset:
    """The catalogue with labels, timestamps, weights in one split only, and gaps that hold NaN."""
    visual = catalogue.features.values["visual"].copy()
    visual[1] = np.nan
    observed = np.ones((5, 2), bool)
    observed[1, 0] = observed[4, 1] = False
    timed = {
        part: replace(pairs, timestamps=np.arange(len(pairs)) + 10**18) for part, pairs in catalogue.splits.items()
    }
    timed["train"] = replace(timed["train"], weights=np.array([1, 2, 0.5, 1], np.float32))
    return replace(
        catalogue,
        features=ItemFeatures(catalogue.features.values | {"visual": visual}, observed),
        user_ids=["ü", "b\nc", "7", ""],
        item_ids=[f"ASIN{dense}" for dense in range(5)],
        **timed,
    )


@pytest.fixture
def folder(dataset: MultimodalDataset, tmp_path: Path) -> Path:
    write_canonical(dataset, tmp_path / "toy")
    return tmp_path / "toy"


def rewrite(folder: Path, file: str, change: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    change(pl.read_parquet(folder / file)).write_parquet(folder / file)
    sign(folder, file)


def test_a_dataset_reads_back_with_the_same_digest(folder: Path, dataset: MultimodalDataset) -> None:
    found = read_canonical(folder)
    assert found.digest == dataset.digest
    assert (found.name, found.split) == ("toy", Split("toy", "By hand."))
    assert (found.user_ids, found.item_ids) == (dataset.user_ids, dataset.item_ids)
    assert found.modalities == ("visual", "text")
    assert found.train.weights is not None
    assert found.test.weights is None
    assert found.val.timestamps is not None
    assert found.val.timestamps.tolist() == [10**18, 10**18 + 1]
    visual, text = found.features.values.values()
    assert isinstance(visual, np.memmap)
    assert (visual.dtype, text.dtype) == (np.float32, np.float16)


def test_hidden_rows_are_written_as_zeros(folder: Path) -> None:
    np.testing.assert_array_equal(np.load(folder / "features" / "visual.npy")[1], 0)
    np.testing.assert_array_equal(np.load(folder / "features" / "text.npy")[4], 0)


def test_the_generated_catalogue_and_one_without_features_read_back(
    tiny_dataset: MultimodalDataset, tmp_path: Path
) -> None:
    for name, dataset in (("all", tiny_dataset), ("none", tiny_dataset.select([]))):
        write_canonical(dataset, tmp_path / name)
        assert read_canonical(tmp_path / name).digest == dataset.digest


def test_chosen_modalities_are_read_in_the_asked_order(folder: Path, dataset: MultimodalDataset) -> None:
    assert read_canonical(folder, modalities=["text", "visual"]).digest == dataset.select(["text", "visual"]).digest
    (folder / "features" / "visual.npy").unlink()
    assert read_canonical(folder, modalities=["text"]).digest == dataset.select(["text"]).digest
    with pytest.raises(MissingFileError, match=r"visual\.npy"):
        read_canonical(folder)
    with pytest.raises(DataError, match=r"has no modality 'audio'\. It has: visual, text\."):
        read_canonical(folder, modalities=["audio"])
    with pytest.raises(DataError, match=r"dataset\.modalities names a modality twice: text, text"):
        read_canonical(folder, modalities=["text", "text"])


@pytest.mark.parametrize("file", ["manifest.json", "interactions.parquet", "users.parquet", "observed.npy"])
def test_a_missing_file_is_named(folder: Path, file: str) -> None:
    (folder / file).unlink()
    with pytest.raises(MissingFileError, match=file):
        read_canonical(folder)


@pytest.mark.parametrize(
    "file", ["interactions.parquet", "users.parquet", "items.parquet", "observed.npy", "features/text.npy"]
)
@pytest.mark.parametrize("damage", [lambda old: old[:-1], lambda old: old[:-1] + bytes([old[-1] ^ 1])])
def test_a_changed_file_is_refused(folder: Path, file: str, damage: Callable[[bytes], bytes]) -> None:
    (folder / file).write_bytes(damage((folder / file).read_bytes()))
    with pytest.raises(DigestError, match=rf"{file} is not the file that was written.*the manifest says"):
        read_canonical(folder)


def test_a_file_that_the_manifest_does_not_list_is_refused(folder: Path) -> None:
    edit_manifest(folder, lambda manifest: manifest["files"].pop("observed.npy"))
    with pytest.raises(DigestError, match=r"observed\.npy .*the manifest says None"):
        read_canonical(folder)


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("format", "other", "expected a manifest that recmm wrote"),
        ("format_version", 2, "has format_version 2, this recmm reads 1"),
        ("name", None, "key 'name' is None; expected a value of type str"),
        ("n_items", "5", "key 'n_items' is '5'; expected a value of type int"),
        ("split", {"name": "toy"}, "key 'split' .*expected text under 'name' and 'recipe'"),
        ("split", {"name": "toy", "recipe": 1}, "key 'split' .*expected text under 'name' and 'recipe'"),
        ("split", {"name": "toy", "recipe": "-", "negatives": "new"}, r"split\.negatives' is 'new'; expected 'all' or"),
        ("modalities", ["../secret"], r"modality '\.\./secret' cannot name a file"),
        ("modalities", [3], "modality 3 cannot name a file"),
        ("modalities", ["text", "text"], "key 'modalities' names a modality twice: text, text"),
        ("n_users", -3, "key 'n_users' is -3; expected at least 1"),
        ("n_items", 0, "key 'n_items' is 0; expected at least 1"),
        ("n_items", True, "key 'n_items' is True; expected a value of type int"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(folder: Path, key: str, value: Any, sentence: str) -> None:
    edit_manifest(folder, lambda manifest: manifest.update({key: value}))
    with pytest.raises(DataError, match=sentence):
        read_canonical(folder)


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff\xfe"])
def test_a_damaged_manifest_is_refused(folder: Path, content: bytes) -> None:
    (folder / "manifest.json").write_bytes(content)
    with pytest.raises(DataError, match=r"manifest\.json"):
        read_canonical(folder)


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        (lambda t: t.rename({"user": "userID"}), ColumnError, r"columns userID \(Int64\).*wrong or absent: user\)"),
        (lambda t: t.cast({"item": pl.Float64}), ColumnError, r"wrong or absent: item\)"),
        (lambda t: t.with_columns(split=pl.lit("dev")), ColumnError, r"'split' holds \['dev'\]; expected train"),
        (lambda t: t.with_columns(user=pl.lit(None, pl.Int64)), IdError, "8 entries .* are empty"),
        (lambda t: t.with_columns(user=pl.col("user") - 1), IdError, "first is -1"),
        (lambda t: t.with_columns(item=pl.col("item") + 1), IdError, "out of range, the first is 5"),
        (
            lambda t: pl.concat([t, t.head(1).with_columns(split=pl.lit("test"), weight=None)]),
            SplitOverlapError,
            "item ASIN0",
        ),
        (
            lambda t: t.with_columns(timestamp=pl.lit("now")),
            DataError,
            "column 'timestamp' is of type String; expected numbers",
        ),
        (lambda t: t.with_columns(weight=pl.when(pl.col("user") > 0).then(1.0)), DataError, "finite number as weight"),
    ],
)
def test_bad_interactions_are_refused(
    folder: Path, change: Callable[[pl.DataFrame], pl.DataFrame], error: type[Exception], sentence: str
) -> None:
    rewrite(folder, "interactions.parquet", change)
    with pytest.raises(error, match=sentence):
        read_canonical(folder)


def test_bad_labels_are_refused(folder: Path) -> None:
    rewrite(folder, "users.parquet", lambda t: t.head(3))
    with pytest.raises(IdError, match="3 user labels for 4 user ids"):
        read_canonical(folder)
    rewrite(folder, "users.parquet", lambda t: t.with_columns(user=pl.lit(None, pl.String)))
    with pytest.raises(IdError, match=r"users\.parquet: 3 entries of column 'user' are empty"):
        read_canonical(folder)
    (folder / "users.parquet").write_bytes(b"no table")
    sign(folder, "users.parquet")
    with pytest.raises(ColumnError, match=r"users\.parquet is not a readable Parquet file"):
        read_canonical(folder)


def test_bad_arrays_are_refused(folder: Path) -> None:
    def put(file: str, values: np.ndarray) -> None:
        np.save(folder / file, values, allow_pickle=True)
        sign(folder, file)

    old = np.load(folder / "features/text.npy")
    put("features/text.npy", old[:4])
    with pytest.raises(FeatureShapeError, match=r"text\.npy has 4 rows, but there are 5 items"):
        read_canonical(folder)
    put("features/text.npy", np.full_like(old, np.nan))
    with pytest.raises(FeatureValueError, match=r"text\.npy holds 8 NaN or Inf values in 4 of 5 rows"):
        read_canonical(folder)
    put("features/text.npy", old.astype(object))
    with pytest.raises(ObjectArrayError, match=r"text\.npy .*object dtype"):
        read_canonical(folder)
    put("features/text.npy", old)
    put("observed.npy", np.ones((5, 3), bool))
    with pytest.raises(FeatureShapeError, match=r"observed\.npy .*expected \(5, 2\)"):
        read_canonical(folder)


def test_an_occupied_folder_is_not_overwritten(folder: Path, dataset: MultimodalDataset) -> None:
    before = (folder / "manifest.json").read_bytes()
    with pytest.raises(DataError, match="exists already and is not overwritten"):
        write_canonical(dataset.select([]), folder)
    assert (folder / "manifest.json").read_bytes() == before


def test_an_interrupted_writer_leaves_nothing(
    dataset: MultimodalDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(path: Path) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(canonical_writer, "sha256", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_canonical(dataset, tmp_path / "toy")
    assert os.listdir(tmp_path) == []


def test_a_modality_that_cannot_name_a_file_is_refused(dataset: MultimodalDataset, tmp_path: Path) -> None:
    odd = ItemFeatures({"a/b": dataset.features.values["text"]}, dataset.features.observed[:, 1:])
    with pytest.raises(DataError, match="'a/b' cannot name a file"):
        write_canonical(replace(dataset, features=odd), tmp_path / "toy")
    assert os.listdir(tmp_path) == []
