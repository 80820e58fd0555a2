"""The layout `canonical`, recmm's own: Parquet tables, .npy arrays, and a manifest with the digest of each of them.

manifest.json            format, format_version, name, split, sizes, modalities, files {path: bytes, sha256}
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

import numpy as np
import polars as pl

from recmm.data.assembly import SplitColumns, assemble
from recmm.data.dataset import SPLITS, MultimodalDataset, Split
from recmm.data.files.arrays import load_array, load_features
from recmm.data.files.quoting import shown, shown_value
from recmm.data.formats.manifest import MANIFEST, feature_file, read_manifest, refuse_repeated, verify
from recmm.errors import ColumnError, DataError, FeatureShapeError, IdError

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
    folder = Path(folder)
    manifest = read_manifest(folder / MANIFEST)
    has = manifest["modalities"]
    chosen = has if modalities is None else list(modalities)
    if unknown := [modality for modality in chosen if modality not in has]:
        raise DataError(f"{folder} has no modality {unknown[0]!r}. It has: {', '.join(has) or 'none'}.")
    refuse_repeated(chosen, "dataset.modalities")
    tables = ("interactions.parquet", "users.parquet", "items.parquet")
    for file in (*tables, "observed.npy", *map(feature_file, chosen)):
        verify(folder, file, manifest)
    interactions, users, items = (folder / table for table in tables)
    observed = load_array(folder / "observed.npy", "which entries the data has")
    if observed.shape != (manifest["n_items"], len(has)):
        raise FeatureShapeError(
            f"{folder / 'observed.npy'} has shape {observed.shape}; expected {(manifest['n_items'], len(has))}: one "
            "row per item, one column per modality of the manifest."
        )
    columns = _splits(interactions)
    return assemble(
        name=manifest["name"],
        split=Split(**manifest["split"]),
        splits=columns,
        n_users=manifest["n_users"],
        n_items=manifest["n_items"],
        features={m: load_features(folder / feature_file(m), f"the features of {m!r}") for m in chosen},
        feature_sources={m: str(folder / feature_file(m)) for m in chosen},
        observed=np.array(observed[:, [has.index(m) for m in chosen]]),
        user_ids=label_column(users, "user", manifest["n_users"]),
        item_ids=label_column(items, "item", manifest["n_items"]),
    )


def _splits(path: Path) -> dict[str, SplitColumns]:
    table = read_parquet(path)
    check_columns(table, INTERACTION_COLUMNS, path)
    if nulls := sum(table.select("user", "item").null_count().row(0)):
        raise IdError(f"{path}: {nulls} entries of the columns 'user' and 'item' are empty; expected integers from 0.")
    if strange := sorted(set(table["split"].unique().fill_null("").to_list()) - set(SPLITS)):
        raise ColumnError(f"{path}: column 'split' holds {shown_value(strange[:5])}; expected {', '.join(SPLITS)}.")
    for column in ("timestamp", "weight"):
        if column in table.schema and table.schema[column] not in (*INTEGERS, pl.Float32, pl.Float64, pl.Null):
            raise ColumnError(f"{path}: column {column!r} is of type {shown(table.schema[column])}; expected numbers.")
    return split_columns(table, path)


def split_columns(table: pl.DataFrame, path: Path) -> dict[str, SplitColumns]:
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
            rows["user"].to_numpy(), rows["item"].to_numpy(), extra["timestamp"], extra["weight"], source=str(path)
        )
    return columns


def label_column(path: Path, column: str, size: int | None = None) -> list[str]:
    """dense id -> raw label.

    Args:
        size: how many ids there are, each of which needs another label; None: not asked here.
    Raises:
        ColumnError, IdError, DataError: no such column; empty, too few or repeated labels; absurdly much text.
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
    if size is not None and not labels.n_unique() == len(labels) == size:
        raise IdError(
            f"{path} has {len(labels)} {column} labels for {shown(size)} {column} ids, {labels.n_unique()} of them "
            "different; expected another label for each id."
        )
    return labels.to_list()


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
