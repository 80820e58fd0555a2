"""The layout `csv`: one table of interactions with raw labels, and where there is one a table of the items."""

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import polars as pl

from recmm.data.files.paths import require_file
from recmm.data.files.quoting import shown_value
from recmm.data.formats import tables
from recmm.data.formats.manifest import RAW_COLUMNS
from recmm.data.joins import warn_of_twins
from recmm.data.raw import RawInteractions
from recmm.errors import ColumnError, IdError

PARTS = {  # what the column of a given split may hold, in any case
    **dict.fromkeys(("train", "training", "0"), 0),
    **dict.fromkeys(("val", "valid", "validation", "dev", "1"), 1),
    **dict.fromkeys(("test", "2"), 2),
}


@dataclass(frozen=True)
class InteractionColumns:
    """Names of the columns of a table of interactions; None where the name is to be found out.

    A timestamp named ``none`` is not looked for.
    """

    user: str | None = None
    item: str | None = None
    timestamp: str | None = None
    rating: str | None = None
    split: str | None = None


def read_interactions(
    path: Path,
    columns: InteractionColumns | None = None,
    *,
    min_rating: float | None = None,
    given_split: bool = False,
    time_format: str = "auto",
) -> RawInteractions:
    """Read a table of interactions; further columns are ignored, and ratings serve the threshold alone.

    Args:
        min_rating: rows with a lower rating are dropped; None keeps all and needs no ratings.
        given_split: whether the table says what is training, validation and test.
        time_format: how times are written, see ``times.read_times``.

    Raises:
        MissingFileError, ColumnError, IdError: as the functions of ``formats.tables``.
    """
    given = columns or InteractionColumns()
    names = tables.column_names(path, "the table of interactions")
    required = {
        "user": True,
        "item": True,
        "timestamp": False,
        "rating": min_rating is not None,
        "split": given_split,
    }
    needed = required | {"timestamp": given.timestamp != "none"}
    column = {
        field.name: tables.find_column(
            names,
            field.name,
            path,
            option="--split-column" if field.name == "split" else f"--{field.name}",
            given=getattr(given, field.name),
            required=required[field.name],
        )
        if needed[field.name]
        else None
        for field in fields(InteractionColumns)
    }
    user, item, timestamp = column["user"], column["item"], column["timestamp"]
    assert user is not None and item is not None  # required above
    table = tables.read_columns(path, column.values())
    users, user_labels = tables.codes(tables.labels(table, user, path))
    items, item_labels = tables.codes(tables.labels(table, item, path))
    warn_of_twins(user_labels, "user", str(path))
    warn_of_twins(item_labels, "item", str(path))
    times = None if timestamp is None else tables.times(table, timestamp, path, time_format)
    raw = RawInteractions(
        users,
        items,
        user_labels,
        item_labels,
        timestamps=None if times is None else times.values,
        parts=None if column["split"] is None else _parts(table, column["split"], path),
        source=str(path),
        time_unit=None if times is None else times.unit,
        remarks=() if times is None else (times.said,),
    )
    if min_rating is None or column["rating"] is None:
        return raw
    return raw.keep(tables.numbers(table, column["rating"], path) >= min_rating, f"ratings below {min_rating:g}")


def read_items(
    path: Path,
    *,
    item: str | None = None,
    text: list[str] | None = None,
    image: str | None = None,
    audio: str | None = None,
) -> pl.DataFrame:
    """Read a table of items: item (raw label), text, image and audio, all text, the latter three null where absent.

    Args:
        item, image, audio: names of columns; that of the item is found out if not given.
        text: the columns whose texts are assembled, in this order, with a blank between them.

    Raises:
        MissingFileError, ColumnError: as the functions of ``formats.tables``.
        IdError: an item without label, or twice.
    """
    names = tables.column_names(path, "the table of items")
    column = tables.find_column(names, "item", path, option="--item-id", given=item)
    assert column is not None  # required
    for option, other in [*(("--text", name) for name in text or []), ("--image", image), ("--audio", audio)]:
        if other is not None:
            tables.find_column(names, "item", path, option=option, given=other)
    table = tables.read_columns(path, [column, *(text or []), image, audio])
    labels = tables.item_labels(table, column, path)
    parts = pl.DataFrame({name: tables.texts(table, name, path) for name in text or []})
    absent = pl.Series([None] * len(labels), dtype=pl.String)
    made = parts.select(pl.concat_str(pl.all(), separator=" ", ignore_nulls=True)).to_series() if text else absent
    return pl.DataFrame(
        {
            "item": labels,
            "text": made.set(made == "", None),
            "image": absent if image is None else tables.texts(table, image, path),
            "audio": absent if audio is None else tables.texts(table, audio, path),
        },
        schema=dict.fromkeys(RAW_COLUMNS, pl.String),
    )


def read_labels(path: Path) -> pl.Series:
    """Raw item labels beside a feature file: a text file with one in each line, or a table with a column of items.

    Raises:
        MissingFileError, ColumnError: as the functions of ``formats.tables``.
        IdError: an empty or repeated label.
    """
    if path.suffix in (".csv", ".tsv", ".parquet"):
        return read_items(path)["item"]
    require_file(path, "the ids of a feature file")
    try:
        lines = path.read_text(encoding="utf-8-sig").removesuffix("\n").split("\n")
        found = pl.Series(lines, dtype=pl.String)
    except UnicodeDecodeError as error:
        raise ColumnError(f"{path} is not text in UTF-8 ({error}); expected one item label in each line.") from error
    bad = (found == "") | ~found.is_first_distinct()
    if bad.any():
        row = int(bad.arg_max() or 0)
        raise IdError(
            f"{path}, line {row + 1}: {shown_value(found[row])} is empty or a repetition; expected one label per line."
        )
    return found


def _parts(table: pl.DataFrame, column: str, path: Path) -> np.ndarray:
    """int8 [n] of the column that holds the split; raises ColumnError."""
    values = tables.as_text(table, column, path).str.strip_chars().str.to_lowercase()
    found = values.replace_strict(PARTS, default=None, return_dtype=pl.Int8)
    if found.null_count():
        row = int(found.is_null().arg_max() or 0)
        raise ColumnError(
            f"{path}: column {shown_value(column)} holds {shown_value(table[column][row])} in line "
            f"{table[tables.ROW][row]}; expected train, val or test (or 0, 1, 2)."
        )
    return found.to_numpy()
