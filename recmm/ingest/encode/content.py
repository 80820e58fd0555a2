"""The raw content of the items: each one's text or file, from a table or from files named by item."""

import os
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from recmm.data.formats import tables
from recmm.data.formats.canonical import RAW
from recmm.errors import ConfigError, DataError
from recmm.ingest.encode.registry import RAW_COLUMN

ITEM = "item"  # the column of raw labels in raw.parquet, and here


@dataclass(frozen=True)
class Content:
    """What there is to encode.

    Attributes:
        entries: one per item, by dense id: its text, or the path of its file; None where the source names nothing.
        source: where that comes from, in words.
        unknown: how many rows or files of the source belong to no item.
    """

    entries: list[str | None]
    source: str
    unknown: int


def raw_content(
    items: list[str],
    folder: Path,
    modality: str,
    *,
    table: Path | None,
    id_column: str | None,
    column: str | None,
    files: Path | None,
) -> Content:
    """The content of ``items`` (raw labels, by dense id), joined by label.

    Args:
        folder: the canonical folder; its raw.parquet is the table unless another is given.
        id_column: None to find it by its name.
        column: None for the one of raw.parquet: text, image or audio.
        files: what paths are relative to; None for the table's folder. Without a table, files there named by item.

    Raises:
        ConfigError: nothing says where the content is; ``files`` for texts.
        MissingFileError, ColumnError, IdError: the table is not there, lacks a column, or names an item twice.
        DataError: two files for one item.
    """
    wanted = column or RAW_COLUMN[modality]
    if modality == "textual" and files is not None:
        raise ConfigError("--files is for pictures and sounds; texts stand in a table (--table).")
    if files is not None and not files.is_dir():
        raise ConfigError(f"--files {files} is not a folder.")
    if table is None:
        table, id_column = folder / RAW, ITEM
        found = _read(table, id_column, wanted) if table.is_file() else None
        if files is not None and column is None and (found is None or found["content"].is_null().all()):
            return _not_empty(_by_name(items, files), items)
    else:
        found = _read(table, id_column, wanted)
    if found is None:
        raise ConfigError(
            f"{folder} holds no {RAW}, so it must be said where the raw content is: --table FILE --id-column NAME "
            "--column NAME"
            + ("." if modality == "textual" else ", or --files FOLDER with one file per item, named by its label.")
        )
    joined = pl.DataFrame({ITEM: items}, schema={ITEM: pl.String}).join(
        found, on=ITEM, how="left", maintain_order="left"
    )
    entries: list[str | None] = joined["content"].to_list()
    if modality != "textual":
        base = files or table.parent
        entries = [None if not path else os.path.join(base, path) for path in entries]
    unknown = len(found) - int(found[ITEM].is_in(pl.Series(items, dtype=pl.String).implode()).sum())
    return _not_empty(Content(entries, f"column {wanted!r} of {table}", unknown), items)


def _not_empty(content: Content, items: list[str]) -> Content:
    if all(entry is None for entry in content.entries):
        raise DataError(
            f"{content.source} names nothing for any of the {len(items):,} items, which are called {items[0]!r} and "
            f"the like; {content.unknown:,} rows or files belong to no item. Name the right column, table or folder."
        )
    return content


def _by_name(items: list[str], files: Path) -> Content:
    """Files called <raw label>.<anything>, not looked for in folders below."""
    dense = {label: place for place, label in enumerate(items)}
    entries: list[str | None] = [None] * len(items)
    unknown = 0
    for entry in sorted(os.scandir(files), key=lambda entry: entry.name):
        if not entry.is_file() or entry.name.startswith("."):
            continue
        place = dense.get(os.path.splitext(entry.name)[0])
        if place is None:
            unknown += 1
        elif entries[place] is not None:
            raise DataError(f"{entries[place]} and {entry.path} are both named by item {items[place]}; expected one.")
        else:
            entries[place] = entry.path
    return Content(entries, f"the files of {files}, named by item", unknown)


def _read(path: Path, id_column: str | None, column: str) -> pl.DataFrame:
    """The columns item and content of a table, both as text; nothing but blanks is null."""
    names = tables.column_names(path, "the table of raw content")
    item = tables.find_column(names, "item", path, option="--id-column", given=id_column)
    assert item is not None  # required
    tables.find_column(names, "item", path, option="--column", given=column)
    table = tables.read_columns(path, [item, column])
    labels = tables.item_labels(table, item, path)
    return pl.DataFrame({ITEM: labels, "content": tables.texts(table, column, path)})
