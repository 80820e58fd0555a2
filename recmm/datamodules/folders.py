"""Datasets in a folder: recmm's own layout, MMRec's, and what the known datasets share with it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from recmm.data.dataset import SPLITS, MultimodalDataset, Split
from recmm.data.formats import read_canonical, read_matrices, read_mmrec
from recmm.data.protocols import SplitProtocol
from recmm.data.sources import ANY, Origin, obtain
from recmm.datamodules.base import MultimodalDataModule
from recmm.errors import ConfigError, DataError


class CanonicalFolder(MultimodalDataModule):
    """Any folder in recmm's own layout, as ``recmm.data.formats.write_canonical`` makes it.

    Args:
        folder: where ``manifest.json`` lies.
    """

    def __init__(
        self, *, folder: str, modalities: Sequence[str] | None = None, protocol: SplitProtocol | None = None
    ) -> None:
        super().__init__(modalities=modalities, protocol=protocol)
        self.folder = folder

    def load(self) -> MultimodalDataset:
        return read_canonical(Path(self.folder).expanduser(), modalities=self.modalities)


class MMRecFolder(MultimodalDataModule):
    """Any folder in MMRec's layout: one `.inter` table with the columns userID, itemID, x_label, and .npy features.

    Args:
        folder: where the files lie; its last part names the dataset.
        interactions: file name of the table.
        features: modality -> file name; only the chosen modalities are read.
        split: a name for this split, which enters the data digest and every table.
        labels: file names of the mappings from raw users and from raw items; None if the dense ids are all there is.
    """

    def __init__(
        self,
        *,
        folder: str,
        interactions: str,
        features: Mapping[str, str],
        split: str = "given",
        labels: Sequence[str] | None = None,
        modalities: Sequence[str] | None = None,
        protocol: SplitProtocol | None = None,
    ) -> None:
        super().__init__(modalities=modalities, protocol=protocol)
        self.folder = folder
        self.interactions = interactions
        self.features = features
        self.split = split
        self.labels = labels

    def load(self) -> MultimodalDataset:
        folder = Path(self.folder).expanduser()
        return read_files(
            folder,
            name=folder.name,
            split=Split(self.split, "as given by the column x_label of the table"),
            interactions=self.interactions,
            features=self.features,
            labels=self.labels,
            modalities=self.modalities,
            origin=ANY,
            download=False,
        )


def read_files(
    folder: Path,
    *,
    name: str,
    split: Split,
    interactions: str | Mapping[str, str],
    features: Mapping[str, str],
    labels: Sequence[str] | None,
    modalities: Sequence[str] | None,
    origin: Origin,
    download: bool,
) -> MultimodalDataset:
    """Read interactions and the chosen features from one folder, downloading what is absent and has a pinned source.

    Args:
        interactions: a table in MMRec's layout, or "train", "val", "test" -> a pickled matrix.
    Raises:
        ConfigError: interactions or labels that name something else.
        DataError: a modality that ``features`` does not name, or one named twice.
        Everything that ``obtain`` and the readers raise.
    """
    chosen = list(features) if modalities is None else list(modalities)
    if unknown := [modality for modality in chosen if modality not in features]:
        raise DataError(
            f"dataset.modalities names {unknown[0]!r}; {name} has {', '.join(features) or 'none'} (dataset.features)."
        )
    if len(set(chosen)) != len(chosen):
        raise DataError(f"dataset.modalities names a modality twice: {', '.join(chosen)}.")
    if labels is not None and len(labels) != 2:
        raise ConfigError(f"dataset.labels names {len(labels)} files, expected two: the users' and the items'.")
    if isinstance(interactions, str):
        tables = [interactions, *(labels or ())]
    elif set(interactions) == set(SPLITS) and labels is None:
        tables = [interactions[part] for part in SPLITS]
    else:
        raise ConfigError(
            f"dataset.interactions has the keys {', '.join(interactions)}; expected the file name of a table, or a "
            f"matrix for each of {', '.join(SPLITS)} and then no dataset.labels."
        )
    obtain(
        origin,
        folder,
        [*tables, *(features[modality] for modality in chosen)],
        download=download,
        instead=_with_what_is_there(folder, tables, features),
    )
    files = {modality: features[modality] for modality in chosen}
    if isinstance(interactions, str):
        pair = None if labels is None else (labels[0], labels[1])
        return read_mmrec(folder, name=name, split=split, interactions=interactions, features=files, labels=pair)
    return read_matrices(folder, name=name, split=split, splits=interactions, features=files)


def _with_what_is_there(folder: Path, tables: Sequence[str], features: Mapping[str, str]) -> list[str]:
    """The choices of modalities that run as the folder is, in words, if its interactions are there."""
    if not all((folder / table).is_file() for table in tables):
        return []
    there = [modality for modality, file in features.items() if (folder / file).is_file()]
    some = [f"`dataset.modalities=[{','.join(there)}]`"] if there else []
    return [*some, "`dataset.modalities=[]` with a modality-free method"]
