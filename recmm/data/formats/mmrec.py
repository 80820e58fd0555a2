"""The layout `mmrec`: one tab-separated `.inter` table of interactions and splits, and one .npy file per modality."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from recmm.data.assembly import SplitColumns
from recmm.data.dataset import SPLITS, MultimodalDataset, Split
from recmm.data.files.delimited import TABS, fault
from recmm.data.files.paths import require_file
from recmm.data.files.quoting import shown, shown_value
from recmm.data.files.text_lines import first_line
from recmm.data.finding import Finding
from recmm.data.formats.reading import Contents, Reading, attempt, is_there, read_features, strictly
from recmm.data.times import UnreadableTimeError, read_times
from recmm.errors import ColumnError, FeatureShapeError, IdError

USER, ITEM, LABEL, TIME = "userID", "itemID", "x_label", "timestamp"
MAPPING = "the mapping from raw to dense ids"
LINE = "line\tnumber"  # column with a row's place in the file; no header can hold this name, for it is cut at tabs
SEPARATORS = {",": "commas", ";": "semicolons", "|": "vertical bars", " ": "spaces"}


def read_mmrec(
    folder: Path,
    *,
    name: str,
    split: Split,
    interactions: str,
    features: Mapping[str, str],
    labels: Sequence[str] | None = None,
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
    made = reading(Path(folder), name=name, split=split, interactions=interactions, features=features, labels=labels)
    return strictly(made).assembled()


def reading(
    folder: Path,
    *,
    name: str,
    split: Split,
    interactions: str,
    features: Mapping[str, str],
    labels: Sequence[str] | None = None,
) -> Reading[Contents]:
    """The parts of a folder as MMRec keeps it, see ``read_mmrec``."""
    contents = Contents(name, str(folder), split, origins=dict.fromkeys(SPLITS, interactions))
    if (yield from is_there(folder, interactions, "the table of interactions")):
        contents.splits |= yield from _splits(folder / interactions, interactions)
    yield from read_features(contents, folder, features)
    yield from count_ids(contents, folder / interactions)
    if labels is not None:
        contents.user_ids = yield from _labels(contents, folder, "users", labels[0])
        contents.item_ids = yield from _labels(contents, folder, "items", labels[1])
    return contents


def _splits(path: Path, file: str) -> Reading[dict[str, SplitColumns]]:
    """The rows that can be read, whatever the others hold."""
    table = yield from attempt(
        file, None, read_table, path, "the table of interactions", (USER, ITEM, LABEL), optional=(TIME,)
    )
    if table is None:
        return {}
    columns = {
        USER: (yield from integers(table, USER, path, file, IdError, "bad_ids")),
        ITEM: (yield from integers(table, ITEM, path, file, IdError, "bad_ids")),
        LABEL: (yield from integers(table, LABEL, path, file, ColumnError, "unknown_split")),
    }
    if TIME in table.columns:
        columns[TIME] = yield from _times(table, TIME, path, file)
    kept = pl.DataFrame(columns).drop_nulls([USER, ITEM, LABEL])
    strange = kept[LABEL].filter(~kept[LABEL].is_in(range(len(SPLITS))))
    if len(strange):
        told = f"holds {sorted(set(strange.to_list()))[:5]}; expected 0 (train), 1 (validation) or 2 (test)."
        message = (
            f"{len(strange):,} rows have another {LABEL} than 0 (train), 1 (validation) or 2 (test), the first has "
            f"{strange[0]}."
        )
        yield Finding(file, ColumnError(f"{path}: column {LABEL!r} {told}"), "unknown_split", message)
    splits = {}
    for number, part in enumerate(SPLITS):
        rows = kept.filter(pl.col(LABEL) == number)
        timed = TIME in columns and not rows[TIME].null_count()
        times = rows[TIME].to_numpy() if timed else None
        splits[part] = SplitColumns(rows[USER].to_numpy(), rows[ITEM].to_numpy(), times, None, file)
    return splits


def _labels(contents: Contents, folder: Path, kind: str, file: str) -> Reading[list[str] | None]:
    contents.origins[kind] = file
    if not (yield from is_there(folder, file, MAPPING)):
        return None
    column, size = (USER, contents.n_users) if kind == "users" else (ITEM, contents.n_items)
    return (yield from attempt(file, "bad_labels", read_labels, folder / file, column, size))


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
        reason = fault(path, TABS) or shown(str(error).partition("\n")[0])
        raise ColumnError(f"{path} cannot be read as a table with the columns {listed}: {reason}.") from error
    filled = table.select(~pl.all_horizontal(pl.all().is_null())).to_series()
    return table.with_row_index(LINE, offset=2).filter(filled)


def integers(
    table: pl.DataFrame, column: str, path: Path, file: str, error: type[ColumnError] | type[IdError], code: str
) -> Reading[pl.Series]:
    """int64 [n], null where there is no integer, which is a finding with the first such line."""
    numbers = table[column].cast(pl.Int64, strict=False)
    if numbers.null_count():
        first = table.row(int(numbers.is_null().arg_max() or 0), named=True)
        told = (
            f"{path}: {numbers.null_count()} entries of column {column!r} are not integers, the first is "
            f"{shown(first[column] or '')!r} in line {first[LINE]}; expected whole numbers such as 0 or 17."
        )
        yield Finding(file, error(told), code)
    return numbers


def _times(table: pl.DataFrame, column: str, path: Path, file: str) -> Reading[pl.Series]:
    """The times of all rows at their full resolution, or only nulls if an entry is none, which is a finding."""
    try:
        return pl.Series(read_times(table[column], mixed=True).values)
    except UnreadableTimeError as error:
        held = shown_value(table[column][error.row])
        told = f"{path}: column {column!r} holds {held} in line {table[LINE][error.row]}; {error}. Correct or drop it."
        yield Finding(file, ColumnError(told), "bad_numbers")
    return pl.Series([None] * len(table), dtype=pl.Float64)


def count_ids(contents: Contents, path: Path) -> Reading[None]:
    """Set the numbers of users and items, the largest ids plus one; feature files with more rows enlarge the items.

    Fewer rows than items, or files with different numbers of rows, are findings (FeatureShapeError).

    Args:
        path: what names the ids, for messages.
    """
    columns = contents.splits.values()
    contents.n_users = 1 + max(int(part.users.max(initial=-1)) for part in columns)
    named = 1 + max(int(part.items.max(initial=-1)) for part in columns)
    rows = {
        str(Path(contents.source) / contents.origins[name]): len(values) for name, values in contents.features.items()
    }
    for file, count in rows.items():
        if count < named or count != next(iter(rows.values())):
            other = f"{path} names {named:,} items" if count < named else f"{next(iter(rows))} has another number"
            told = (
                f"{file} has {count:,} rows, but {other}; expected one row per item in every feature file, in the "
                "order of the item ids."
            )
            yield Finding(file, FeatureShapeError(told), listed=False)
    contents.n_items = max([named, *rows.values()])
    if contents.n_items > named:
        more = f"the last {contents.n_items - named} feature rows have no interaction"
        yield Finding(str(path), None, message=f"{path} names items up to {named - 1}; {more}.", listed=False)


def read_labels(path: Path, column: str, size: int) -> list[str]:
    """dense id -> raw label, from the column beside ``column``; raises MissingFileError, ColumnError, IdError."""
    table = read_table(path, MAPPING, (column,))
    label = next(name for name in table.columns if name not in (LINE, column))
    ids = strictly(integers(table, column, path, path.name, IdError, "bad_labels")).to_numpy()
    if len(ids) != size or not np.array_equal(np.sort(ids), np.arange(size)):
        raise IdError(
            f"{path} maps {len(ids):,} ids; expected each id from 0 to {size - 1:,} once in column {column!r}."
        )
    labels = table[label].fill_null("")
    if repeated := labels.filter(labels.is_duplicated()).head(1).to_list():
        raise IdError(f"{path}: the label {shown(repeated[0])!r} stands for several ids; expected a label for each.")
    return labels.gather(np.argsort(ids)).to_list()
