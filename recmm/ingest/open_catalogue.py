"""The catalogue that a command reads: a folder in any layout, a known dataset, or arguments of train.py."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from recmm.data.dataset import SPLITS, MultimodalDataset, Split
from recmm.data.files.arrays import load_array
from recmm.data.formats import read_matrices
from recmm.data.formats.manifest import MANIFEST
from recmm.data.formats.matrices import FILES as MATRIX_FILES
from recmm.datamodules.base import MultimodalDataModule
from recmm.datamodules.folders import CanonicalFolder, MMRecFolder
from recmm.errors import ConfigError, DataError
from recmm.ingest.cli.named_files import by_modality, only_table
from recmm.ingest.cli.options import Layout

LABELS = ("u_id_mapping.csv", "i_id_mapping.csv")
MODALITIES = {
    "visual": ("image", "img", "visual", "vision"),
    "textual": ("text", "txt"),
    "acoustic": ("audio", "acoustic"),
}


class MatricesFolder(MultimodalDataModule):
    """A folder of pickled matrices.

    Args:
        splits: "train", "val", "test" -> file name.
        features: modality -> file name.
    """

    def __init__(self, *, folder: str, splits: Mapping[str, str], features: Mapping[str, str]) -> None:
        super().__init__()
        self.folder = folder
        self.splits = splits
        self.features = features

    def load(self) -> MultimodalDataset:
        folder = Path(self.folder)
        split = Split("given", "as given by the matrices")
        return read_matrices(folder, name=folder.name, split=split, features=self.features, splits=self.splits)


def catalogue(
    target: Sequence[str], layout: Layout | None, interactions: str | None, features: Sequence[str]
) -> MultimodalDataModule:
    """The datamodule that a command's arguments select; only file headers are read.

    Args:
        target: one folder, one name such as tiktok_va, or arguments of train.py such as dataset=tiktok_va.
        layout: of the folder; None to recognise it from its files.
        interactions: file name of the table, for the layout mmrec.
        features: ``modality=file`` each; if empty, every .npy matrix in the folder is a modality.
    Raises:
        ConfigError: no such folder or dataset, a layout that cannot be recognised, or options that do not apply.
        MissingFileError: the folder holds no table.
    """
    folder = Path(target[0])
    if len(target) == 1 and "=" not in target[0] and folder.is_dir():
        return _of_folder(folder, layout, interactions, features)
    if layout is not None or interactions is not None or features:
        raise ConfigError(f"--layout, --interactions and --features apply to a folder; {target[0]!r} is not one.")
    return _of_arguments(target)


def _of_arguments(target: Sequence[str]) -> MultimodalDataModule:
    from recmm.experiment.config.build import build  # a folder does not need Hydra
    from recmm.experiment.config.folder import config_folder
    from recmm.experiment.config.jobs import check_arguments
    from recmm.settings import suggestion

    folder = config_folder()
    known = sorted(path.stem for path in (folder / "dataset").glob("*.yaml"))
    first, *others = target
    if "=" not in first:
        if first not in known:
            if Path(first).is_file():
                raise ConfigError(
                    f"{first} is a file. Name the folder of a catalogue, or use `python -m recmm data import`."
                )
            raise ConfigError(f"There is neither a folder nor a dataset called {first}{suggestion(first, known)}")
        first = f"dataset={first}"
    (cfg,) = check_arguments([first, *others], folder)
    datamodule: MultimodalDataModule = build(cfg.dataset)
    return datamodule


def _of_folder(
    folder: Path, layout: Layout | None, interactions: str | None, given: Sequence[str]
) -> MultimodalDataModule:
    layout = layout or _layout(folder)
    if layout is Layout.canonical:
        if interactions or given:
            raise ConfigError(
                "--interactions and --features do not apply to the layout canonical: its manifest names the files."
            )
        return CanonicalFolder(folder=str(folder))
    features = by_modality(given, "--features") or _features(folder)
    if layout is Layout.matrices:
        if interactions:
            raise ConfigError("--interactions applies to the layout mmrec; the matrices are found by their file names.")
        return MatricesFolder(folder=str(folder), splits=_matrices(folder), features=features)
    labels = LABELS if all((folder / name).is_file() for name in LABELS) else None
    return MMRecFolder(
        folder=str(folder), interactions=interactions or only_table(folder), features=features, labels=labels
    )


def _layout(folder: Path) -> Layout:
    if (folder / MANIFEST).is_file():
        return Layout.canonical
    found = [
        layout
        for layout, pattern in ((Layout.mmrec, "*.inter"), (Layout.matrices, f"*{MATRIX_FILES['train']}"))
        if any(folder.glob(pattern))
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise ConfigError(f"{folder} has files of two layouts: choose --layout mmrec or --layout matrices.")
    raise ConfigError(
        f"{folder} holds neither {MANIFEST} (layout canonical), nor an .inter table (mmrec), nor "
        f"{MATRIX_FILES['train']} (matrices): name another folder, or choose the layout with --layout."
    )


def _matrices(folder: Path) -> dict[str, str]:
    """Split -> file name: the usual names, with the prefix that the training file has in this folder."""
    prefixes = sorted(
        path.name.removesuffix(MATRIX_FILES["train"]) for path in folder.glob(f"*{MATRIX_FILES['train']}")
    )
    prefix = prefixes[0] if prefixes else ""
    return {part: f"{prefix}{MATRIX_FILES[part]}" for part in SPLITS}


def _features(folder: Path) -> dict[str, str]:
    """Modality -> file name, for every .npy file except readable arrays that are not two-dimensional."""
    found: dict[str, str] = {}
    for path in sorted(folder.glob("*.npy")):
        try:
            array: np.ndarray | None = load_array(path, "a matrix of features")
        except DataError:
            array = None  # kept, so that reading it reports what is wrong
        if array is None or array.ndim == 2:
            found[_modality(path.stem)] = path.name
    return found


def _modality(stem: str) -> str:
    """The modality that a file name starts with, else the whole name: image_feat -> visual."""
    for modality, prefixes in MODALITIES.items():
        if stem.lower().startswith(prefixes):
            return modality
    return stem
