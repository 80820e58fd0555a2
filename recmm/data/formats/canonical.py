"""The layout `canonical`, recmm's own: Parquet tables, .npy arrays, and a manifest with the digest of each of them.

manifest.json            format, format_version, name, split, sizes, modalities, files {path: bytes, sha256}; where
                         it is known, timestamp_unit (s, ms, us or ns since 1970)
interactions.parquet     user, item (dense ids), split (train, val, test), and where there are any timestamp and weight
users.parquet            user: raw label, row = dense id
items.parquet            item: raw label, row = dense id
features/<modality>.npy  float32 or float16 [n_items, D_m]
observed.npy             bool [n_items, M], columns in the order of the manifest's modalities
raw.parquet              may be absent, and no run reads it: item (raw label), text, image, audio (paths as the source
                         names them), all text, null where unknown; row = dense id. What features can be made from.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from recmm.data.assembly import SplitColumns
from recmm.data.dataset import SPLITS, TIME_UNIT, MultimodalDataset, Split
from recmm.data.files.arrays import load_array
from recmm.data.files.quoting import shown, shown_value
from recmm.data.finding import Finding
from recmm.data.formats.manifest import MANIFEST, feature_file, guessed_manifest, read_manifest, refuse_repeated, verify
from recmm.data.formats.reading import Contents, Reading, attempt, is_there, only_strictly, read_features, strictly
from recmm.errors import ColumnError, DataError, FeatureShapeError, IdError

INTERACTIONS, USERS, ITEMS, OBSERVED = "interactions.parquet", "users.parquet", "items.parquet", "observed.npy"
# Beyond these a table is refused before it is unpacked. Interactions take more than a byte each, or a 30th of one where
# everybody has everything; labels that are counted through, a third.
FREE_ROWS, ROWS_PER_BYTE = 1_000_000, 32
FREE_LETTERS, LETTERS_PER_BYTE = 1 << 24, 1024
INTEGERS = (pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64)  # that NumPy has, too


def read_canonical(folder: Path, *, modalities: Sequence[str] | None = None) -> MultimodalDataset:
    """Read a folder that ``write_canonical`` made; size and sha256 of every file that is read are verified.

    Args:
        modalities: which to read, in this order; None for all. The files of others may be absent.

    Raises:
        MissingFileError: a file that is not there.
        DigestError: a file that is not the one in the manifest.
        DataError: a manifest that is damaged, lacks a key or has an impossible value there, is of another version, or
            has no such modality; a modality asked for twice.
        ColumnError: tables without the columns above.
        Everything that ``arrays.load_features`` and ``assembly.assemble`` raise.
    """
    return strictly(reading(Path(folder), modalities)).assembled()


def reading(folder: Path, modalities: Sequence[str] | None = None) -> Reading[Contents]:
    """The parts of a canonical folder, see ``read_canonical``; without a usable manifest, what its files say."""
    stated = yield from attempt(MANIFEST, "manifest", read_manifest, folder / MANIFEST)
    manifest = stated or guessed_manifest(folder)
    has = manifest["modalities"]
    chosen = has if modalities is None else list(modalities)
    yield from only_strictly(MANIFEST, _check_choice, chosen, has, folder)
    contents = Contents(
        name=manifest["name"],
        source=str(folder),
        split=Split(**manifest["split"]),
        n_users=manifest["n_users"],
        n_items=manifest["n_items"],
        time_unit=manifest.get(TIME_UNIT),
        origins={"users": USERS, "items": ITEMS} | dict.fromkeys(SPLITS, INTERACTIONS),
    )
    there = []
    for file in (INTERACTIONS, USERS, ITEMS, OBSERVED, *map(feature_file, chosen)):
        if (yield from is_there(folder, file, f"a part of the canonical folder {folder.name}")):
            there.append(file)
    if stated or manifest["files"]:
        for file in there:
            yield from verify(folder, file, manifest)
    if INTERACTIONS in there:
        contents.splits |= yield from _splits(folder / INTERACTIONS, manifest.get("interactions"))
    if USERS in there:
        contents.user_ids = yield from _labels(folder / USERS, "user", contents.n_users)
    if ITEMS in there:
        contents.item_ids = yield from _labels(folder / ITEMS, "item", contents.n_items)
    contents.n_users = contents.n_users or len(contents.user_ids or ())
    contents.n_items = contents.n_items or len(contents.item_ids or ())
    yield from read_features(contents, folder, {m: feature_file(m) for m in chosen if feature_file(m) in there})
    if OBSERVED in there:
        yield from _read_observed(contents, folder / OBSERVED, has, chosen)
    return contents


def _check_choice(chosen: Sequence[str], has: Sequence[str], folder: Path) -> None:
    if unknown := [modality for modality in chosen if modality not in has]:
        raise DataError(f"{folder} has no modality {unknown[0]!r}. It has: {', '.join(has) or 'none'}.")
    refuse_repeated(chosen, "dataset.modalities")


def _splits(path: Path, stated: Any) -> Reading[dict[str, SplitColumns]]:
    """The rows that can be read, whatever the others hold; ``stated`` are the manifest's numbers of rows."""
    file = path.name
    table = yield from attempt(file, "unreadable_file", read_parquet, path)
    if table is None:
        return {}
    yield from attempt(file, None, check_columns, table, INTERACTION_COLUMNS, path)
    if not set(INTERACTION_COLUMNS) <= set(table.columns):
        return {}
    wrong = [column for column, fits in INTERACTION_COLUMNS.items() if not fits(table.schema[column])]
    kinds = {"user": pl.Int64, "item": pl.Int64, "split": pl.String}
    table = table.with_columns(pl.col(column).cast(kinds[column], strict=False) for column in wrong)
    counts = dict(table["split"].value_counts().iter_rows())
    yield from _compare_counts(counts, stated)
    if nulls := sum(table.select("user", "item").null_count().row(0)):
        empty = table.select(pl.any_horizontal(pl.col("user", "item").is_null())).to_series()
        told = f"{nulls} entries of the columns 'user' and 'item' are empty; expected integers from 0."
        message = f"{empty.sum():,} rows hold no integer as user or item, the first is row {empty.arg_max()} (from 0)."
        yield Finding(file, IdError(f"{path}: {told}"), "bad_ids", message)
    if unknown := sorted({name or "" for name in counts} - set(SPLITS)):
        strange = table["split"].filter(~table["split"].is_in(SPLITS).fill_null(False))
        told = f"column 'split' holds {shown_value(unknown[:5])}; expected {', '.join(SPLITS)}."
        message = f"{len(strange):,} rows belong to no split, the first says {shown_value(strange[0])}; expected "
        yield Finding(file, ColumnError(f"{path}: {told}"), "unknown_split", f"{message}{', '.join(SPLITS)}.")
    yield from only_strictly(file, _check_numbers, table, path)
    return split_columns(table.filter(~empty) if nulls else table, file)


def _compare_counts(counts: Mapping[str, int], stated: Any) -> Reading[None]:
    if not isinstance(stated, dict):
        return
    if wrong := [part for part in SPLITS if stated.get(part) != counts.get(part, 0)]:
        told = "; ".join(f"{part}: manifest {stated.get(part)}, table {counts.get(part, 0):,}" for part in wrong)
        yield Finding(MANIFEST, None, "wrong_counts", f"The numbers of interactions differ ({told}).")


def _check_numbers(table: pl.DataFrame, path: Path) -> None:
    for column in ("timestamp", "weight"):
        if column in table.schema and table.schema[column] not in (*INTEGERS, pl.Float32, pl.Float64, pl.Null):
            raise ColumnError(f"{path}: column {column!r} is of type {shown(table.schema[column])}; expected numbers.")


def split_columns(table: pl.DataFrame, source: str) -> dict[str, SplitColumns]:
    """The rows of each split; a column of timestamps or weights that holds nothing in a split is none there."""
    columns = {}
    for part in SPLITS:
        rows = table.filter(pl.col("split") == part)
        extra = {
            column: rows[column].to_numpy()
            if column in rows.columns and rows[column].null_count() < len(rows)
            else None
            for column in ("timestamp", "weight")
        }
        columns[part] = SplitColumns(
            rows["user"].to_numpy(), rows["item"].to_numpy(), extra["timestamp"], extra["weight"], source
        )
    return columns


def _labels(path: Path, column: str, size: int) -> Reading[list[str] | None]:
    """dense id -> raw label of ``size`` ids; None where the file cannot be used."""
    labels = yield from attempt(path.name, "bad_labels", label_column, path, column)
    if labels is None:
        return None
    yield from only_strictly(path.name, _check_labels, labels, size, path)
    return labels.to_list()


def label_column(path: Path, column: str) -> pl.Series:
    """The raw labels.

    Raises:
        ColumnError, IdError, DataError: no such column; an empty label; absurdly much text.
    """
    table = read_parquet(path)
    check_columns(table, {column: _is_text}, path)
    labels = table[column]
    if labels.null_count():
        raise IdError(
            f"{path}: {labels.null_count()} entries of column {column!r} are empty; expected a label in every row."
        )
    if labels.str.len_bytes().sum() > FREE_LETTERS + LETTERS_PER_BYTE * path.stat().st_size:
        raise DataError(f"{path} unpacks to far more text than its {path.stat().st_size:,} bytes can mean: refused.")
    return labels


def _check_labels(labels: pl.Series, size: int, path: Path) -> None:
    if not labels.n_unique() == len(labels) == size:
        raise IdError(
            f"{path} has {len(labels)} {labels.name} labels for {shown(size)} {labels.name} ids, {labels.n_unique()} "
            "of them different; expected another label for each id."
        )


def _read_observed(contents: Contents, path: Path, has: Sequence[str], chosen: Sequence[str]) -> Reading[None]:
    observed = yield from attempt(path.name, None, load_array, path, "which entries the data has")
    if observed is None:
        return
    shape, per = (contents.n_items, len(has)), "one row per item, one column per modality of the manifest."
    if observed.dtype == bool and observed.shape == shape:
        contents.observed = {m: np.array(observed[:, has.index(m)]) for m in chosen if m in has}
        return
    told = message = f"{path} is {observed.dtype} of shape {observed.shape}; expected bool of shape {shape}: {per}"
    if observed.shape != shape:
        told = f"{path} has shape {observed.shape}; expected {shape}: {per}"
    yield Finding(path.name, FeatureShapeError(told), "observed_shape", message)


def _is_id(kind: pl.DataType) -> bool:
    return kind in INTEGERS


def _is_text(kind: pl.DataType) -> bool:
    return kind == pl.String


INTERACTION_COLUMNS = {"user": _is_id, "item": _is_id, "split": _is_text}


def read_parquet(path: Path) -> pl.DataFrame:
    """The table of a Parquet file; raises ColumnError if it is none, DataError if it announces absurdly many rows."""
    try:
        rows = pl.scan_parquet(path, glob=False).select(pl.len()).collect().item()
        if rows > FREE_ROWS + ROWS_PER_BYTE * path.stat().st_size:
            raise DataError(f"{path} announces {rows:,} rows, too many for {path.stat().st_size:,} bytes: refused.")
        return pl.read_parquet(path, glob=False)
    # A damaged file can make Polars panic, which is no Exception.
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        reason = shown(str(error).partition("\n")[0])
        raise ColumnError(f"{path} is not a readable Parquet file: {reason}.") from error


def check_columns(table: pl.DataFrame, types: Mapping[str, Callable[[pl.DataType], bool]], path: Path) -> None:
    """Refuse a ``table`` without these columns; raises ColumnError."""
    if wrong := [name for name, fits in types.items() if name not in table.schema or not fits(table.schema[name])]:
        found = shown(", ".join(f"{column} ({kind})" for column, kind in table.schema.items()))
        raise ColumnError(
            f"{path} has the columns {found}; expected {', '.join(types)} with ids as integers and the rest as text "
            f"(wrong or absent: {', '.join(wrong)})."
        )
