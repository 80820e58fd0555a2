"""Tables in CSV, TSV or Parquet files: which column is which, and its values as text, numbers or times."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from recmm.data.files.delimited import dialect, fault, several_lines, told_spans
from recmm.data.files.parquet import try_parquet
from recmm.data.files.paths import require_file
from recmm.data.files.quoting import shown, shown_value
from recmm.data.times import EXPECTED, UNITS, Times, UnreadableTimeError, read_times, resolution
from recmm.errors import ColumnError, IdError

log = logging.getLogger(__name__)

ROW = "row\tnumber"  # column with a row's place in the file; not a name that anybody gives
UNREADABLE = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError)
NAMES: Mapping[str, tuple[str, ...]] = {  # what a column may be called, without case, blanks and underscores
    "user": ("user", "userid", "uid", "reviewerid", "customerid", "visitorid"),
    "item": ("item", "itemid", "iid", "asin", "parentasin", "productid", "movieid", "videoid", "recipeid"),
    "timestamp": ("timestamp", "time", "unixreviewtime", "datetime", "date"),
    "rating": ("rating", "overall", "score", "stars"),
    "split": ("split", "xlabel"),
}


def column_names(path: Path, role: str) -> list[str]:
    """The columns of a table, in order.

    Raises:
        MissingFileError: there is no such file.
        ColumnError: not readable as a table in UTF-8; compressed as a whole; a name twice.
    """
    if _is_parquet(require_file(path, role)):
        try_parquet(path)
        return pl.scan_parquet(path, glob=False).collect_schema().names()
    with path.open("rb") as file:
        start = file.read(4)
    if start.startswith((b"\x1f\x8b", b"PK\x03\x04", b"\x28\xb5\x2f\xfd")):
        raise ColumnError(f"{path} is compressed. Unpack it first, or keep the table as Parquet.")
    try:
        return _read_csv(path, n_rows=0).columns
    except UNREADABLE as error:
        raise _unreadable(path, error) from error


def find_column(
    names: Sequence[str], what: str, path: Path, *, option: str, given: str | None = None, required: bool = True
) -> str | None:
    """The column that holds ``what`` (a key of ``NAMES``): the one ``given``, or the only one that is called so.

    Raises:
        ColumnError: there is no such column, or there are several; the message names the ``option`` that says which.
    """
    has = f"{path} has the columns {shown(', '.join(names))}"
    if given is not None:
        if given not in names:
            raise ColumnError(f"{has}; there is no {shown_value(given)} ({option}).")
        return given
    known = NAMES[what]
    found = [name for name in names if _plain(name) in known]
    if len(found) > 1:
        both = " and ".join(map(shown_value, found[:2]))
        raise ColumnError(f"{has}; both {both} may be the {what}. Name one with {option}.")
    if not found and required:
        raise ColumnError(
            f"{has} in its first line; none is called {known[0]}, {known[1]} or the like. Name the column of the "
            f"{what} with {option}, or add a first line with names."
        )
    return found[0] if found else None


def read_columns(path: Path, columns: Iterable[str | None]) -> pl.DataFrame:
    """These columns (``None`` and repetitions left out) and ``ROW``, without rows in which all of them are empty.

    Those of a CSV or TSV are text; quoted values that span lines are logged. ``ROW`` is the line in which the row
    begins, for Parquet the row from 1.

    Raises:
        ColumnError: not readable as a table in UTF-8.
    """
    wanted = list(dict.fromkeys(name for name in columns if name is not None))
    parquet = _is_parquet(path)
    try:
        table = (
            pl.read_parquet(path, columns=wanted, glob=False) if parquet else _read_csv(path, columns=wanted)
        ).select(wanted)
    except UNREADABLE as error:
        raise _unreadable(path, error) from error
    filled = table.select(~pl.all_horizontal(pl.all().is_null())).to_series()
    numbered = table.with_row_index(ROW, offset=1 if parquet else 2)
    lines, spans = ([], []) if parquet else several_lines(path, dialect(path), len(table))
    if spans:
        log.warning("%s", told_spans(path, spans))
        if len(lines) == len(table):
            numbered = numbered.with_columns(pl.Series(ROW, lines, pl.UInt32))
    return numbered.filter(filled)


def as_text(table: pl.DataFrame, column: str, path: Path) -> pl.Series:
    """Text as it is, and integers in digits; null where there is nothing.

    Raises:
        ColumnError: of a type that is neither text nor integer.
    """
    values = table[column]
    if not (values.dtype == pl.String or values.dtype.is_integer() or values.dtype in (pl.Categorical, pl.Enum)):
        raise ColumnError(f"{_typed(path, values)}; expected text or integers as labels.")
    return values.cast(pl.String)


def labels(table: pl.DataFrame, column: str, path: Path) -> pl.Series:
    """Raw labels as text; integers become digits.

    Raises:
        ColumnError: of a type that is neither text nor integer.
        IdError: an empty one, with its row.
    """
    texts = as_text(table, column, path)
    empty = texts.is_null() | (texts == "")
    if empty.any():
        raise IdError(
            f"{path}: {empty.sum():,} entries of column {shown_value(column)} are empty, the first in line "
            f"{table[ROW][int(empty.arg_max() or 0)]}; expected a label in every row. Fill or remove them."
        )
    return texts


def item_labels(table: pl.DataFrame, column: str, path: Path) -> pl.Series:
    """The raw labels of a table with one row per item.

    Raises:
        ColumnError, IdError: as ``labels``; an item that stands there twice.
    """
    found = labels(table, column, path)
    repeated = ~found.is_first_distinct()
    if repeated.any():
        row = int(repeated.arg_max() or 0)
        raise IdError(
            f"{path}: {repeated.sum():,} rows name an item for a second time, the first is {shown_value(found[row])} "
            f"in line {table[ROW][row]}; expected one row for each item."
        )
    return found


def codes(texts: pl.Series) -> tuple[np.ndarray, pl.Series]:
    """int64 [n] places in the unique labels, and these, in the order in which they first occur."""
    unique = texts.unique(maintain_order=True)
    return texts.cast(pl.Enum(unique)).to_physical().cast(pl.Int64).to_numpy(), unique


def numbers(table: pl.DataFrame, column: str, path: Path) -> np.ndarray:
    """int64 [n] where all are whole numbers, else float64 [n].

    Raises:
        ColumnError: an entry that is no number, with its row.
    """
    values = table[column]
    if not (values.dtype == pl.String or values.dtype.is_numeric()):
        raise ColumnError(f"{_typed(path, values)}; expected numbers.")
    fractional = values.dtype.is_float() or values.dtype.is_decimal()
    for kind in (pl.Float64,) if fractional else (pl.Int64, pl.Float64):
        found = values.cast(kind, strict=False)
        if not found.null_count():
            return found.to_numpy()
    raise ColumnError(f"{_first(path, table, column, found.is_null())}; expected numbers.")


def times(table: pl.DataFrame, column: str, path: Path, form: str = "auto") -> Times:
    """Timestamps at their full resolution; a type that cannot hold them apart is logged. ``form``: see ``read_times``.

    Raises:
        ColumnError: an entry that is no time, with its row.
    """
    values = table[column]
    if not (
        values.dtype in (pl.String, pl.Null) or values.dtype.is_numeric() or values.dtype in (pl.Date, pl.Datetime)
    ):
        raise ColumnError(f"{_typed(path, values)}; {EXPECTED}.")
    try:
        found = read_times(values, form)
    except UnreadableTimeError as error:
        raise ColumnError(
            f"{_at(path, table, column, error.row)}; {error}. Say how the column is written with --time-format, such "
            "as '%m/%d/%Y' or '%d/%m/%Y %H:%M', or go without: --timestamp none."
        ) from error
    apart = resolution(values.cast(pl.Float32).to_numpy() if values.dtype == pl.Float32 else found.values)
    if apart > 1:
        unit = f" {UNITS[found.unit]}" if found.unit else ""
        log.warning(
            "%s: column %s is of type %s, which cannot hold times less than %g%s apart: earlier and later ones may "
            "have become equal. Write them as integers or as float64.",
            *(path, shown_value(column), shown(values.dtype), apart, unit),
        )
    return found


def texts(table: pl.DataFrame, column: str, path: Path) -> pl.Series:
    """Text without surrounding blanks; null where there is none.

    Raises:
        ColumnError: of another type.
    """
    values = table[column]
    if values.dtype == pl.Null:
        return values.cast(pl.String)
    if values.dtype != pl.String:
        raise ColumnError(f"{_typed(path, values)}; expected text.")
    stripped = values.str.strip_chars()
    return stripped.set(stripped == "", None)


def _plain(name: str) -> str:
    """A column's name without case, blanks, dashes, underscores and the type that RecBole writes behind a colon."""
    return name.split(":", maxsplit=1)[0].lower().replace("_", "").replace(" ", "").replace("-", "")


def _is_parquet(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"


def _read_csv(path: Path, **options: Any) -> pl.DataFrame:
    separator, quote = dialect(path)
    return pl.read_csv(path, separator=separator, quote_char=quote, infer_schema=False, glob=False, **options)


def _typed(path: Path, values: pl.Series) -> str:
    return f"{path}: column {shown_value(values.name)} is of type {shown(values.dtype)}"


def _first(path: Path, table: pl.DataFrame, column: str, bad: pl.Series) -> str:
    return _at(path, table, column, int(bad.arg_max() or 0))


def _at(path: Path, table: pl.DataFrame, column: str, place: int) -> str:
    held = shown_value(table[column][place])
    return f"{path}: column {shown_value(column)} holds {held} in line {table[ROW][place]}"


def _unreadable(path: Path, error: BaseException) -> ColumnError:
    reason = "" if _is_parquet(path) or isinstance(error, OSError) else fault(path, dialect(path))
    reason = reason or shown((str(error).splitlines() or [type(error).__name__])[0])
    return ColumnError(f"{path} is not readable as a table (CSV or TSV in UTF-8, or Parquet): {reason}.")
