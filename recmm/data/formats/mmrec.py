"""The layout `mmrec`: one tab-separated `.inter` table of interactions and splits, and one .npy file per modality."""

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl

from recmm.data.assembly import SplitColumns, assemble
from recmm.data.dataset import SPLITS, MultimodalDataset, Split
from recmm.data.files.arrays import load_features
from recmm.data.files.paths import require_file
from recmm.data.files.quoting import shown
from recmm.data.files.text_lines import first_line
from recmm.errors import ColumnError, FeatureShapeError, IdError

log = logging.getLogger(__name__)

USER, ITEM, LABEL, TIME = "userID", "itemID", "x_label", "timestamp"
LINE = "line\tnumber"  # column with a row's place in the file; no header can hold this name, for it is cut at tabs
SEPARATORS = {",": "commas", ";": "semicolons", "|": "vertical bars", " ": "spaces"}


def read_mmrec(
    folder: Path,
    *,
    name: str,
    split: Split,
    interactions: str,
    features: Mapping[str, str],
    labels: tuple[str, str] | None = None,
) -> MultimodalDataset:
    """Read a folder as MMRec keeps it.

    The table has the columns userID and itemID (dense ids from 0) and x_label (0 train, 1 validation, 2 test); a column
    timestamp is kept, further columns are ignored. The sizes are the largest id plus one over all rows; feature files
    with more rows than that, all of them equally many, enlarge the items.

    Args:
        interactions: name of the `.inter` file.
        features: modality -> .npy file [n_items, D_m], float16 or float32 kept and memory-mapped; only these are read.
        labels: the users' and the items' mapping files (tab-separated: raw label, then userID or itemID), where known.

    Raises:
        MissingFileError: a file that is not there.
        ColumnError: another separator, missing or repeated columns, a label other than 0, 1, 2, unreadable lines.
        IdError: ids that are not integers or negative; mapping files that do not name every id once.
        FeatureShapeError, FeatureFileError: as in ``arrays.load_features``; fewer rows than items.
        Everything else that ``assembly.assemble`` raises.
    """
    folder = Path(folder)
    path = folder / interactions
    table = read_table(path, "the table of interactions", (USER, ITEM, LABEL), optional=(TIME,))
    users, items = (integers(table, column, path, IdError) for column in (USER, ITEM))
    parts = integers(table, LABEL, path, ColumnError)
    if strange := sorted(set(np.unique(parts).tolist()) - {0, 1, 2}):
        raise ColumnError(
            f"{path}: column {LABEL!r} holds {strange[:5]}; expected 0 (train), 1 (validation) or 2 (test)."
        )
    times = numbers(table, TIME, path) if TIME in table.columns else None
    arrays = {m: load_features(folder / file, f"the features of {m!r}") for m, file in features.items()}
    n_users = int(users.max(initial=-1)) + 1
    n_items = catalogue_size(
        int(items.max(initial=-1)) + 1, {str(folder / features[m]): len(a) for m, a in arrays.items()}, path
    )
    columns = {
        part: SplitColumns(
            users[parts == number],
            items[parts == number],
            None if times is None else times[parts == number],
            None,
            str(path),
        )
        for number, part in enumerate(SPLITS)
    }
    return assemble(
        name=name,
        split=split,
        splits=columns,
        n_users=n_users,
        n_items=n_items,
        features=arrays,
        feature_sources={m: str(folder / file) for m, file in features.items()},
        user_ids=read_labels(folder / labels[0], USER, n_users) if labels else None,
        item_ids=read_labels(folder / labels[1], ITEM, n_items) if labels else None,
    )


def read_table(path: Path, role: str, required: tuple[str, ...], *, optional: tuple[str, ...] = ()) -> pl.DataFrame:
    """All columns as text and ``LINE``, after a look at the first line: its separator and its names.

    Blank lines are skipped. Columns that are neither ``required`` nor ``optional`` may be called anything.

    Raises:
        MissingFileError, ColumnError: as ``read_mmrec``.
    """
    header = first_line(require_file(path, role))
    names = header.split("\t")
    listed = shown(", ".join(names))
    if len(names) == 1:
        found = [f"{word} ({char!r})" for char, word in SEPARATORS.items() if char in header]
        raise ColumnError(
            f"{path}: the first line, {shown(header[:80])!r}, is separated by {found[0] if found else 'nothing'}; "
            f"expected tabs between the columns {', '.join(required)}."
        )
    if absent := [column for column in required if column not in names]:
        raise ColumnError(
            f"{path} has the columns {listed}, but lacks {', '.join(absent)}; expected at least "
            f"{', '.join(required)} in the first line. Rename or add them."
        )
    if repeated := [column for column in (*required, *optional) if names.count(column) > 1]:
        raise ColumnError(
            f"{path} has the columns {listed}, so {', '.join(repeated)} stands there more than once; "
            "expected each once in the first line. Remove or rename the others."
        )
    try:
        table = pl.read_csv(path, separator="\t", infer_schema=False, quote_char=None, glob=False)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        reason = shown(str(error).partition("\n")[0])
        raise ColumnError(f"{path} cannot be read as a table with the columns {listed}: {reason}.") from error
    filled = table.select(~pl.all_horizontal(pl.all().is_null())).to_series()
    return table.with_row_index(LINE, offset=2).filter(filled)


def integers(table: pl.DataFrame, column: str, path: Path, error: type[ColumnError] | type[IdError]) -> np.ndarray:
    """int64 [n]; ``error`` with the first line that holds no integer."""
    numbers = table[column].cast(pl.Int64, strict=False)
    if numbers.null_count():
        first = table.row(int(numbers.is_null().arg_max() or 0), named=True)
        raise error(
            f"{path}: {numbers.null_count()} entries of column {column!r} are not integers, the first is "
            f"{shown(first[column] or '')!r} in line {first[LINE]}; expected whole numbers such as 0 or 17."
        )
    return numbers.to_numpy()


def numbers(table: pl.DataFrame, column: str, path: Path) -> np.ndarray:
    """int64 [n] where all are whole numbers, else float64 [n]."""
    for kind in (pl.Int64, pl.Float64):
        numbers = table[column].cast(kind, strict=False)
        if not numbers.null_count():
            return numbers.to_numpy()
    raise ColumnError(
        f"{path}: {numbers.null_count()} entries of column {column!r} are not numbers; correct or drop it."
    )


def catalogue_size(named: int, rows: Mapping[str, int], path: Path) -> int:
    """The number of items, from the largest item id plus one and the rows of each feature file.

    Raises:
        FeatureShapeError: fewer rows than items, or files with different numbers of rows.
    """
    for file, count in rows.items():
        if count < named or count != next(iter(rows.values())):
            other = f"{path} names {named:,} items" if count < named else f"{next(iter(rows))} has another number"
            raise FeatureShapeError(
                f"{file} has {count:,} rows, but {other}; expected one row per item in every feature file, in the "
                "order of the item ids."
            )
    n_items = max([named, *rows.values()])
    if n_items > named:
        log.warning(
            "%s names items up to %d; the last %d feature rows have no interaction.", path, named - 1, n_items - named
        )
    return n_items


def read_labels(path: Path, column: str, size: int) -> list[str]:
    """dense id -> raw label, from the column beside ``column``; raises MissingFileError, ColumnError, IdError."""
    table = read_table(path, "the mapping from raw to dense ids", (column,))
    label = next(name for name in table.columns if name not in (LINE, column))
    ids = integers(table, column, path, IdError)
    if len(ids) != size or not np.array_equal(np.sort(ids), np.arange(size)):
        raise IdError(
            f"{path} maps {len(ids):,} ids; expected each id from 0 to {size - 1:,} once in column {column!r}."
        )
    labels = table[label].fill_null("")
    if repeated := labels.filter(labels.is_duplicated()).head(1).to_list():
        raise IdError(f"{path}: the label {shown(repeated[0])!r} stands for several ids; expected a label for each.")
    return labels.gather(np.argsort(ids)).to_list()
