"""The raw content of each item, a text or a file, from a table or from files named by item label."""

import os
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from recmm.data.formats import tables
from recmm.data.formats.manifest import RAW
from recmm.data.joins import check_join
from recmm.errors import ConfigError, DataError
from recmm.ingest.encode.registry import RAW_COLUMN

ITEM = "item"  # the column of raw labels in raw.parquet and in the tables below


@dataclass(frozen=True)
class Content:
    """The raw content of one modality.

    Attributes:
        entries: by dense id, each item's text or the path of its file; None for an item without content.
        source: description of the table and column, or of the folder.
        unknown: number of rows or files that belong to no item of the catalogue.
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
    """Find the content of ``items`` (raw labels, by dense id) by their labels.

    Args:
        folder: the canonical folder, whose raw.parquet is the default table.
        id_column: the table's column of item labels; None to find it by its usual names.
        column: the table's column of content; None for text, image or audio, as in raw.parquet.
        files: the folder that paths are relative to; None for the table's folder. Without a table, the folder of files
            that are named by item label.

    Raises:
        ConfigError: neither a table nor a folder of files, or ``files`` for texts.
        MissingFileError, ColumnError, IdError: the table is absent, lacks a column, has two rows for an item, or none
            of an item of the catalogue.
        DataError: two files for one item, or no content for any item.
    """
    wanted = column or RAW_COLUMN[modality]
    if modality == "textual" and files is not None:
        raise ConfigError("--files applies to images and sounds; texts come from a table (--table).")
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
            f"{folder} holds no {RAW}, so say where the raw content is: --table FILE --id-column NAME --column NAME"
            + ("." if modality == "textual" else ", or --files FOLDER with one file per item, named by its label.")
        )
    check_join(items, found[ITEM], source=str(table))
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
            f"{content.source}: no content for any of the {len(items):,} items, which have labels such as "
            f"{items[0]!r}; {content.unknown:,} rows or files belong to no item. Name another column, table or folder."
        )
    return content


def _by_name(items: list[str], files: Path) -> Content:
    """Files called <raw label>.<any suffix> directly in the folder ``files``."""
    dense = {label: place for place, label in enumerate(items)}
    entries: list[str | None] = [None] * len(items)
    unknown = []
    for entry in sorted(os.scandir(files), key=lambda entry: entry.name):
        if not entry.is_file() or entry.name.startswith("."):
            continue
        place = dense.get(os.path.splitext(entry.name)[0])
        if place is None:
            unknown.append(os.path.splitext(entry.name)[0])
        elif entries[place] is not None:
            raise DataError(
                f"{entries[place]} and {entry.path} are both named after item {items[place]}; expected one."
            )
        else:
            entries[place] = entry.path
    named = [label for label, entry in zip(items, entries, strict=True) if entry is not None]
    check_join(items, [*named, *unknown], source=f"The files of {files}")
    return Content(entries, f"the files of {files}, named by item label", len(unknown))


def _read(path: Path, id_column: str | None, column: str) -> pl.DataFrame:
    """The columns item and content of a table, both as text; blank content is null."""
    names = tables.column_names(path, "the table of raw content")
    item = tables.find_column(names, "item", path, option="--id-column", given=id_column)
    assert item is not None  # required
    tables.find_column(names, "item", path, option="--column", given=column)
    table = tables.read_columns(path, [item, column])
    labels = tables.item_labels(table, item, path)
    return pl.DataFrame({ITEM: labels, "content": tables.texts(table, column, path)})
