"""Dictionaries {user: [items]}, as LATTICE and MMSSL release them."""

import json
from pathlib import Path
from typing import Any

import pytest

from recmm.data.dataset import MultimodalDataset, Split
from recmm.data.formats import read_json
from recmm.errors import DataError, FeatureShapeError, IdError, MissingFileError, RecmmError, SplitOverlapError

FEATURES = {"visual": "visual.npy", "text": "text.npy"}
CONTENT: dict[str, dict[str, list[Any]]] = {
    "train": {"0": [2, 0], "2": [3], "1": [1], "3": []},
    "val": {"0": [3], "1": [0], "2": []},
    "test": {"2": [1], "3": [4]},
}


@pytest.fixture
def folder(feature_folder: Path) -> Path:
    for part, content in CONTENT.items():
        (feature_folder / f"{part}.json").write_text(json.dumps(content))
    return feature_folder


def read(folder: Path, **changes: Any) -> MultimodalDataset:
    return read_json(folder, **({"name": "toy", "split": Split("toy", "By hand."), "features": FEATURES} | changes))


def test_reads_the_catalogue(folder: Path, catalogue: MultimodalDataset) -> None:
    assert read(folder).digest == catalogue.digest


def test_ids_may_be_text(folder: Path, catalogue: MultimodalDataset) -> None:
    text = {user: [str(item) for item in items] for user, items in CONTENT["train"].items()}
    (folder / "train.json").write_text(json.dumps(text))
    assert read(folder).digest == catalogue.digest


def test_files_may_be_called_otherwise(folder: Path, catalogue: MultimodalDataset) -> None:
    (folder / "val.json").rename(folder / "valid.json")
    splits = {"train": "train.json", "val": "valid.json", "test": "test.json"}
    assert read(folder, splits=splits).digest == catalogue.digest


def test_validation_must_be_there(folder: Path) -> None:
    (folder / "val.json").unlink()
    with pytest.raises(MissingFileError, match=r"val.json, the dictionary of split 'val'"):
        read(folder)


def test_too_few_feature_rows(folder: Path) -> None:
    (folder / "test.json").write_text('{"2": [1], "3": [5]}')
    with pytest.raises(FeatureShapeError, match=r"5 rows, but .* names 6 items"):
        read(folder)


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        ("[[0, 1]]", DataError, "holds a list; expected a dictionary"),
        ('{"0": [1', DataError, "not a readable JSON"),
        ('{"0": 7}', DataError, "user '0' has 7; expected a list"),
        ('{"0": [1], "0": [2]}', DataError, "the key '0' stands there twice"),
        ("[" * 100_000, DataError, "not a readable JSON"),
        ('{"ann": [1]}', IdError, "user 'ann' is no dense id"),
        ('{"0": ["B00001"]}', IdError, "user 0: item 'B00001' is no dense id.*--from csv"),
        ('{"0": [-1]}', IdError, "item -1 is no dense id"),
        ('{"0": [1.0]}', IdError, "item 1.0 is no dense id"),
        ('{"0": [true]}', IdError, "item True is no dense id"),
        ('{"0": [[]]}', IdError, r"item \[\] is no dense id"),
        ('{"0": [' + "9" * 5000 + "]}", DataError, "train.json"),
        ('{"0": [4611686018427387903]}', RecmmError, "item ids run up to|rows, but"),
        ('{"0": [3]}', SplitOverlapError, "user 0, item 3"),
        ("{}", DataError, "no interaction in split 'train'"),
        ('{"0": [NaN]}', IdError, "item nan"),
    ],
)
def test_what_is_no_such_dictionary(folder: Path, content: str, error: type[RecmmError], message: str) -> None:
    (folder / "train.json").write_text(content)
    with pytest.raises(error, match=message):
        read(folder)


def test_another_encoding(folder: Path) -> None:
    (folder / "train.json").write_bytes(b'{"\xff": [1]}')
    with pytest.raises(DataError, match=r"train.json is not a readable JSON"):
        read(folder)
