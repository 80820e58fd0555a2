"""The whole check of one catalogue: read it with all findings, then check interactions and features."""

from pathlib import Path

from recmm.data.dataset import Split
from recmm.data.formats import canonical, matrices, mmrec
from recmm.data.formats.reading import Contents, Reading
from recmm.datamodules.base import MultimodalDataModule
from recmm.datamodules.folders import CanonicalFolder, MMRecFolder
from recmm.datamodules.known import KnownDataset, check_sizes
from recmm.ingest.check.features import check_features
from recmm.ingest.check.lenient_reading import Found, from_dataset, note_unlisted, read_leniently
from recmm.ingest.check.pairs import check_pairs
from recmm.ingest.open_catalogue import MatricesFolder


def check_catalogue(datamodule: MultimodalDataModule) -> Found:
    """What the files behind ``datamodule`` hold, with everything that is wrong with them in its ``findings``.

    Files are read as they are. If the configuration draws another split, or if the catalogue is made in memory, it is
    built as for a run; the first error is then the only finding.
    """
    found = _find(datamodule)
    if found is None:
        found = Found(type(datamodule).__name__, type(datamodule).__name__, Split("unknown", "it could not be read"))
        dataset = found.findings.attempt(None, "catalogue", lambda: datamodule.dataset)
        if dataset is None:
            return found
        found = from_dataset(dataset)
    splits = check_pairs(found)
    check_features(found, splits)
    if isinstance(datamodule, KnownDataset) and datamodule.expected and datamodule.protocol is None:
        sizes = {"users": found.n_users, "items": found.n_items} | {part: len(pairs) for part, pairs in splits.items()}
        label = f"{found.name} (split {found.split.name})"
        found.findings.attempt(None, found.source, check_sizes, sizes, datamodule.expected, label)
    return found


def _find(datamodule: MultimodalDataModule) -> Found | None:
    """What the files hold; None where the catalogue is not in files as it is."""
    if datamodule.protocol is None:
        if isinstance(datamodule, CanonicalFolder):
            folder = Path(datamodule.folder)
            found = read_leniently(canonical.reading(folder, datamodule.modalities))
            note_unlisted(found, folder)
            return found
        if isinstance(datamodule, MatricesFolder):
            folder = Path(datamodule.folder)
            split = Split("given", "as given by the matrices")
            return read_leniently(
                matrices.reading(
                    folder, name=folder.name, split=split, splits=datamodule.splits, features=datamodule.features
                )
            )
        if isinstance(datamodule, KnownDataset | MMRecFolder):
            return read_leniently(_reading(datamodule))
    return None


def _reading(datamodule: KnownDataset | MMRecFolder) -> Reading[Contents]:
    folder = Path(datamodule.folder)
    names = list(datamodule.features) if datamodule.modalities is None else list(datamodule.modalities)
    features = {modality: file for modality, file in datamodule.features.items() if modality in names}
    if isinstance(datamodule, KnownDataset):
        name, recipe = datamodule.dataset_name, datamodule.recipes[datamodule.split]
    else:
        name, recipe = folder.name, "as given by the table"
    split, interactions = Split(datamodule.split, recipe), datamodule.interactions
    if isinstance(interactions, str):
        return mmrec.reading(
            folder, name=name, split=split, interactions=interactions, features=features, labels=datamodule.labels
        )
    return matrices.reading(folder, name=name, split=split, splits=interactions, features=features)
