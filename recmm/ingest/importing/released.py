"""`python -m recmm data import --from mmrec|matrices|json`: the layouts in which others release whole catalogues."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from recmm.data.dataset import MultimodalDataset, Split
from recmm.data.formats import read_json, read_matrices, read_mmrec
from recmm.data.formats.json_splits import FILES as JSON_FILES
from recmm.data.formats.matrices import FILES as MATRIX_FILES
from recmm.ingest.importing.catalogue import Imported, by_modality, only_table


@dataclass(frozen=True)
class MMRecOptions:
    """What a person may say about the files; see the options of the command. No ``interactions``: the only table."""

    interactions: str | None = None
    labels: tuple[str, str] | None = None
    features: tuple[str, ...] = ()
    split_name: str = "given"


@dataclass(frozen=True)
class SplitFilesOptions:
    """The same where each split has a file; None: the usual name."""

    train: str | None = None
    val: str | None = None
    test: str | None = None
    features: tuple[str, ...] = ()
    split_name: str = "given"


def import_mmrec(folder: Path, name: str, options: MMRecOptions, new: Path) -> Imported:
    """One `.inter` table with x_label, and feature files in the order of its item ids.

    Raises:
        ConfigError: several tables that may be meant.
        DataError: everything that ``read_mmrec`` finds wrong.
    """
    return Imported(
        read_mmrec(
            folder,
            name=name,
            split=Split(options.split_name, "as given by the column x_label of the table"),
            interactions=options.interactions or only_table(folder),
            features=by_modality(options.features, "--features"),
            labels=options.labels,
        )
    )


def import_matrices(folder: Path, name: str, options: SplitFilesOptions, new: Path) -> Imported:
    """One pickled sparse matrix per split, and feature files in the order of its columns.

    Raises:
        DataError: everything that ``read_matrices`` finds wrong.
    """
    return _by_split(read_matrices, MATRIX_FILES, "matrices", folder, name, options)


def import_json(folder: Path, name: str, options: SplitFilesOptions, new: Path) -> Imported:
    """One dictionary {user: [items]} per split, and feature files in the order of the item ids.

    Raises:
        DataError: everything that ``read_json`` finds wrong.
    """
    return _by_split(read_json, JSON_FILES, "dictionaries", folder, name, options)


def _by_split(
    read: Callable[..., MultimodalDataset],
    usual: Mapping[str, str],
    what: str,
    folder: Path,
    name: str,
    options: SplitFilesOptions,
) -> Imported:
    return Imported(
        read(
            folder,
            name=name,
            split=Split(options.split_name, f"as given by the {what} of the release"),
            features=by_modality(options.features, "--features"),
            splits={part: getattr(options, part) or file for part, file in usual.items()},
        )
    )
