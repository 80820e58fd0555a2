"""Folders of pickled matrices."""

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from recmm.data.dataset import MultimodalDataset, Split
from recmm.data.formats import read_matrices
from recmm.errors import (
    DataError,
    EmptySplitError,
    FeatureShapeError,
    FeatureValueError,
    IdError,
    MissingFileError,
    ObjectArrayError,
    SplitOverlapError,
    TruncatedFileError,
    UnsafePickleError,
)

FILES = {"train": "trnMat.pkl", "val": "valMat.pkl", "test": "tstMat.pkl"}
FEATURES = {"visual": "visual.npy", "text": "text.npy"}


def save(path: Path, matrix: Any) -> None:
    path.write_bytes(pickle.dumps(matrix))


@pytest.fixture
def folder(feature_folder: Path, catalogue: MultimodalDataset) -> Path:
    for part, pairs in catalogue.splits.items():
        kind = sp.csr_matrix if part == "val" else sp.coo_matrix
        save(feature_folder / FILES[part], kind(pairs.csr()))
    return feature_folder


def read(folder: Path, **changes: Any) -> MultimodalDataset:
    return read_matrices(folder, **({"name": "toy", "split": Split("toy", "By hand."), "features": FEATURES} | changes))


def test_reads_the_catalogue(folder: Path, catalogue: MultimodalDataset) -> None:
    dataset = read(folder)
    assert dataset.digest == catalogue.digest
    assert dataset.statistics() == {"users": 4, "items": 5, "train": 4, "val": 2, "test": 2}
    assert isinstance(dataset.features.values["visual"], np.memmap)
    assert dataset.features.values["text"].dtype == np.float16
    assert dataset.item_ids == list("01234")


def test_file_names_can_be_chosen(folder: Path, catalogue: MultimodalDataset) -> None:
    names = {part: f"ours_{file}" for part, file in FILES.items()}
    for part, file in FILES.items():
        (folder / file).rename(folder / names[part])
    assert read(folder, splits=names).digest == catalogue.digest


def test_only_the_chosen_modalities_are_needed(folder: Path) -> None:
    (folder / "text.npy").unlink()
    assert read(folder, features={"visual": "visual.npy"}).modalities == ("visual",)
    with pytest.raises(MissingFileError, match=r"text\.npy, the features of 'text', does not exist"):
        read(folder)


@pytest.mark.parametrize("part", ["train", "val", "test"])
def test_a_missing_matrix_is_named(folder: Path, part: str) -> None:
    (folder / FILES[part]).unlink()
    with pytest.raises(MissingFileError, match=f"{FILES[part]}, the matrix of split '{part}'"):
        read(folder)


def test_a_missing_folder_is_named(folder: Path) -> None:
    with pytest.raises(MissingFileError, match=r"folder .*nowhere does not exist"):
        read(folder / "nowhere")


def test_a_malicious_pickle_is_refused(folder: Path) -> None:
    class Payload:
        def __reduce__(self) -> Any:
            return os.system, (f"touch {folder}/witness",)

    save(folder / "tstMat.pkl", Payload())
    with pytest.raises(UnsafePickleError, match=rf"tstMat\.pkl .*{os.name}\.system"):
        read(folder)
    assert not (folder / "witness").exists()


def test_matrices_of_different_shapes_are_refused(folder: Path) -> None:
    save(folder / "valMat.pkl", sp.coo_matrix(np.eye(4, 6)))
    with pytest.raises(IdError, match=r"valMat\.pkl has shape \(4, 6\), but trnMat\.pkl has \(4, 5\)"):
        read(folder)


def test_entries_of_value_zero_are_no_interactions_and_others_weigh(folder: Path) -> None:
    save(folder / "trnMat.pkl", sp.coo_matrix(([1.0, 0.0, 2.5], ([0, 1, 2], [0, 1, 3])), shape=(4, 5)))
    train = read(folder).train
    assert list(zip(train.users, train.items, strict=True)) == [(0, 0), (2, 3)]
    assert train.weights is not None
    assert train.weights.tolist() == [1, 2.5]


def test_ones_are_no_weights(folder: Path) -> None:
    assert read(folder).train.weights is None


def test_an_entry_stored_twice_is_counted(folder: Path) -> None:
    save(folder / "trnMat.pkl", sp.coo_matrix(([1.0, 1.0, 1.0], ([0, 0, 2], [0, 0, 3])), shape=(4, 5)))
    assert read(folder).notes["duplicates_dropped"] == 1


def test_an_empty_matrix_is_refused(folder: Path) -> None:
    save(folder / "valMat.pkl", sp.coo_matrix((4, 5)))
    with pytest.raises(EmptySplitError, match=r"valMat\.pkl has no interaction in split 'val'"):
        read(folder)


def test_a_pair_in_two_matrices_is_refused(folder: Path) -> None:
    save(folder / "tstMat.pkl", pickle.loads((folder / "trnMat.pkl").read_bytes()))
    with pytest.raises(SplitOverlapError, match=r"'train' \(.*trnMat\.pkl\) .*'test' \(.*tstMat\.pkl\)"):
        read(folder)


def test_bad_features_are_refused_by_file(folder: Path, features: dict[str, np.ndarray]) -> None:
    good = features["visual"]
    np.save(folder / "visual.npy", good[:-1])
    with pytest.raises(FeatureShapeError, match=r"visual\.npy has 4 rows, but there are 5 items"):
        read(folder)
    np.save(folder / "visual.npy", np.where(good == 7, np.nan, good))
    with pytest.raises(FeatureValueError, match=r"visual\.npy holds 1 NaN or Inf values in 1 of 5 rows, first row 2 "):
        read(folder)
    (folder / "visual.npy").write_bytes((folder / "visual.npy").read_bytes()[:-8])
    with pytest.raises(TruncatedFileError, match=r"visual\.npy .*truncated"):
        read(folder)
    np.save(folder / "visual.npy", good.astype(object), allow_pickle=True)
    with pytest.raises(ObjectArrayError, match=r"visual\.npy .*object dtype"):
        read(folder)


def test_other_content_is_refused(folder: Path) -> None:
    save(folder / "trnMat.pkl", {"train": [1, 2]})
    with pytest.raises(DataError, match=r"trnMat\.pkl .*type dict; expected a SciPy COO or CSR matrix"):
        read(folder)


def test_reads_the_real_tiktok(real_data: Path) -> None:
    features = {"visual": "image_feat.npy", "acoustic": "audio_feat.npy"}
    dataset = read_matrices(real_data / "tiktok", name="tiktok", split=Split("released", "-"), features=features)
    assert dataset.statistics() == {"users": 9308, "items": 6710, "train": 59541, "val": 3051, "test": 6130}
    assert dataset.notes == {"duplicates_dropped": 0, "users_without_history": 10, "cold_items": 465}
    assert dataset.features.dims == {"visual": 128, "acoustic": 128}
    assert {values.dtype for values in dataset.features.values.values()} == {np.dtype(np.float16)}


def test_reads_the_real_baby_in_the_split_of_lattice(real_data: Path) -> None:
    splits = {part: f"LATTICE_order_{file}" for part, file in FILES.items()}
    dataset = read_matrices(
        real_data / "amazon_baby", name="baby", split=Split("lattice", "-"), features={}, splits=splits
    )
    assert dataset.statistics() == {"users": 19445, "items": 7050, "train": 118551, "val": 21682, "test": 20559}
