"""`python -m recmm data import --from mmrec|matrices|json`: layouts of released catalogues."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from recmm.data.dataset import MultimodalDataset, Split
from recmm.data.formats import read_json, read_matrices, read_mmrec
from recmm.data.formats.json_splits import FILES as JSON_FILES
from recmm.data.formats.matrices import FILES as MATRIX_FILES
from recmm.ingest.cli.named_files import by_modality, only_table
from recmm.ingest.importing.assembly import Imported


@dataclass(frozen=True)
class MMRecOptions:
    """Options of the command for this layout; see its help. ``interactions`` None: the folder's only table."""

    interactions: str | None = None
    labels: tuple[str, str] | None = None
    features: tuple[str, ...] = ()
    split_name: str = "given"


@dataclass(frozen=True)
class SplitFilesOptions:
    """Options for layouts with one file per split; see the help. None: the usual file name."""

    train: str | None = None
    val: str | None = None
    test: str | None = None
    features: tuple[str, ...] = ()
    split_name: str = "given"


def import_mmrec(folder: Path, name: str, options: MMRecOptions, new: Path) -> Imported:
    """Read one `.inter` table with the column x_label, and feature files whose rows follow its item ids.

    Raises:
        ConfigError: several tables, and no option that chooses one.
        DataError: a file is absent, or ``read_mmrec`` refuses it.
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
    """Read one pickled sparse matrix per split, and feature files whose rows follow its columns.

    Raises:
        DataError: a file is absent, or ``read_matrices`` refuses it.
    """
    return _by_split(read_matrices, MATRIX_FILES, "matrices", folder, name, options)


def import_json(folder: Path, name: str, options: SplitFilesOptions, new: Path) -> Imported:
    """Read one dictionary {user: [items]} per split, and feature files whose rows follow the item ids.

    Raises:
        DataError: a file is absent, or ``read_json`` refuses it.
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
