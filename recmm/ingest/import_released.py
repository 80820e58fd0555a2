"""`python -m recmm data import --from mmrec|matrices|json`: the layouts in which others release whole catalogues."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from recmm.data.dataset import Split
from recmm.data.formats import read_json, read_matrices, read_mmrec
from recmm.data.formats.json_splits import FILES as JSON_FILES
from recmm.data.formats.matrices import FILES as MATRIX_FILES
from recmm.errors import ConfigError, MissingFileError
from recmm.ingest.importing import Imported, by_modality


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

    def splits(self, usual: Mapping[str, str]) -> dict[str, str]:
        """Split name -> file."""
        return {part: getattr(self, part) or file for part, file in usual.items()}


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
            interactions=options.interactions or _only_table(folder),
            features=by_modality(options.features, "--features"),
            labels=options.labels,
        )
    )


def import_matrices(folder: Path, name: str, options: SplitFilesOptions, new: Path) -> Imported:
    """One pickled sparse matrix per split, and feature files in the order of its columns.

    Raises:
        DataError: everything that ``read_matrices`` finds wrong.
    """
    return Imported(
        read_matrices(
            folder,
            name=name,
            split=Split(options.split_name, "as given by the matrices of the release"),
            features=by_modality(options.features, "--features"),
            splits=options.splits(MATRIX_FILES),
        )
    )


def import_json(folder: Path, name: str, options: SplitFilesOptions, new: Path) -> Imported:
    """One dictionary {user: [items]} per split, and feature files in the order of the item ids.

    Raises:
        DataError: everything that ``read_json`` finds wrong.
    """
    return Imported(
        read_json(
            folder,
            name=name,
            split=Split(options.split_name, "as given by the dictionaries of the release"),
            features=by_modality(options.features, "--features"),
            splits=options.splits(JSON_FILES),
        )
    )


def _only_table(folder: Path) -> str:
    found = sorted(path.name for path in folder.glob("*.inter"))
    if not found:
        raise MissingFileError(f"{folder} holds no .inter table: put it there, or name it with --interactions.")
    if len(found) > 1:
        raise ConfigError(f"{folder} holds {', '.join(found)}: say with --interactions which is meant.")
    return found[0]
