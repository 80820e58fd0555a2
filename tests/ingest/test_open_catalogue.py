"""The catalogue that the arguments of a command select."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from recmm.data.dataset import MultimodalDataset
from recmm.data.formats import write_canonical
from recmm.datamodules import CanonicalFolder, MMRecFolder, Synthetic
from recmm.errors import ConfigError, MissingFileError
from recmm.ingest.cli.options import Layout
from recmm.ingest.open_catalogue import MatricesFolder, catalogue


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two files of features and one that is none."""
    np.save(tmp_path / "image_feat.npy", np.ones((3, 2), np.float32))
    np.save(tmp_path / "audio.npy", np.ones((3, 2), np.float32))
    np.save(tmp_path / "order.npy", np.arange(3))
    return tmp_path


def find(
    *target: str | Path, layout: Layout | None = None, interactions: str | None = None, features: tuple[str, ...] = ()
):  # type: ignore[no-untyped-def]
    return catalogue([str(word) for word in target], layout, interactions, features)


def test_a_folder_of_ours(tmp_path: Path, tiny_dataset: MultimodalDataset) -> None:
    write_canonical(tiny_dataset, tmp_path / "ours")
    found = find(tmp_path / "ours")
    assert isinstance(found, CanonicalFolder) and found.dataset.digest == tiny_dataset.digest


def test_a_table_of_mmrec(folder: Path) -> None:
    (folder / "toy.inter").touch()
    found = find(folder)
    assert isinstance(found, MMRecFolder)
    assert (found.interactions, found.labels) == ("toy.inter", None)
    assert found.features == {"acoustic": "audio.npy", "visual": "image_feat.npy"}
    for name in ("u_id_mapping.csv", "i_id_mapping.csv"):
        (folder / name).touch()
    assert find(folder).labels == ("u_id_mapping.csv", "i_id_mapping.csv")
    assert find(folder, features=("taste=a.npy",)).features == {"taste": "a.npy"}


def test_matrices_with_words_before_their_names(folder: Path) -> None:
    (folder / "LATTICE_trnMat.pkl").touch()
    found = find(folder)
    assert isinstance(found, MatricesFolder)
    assert found.splits == {"train": "LATTICE_trnMat.pkl", "val": "LATTICE_valMat.pkl", "test": "LATTICE_tstMat.pkl"}


def test_two_layouts_need_a_word(folder: Path) -> None:
    for name in ("a.inter", "trnMat.pkl"):
        (folder / name).touch()
    with pytest.raises(ConfigError, match="two layouts: choose --layout"):
        find(folder)
    assert isinstance(find(folder, layout=Layout.mmrec), MMRecFolder)
    assert isinstance(find(folder, layout=Layout.matrices), MatricesFolder)


def test_a_dataset_by_name_and_by_arguments() -> None:
    assert isinstance(find("synthetic"), Synthetic)
    assert find("synthetic", "dataset.scale=0.5").scale == find("dataset=synthetic", "dataset.scale=0.5").scale == 0.5


@pytest.mark.parametrize(
    ("words", "options", "message"),
    [
        (["tiktok_w"], {}, "neither a folder nor a dataset called tiktok_w; did you mean 'tiktok"),
        (["dataset=synthetic", "dataset.scal=1"], {}, "dataset.scal"),
        (["synthetic"], {"layout": Layout.mmrec}, "apply to a folder; 'synthetic' is not one"),
        (["FOLDER"], {}, "neither manifest.json"),
        (["FOLDER"], {"layout": Layout.mmrec}, "no .inter table: put it there, or name a file with --interactions"),
        (["FILE"], {}, "is a file. Name the folder of a catalogue"),
        (["FOLDER"], {"layout": Layout.canonical, "features": ("a=b",)}, "its manifest names the files"),
        (["FOLDER"], {"layout": Layout.matrices, "interactions": "x"}, "matrices are found by their file names"),
        (
            ["FOLDER"],
            {"layout": Layout.mmrec, "interactions": "x", "features": ("image.npy",)},
            "expected MODALITY=FILE",
        ),
    ],
)
def test_what_cannot_be_meant(tmp_path: Path, words: list[str], options: dict, message: str) -> None:
    (tmp_path / "table.csv").touch()
    paths = {"FOLDER": str(tmp_path), "FILE": str(tmp_path / "table.csv")}
    with pytest.raises((ConfigError, MissingFileError), match=message):
        find(*(paths.get(word, word) for word in words), **options)


def test_several_tables_need_a_choice(folder: Path) -> None:
    for name in ("a.inter", "b.inter"):
        (folder / name).touch()
    with pytest.raises(ConfigError, match=r"holds a.inter, b.inter: choose one with --interactions"):
        find(folder)
    shutil.rmtree(folder)
    with pytest.raises(ConfigError, match="There is neither a folder nor a dataset"):
        find(folder)
