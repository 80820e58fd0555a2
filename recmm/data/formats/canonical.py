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

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

import numpy as np
import polars as pl

from recmm.data.catalog import NegativeItems
from recmm.data.dataset import FORMAT_VERSION, SPLITS, MultimodalDataset, Split, SplitColumns, assemble
from recmm.data.files.arrays import load_array, load_features, visible_chunks
from recmm.data.files.atomic import atomic_folder
from recmm.data.files.paths import require_file
from recmm.data.files.quoting import shown, shown_value
from recmm.errors import ColumnError, DataError, DigestError, FeatureShapeError, IdError

FORMAT = "recmm canonical"
MANIFEST = "manifest.json"
RAW, RAW_COLUMNS = "raw.parquet", ("item", "text", "image", "audio")
FILE_NAME = re.compile(r"\w[\w.-]{,99}")  # a modality names a file: no separators, not hidden
MANIFEST_LIMIT = 1 << 24  # bytes
# Beyond these a table is refused before it is unpacked. Interactions take more than a byte each, or a 30th of one where
# everybody has everything; labels that are counted through, a third.
FREE_ROWS, ROWS_PER_BYTE = 1_000_000, 32
FREE_LETTERS, LETTERS_PER_BYTE = 1 << 24, 1024
INTEGERS = (pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64)  # that NumPy has, too
KEYS = {
    "format_version": int,
    "name": str,
    "split": dict,
    "n_users": int,
    "n_items": int,
    "modalities": list,
    "files": dict,
}


def write_canonical(dataset: MultimodalDataset, folder: Path) -> None:
    """Write ``dataset`` as a new ``folder``, which appears whole or not at all; it reads back with the same digest.

    Rows of features that are not observed are written as zeros.

    Raises:
        DataError: ``folder`` exists and is not empty; a modality whose name cannot be a file name.
    """
    with atomic_folder(Path(folder)) as new:
        fill_canonical(dataset, new)


def fill_canonical(dataset: MultimodalDataset, new: Path, *, raw: pl.DataFrame | None = None) -> None:
    """Write all parts of ``dataset`` into the folder ``new``, which is to be moved to its place when it is whole.

    A feature file that lies there already is not written again: it is the one that ``dataset`` was read from, with
    zeros in the rows that are not observed. So a matrix that does not fit into memory is written once.

    Args:
        raw: the table ``raw.parquet``, see above; None if there is nothing to make features from.

    Raises:
        DataError: a modality whose name cannot be a file name.
    """
    for modality in dataset.modalities:
        check_modality_name(modality, f"the dataset {dataset.name!r}")
    _interaction_table(dataset).write_parquet(new / "interactions.parquet")
    pl.DataFrame({"user": dataset.user_ids}, schema={"user": pl.String}).write_parquet(new / "users.parquet")
    pl.DataFrame({"item": dataset.item_ids}, schema={"item": pl.String}).write_parquet(new / "items.parquet")
    if raw is not None:
        raw.write_parquet(new / RAW)
    (new / "features").mkdir(exist_ok=True)
    for modality, values, observed in dataset.features.columns():
        if (new / feature_file(modality)).exists():
            continue
        copy = np.lib.format.open_memmap(new / feature_file(modality), "w+", values.dtype, values.shape)
        for start, block in visible_chunks(values, observed):
            copy[start : start + len(block)] = block
        copy.flush()
    np.save(new / "observed.npy", dataset.features.observed, allow_pickle=False)
    files = sorted(path.relative_to(new).as_posix() for path in new.rglob("*") if path.is_file())
    manifest = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "name": dataset.name,
        "split": asdict(dataset.split),
        "n_users": dataset.n_users,
        "n_items": dataset.n_items,
        "interactions": {part: len(pairs) for part, pairs in dataset.splits.items()},
        "modalities": list(dataset.modalities),
        "files": {file: {"bytes": (new / file).stat().st_size, "sha256": _sha256(new / file)} for file in files},
    }
    (new / MANIFEST).write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


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
        Everything that ``arrays.load_features`` and ``dataset.assemble`` raise.
    """
    folder = Path(folder)
    manifest = read_manifest(folder / MANIFEST)
    has = manifest["modalities"]
    chosen = has if modalities is None else list(modalities)
    if unknown := [modality for modality in chosen if modality not in has]:
        raise DataError(f"{folder} has no modality {unknown[0]!r}. It has: {', '.join(has) or 'none'}.")
    _refuse_repeated(chosen, "dataset.modalities")
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
        train=columns["train"],
        val=columns["val"],
        test=columns["test"],
        n_users=manifest["n_users"],
        n_items=manifest["n_items"],
        features={m: load_features(folder / feature_file(m), f"the features of {m!r}") for m in chosen},
        feature_sources={m: str(folder / feature_file(m)) for m in chosen},
        observed=np.array(observed[:, [has.index(m) for m in chosen]]),
        user_ids=label_column(users, "user", manifest["n_users"]),
        item_ids=label_column(items, "item", manifest["n_items"]),
    )


def _interaction_table(dataset: MultimodalDataset) -> pl.DataFrame:
    parts = []
    for part, pairs in dataset.splits.items():
        columns: dict[str, Any] = {"user": pairs.users, "item": pairs.items, "split": [part] * len(pairs)}
        columns |= {} if pairs.timestamps is None else {"timestamp": pairs.timestamps}
        columns |= {} if pairs.weights is None else {"weight": pairs.weights}
        parts.append(pl.DataFrame(columns))
    return pl.concat(parts, how="diagonal_relaxed")  # a split without timestamps or weights holds nulls


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


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest, with its version and the types of its keys checked.

    Raises:
        MissingFileError, DataError: as ``read_canonical``.
    """
    try:
        if require_file(path, "the manifest of a canonical folder").stat().st_size > MANIFEST_LIMIT:
            raise DataError(f"{path} is larger than {MANIFEST_LIMIT:,} bytes; expected a manifest that recmm wrote.")
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not readable JSON ({shown(error)}). Write the folder again.") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise DataError(f'{path} does not say "format": "{FORMAT}"; expected a manifest that recmm wrote.')
    if manifest.get("format_version") != FORMAT_VERSION:
        raise DataError(
            f"{path} has format_version {shown_value(manifest.get('format_version'))}, this recmm reads "
            f"{FORMAT_VERSION}. Use the release that wrote the folder."
        )
    for key, kind in KEYS.items():
        if type(manifest.get(key)) is not kind:  # True is an int, too
            raise DataError(
                f"{path}: key {key!r} is {shown_value(manifest.get(key))}; expected a value of type {kind.__name__}."
            )
    for key in ("n_users", "n_items"):
        if manifest[key] < 1:
            raise DataError(
                f"{path}: key {key!r} is {shown_value(manifest[key])}; expected at least 1. Write the folder again."
            )
    split = {"negatives": "all"} | manifest["split"]
    if sorted(split) != ["name", "negatives", "recipe"] or not all(isinstance(text, str) for text in split.values()):
        found = shown_value(manifest["split"])
        raise DataError(f"{path}: key 'split' is {found}; expected text under 'name' and 'recipe'.")
    if split["negatives"] not in get_args(NegativeItems):
        raise DataError(
            f"{path}: key 'split.negatives' is {shown_value(split['negatives'])}; expected 'all' or 'warm'."
        )
    for text in (manifest["name"], *split.values()):
        if text.encode(errors="replace").decode() != text:
            raise DataError(f"{path}: {shown_value(text)} is no valid text. Write the folder again.")
    for modality in manifest["modalities"]:
        check_modality_name(modality, str(path))
    _refuse_repeated(manifest["modalities"], f"{path}: key 'modalities'")
    return manifest


def verify(folder: Path, file: str, manifest: dict[str, Any]) -> None:
    """Compare one file with its entry in the manifest.

    Raises:
        MissingFileError, DigestError
    """
    path = require_file(folder / file, f"a part of the canonical folder {folder.name}")
    stated = manifest["files"].get(file)
    found = {"bytes": path.stat().st_size, "sha256": _sha256(path)}
    if stated != found:
        raise DigestError(
            f"{path} is not the file that was written: it has {found}, the manifest says {shown_value(stated)}. "
            "Copy the folder again or write it again with write_canonical."
        )


def check_modality_name(modality: Any, source: str) -> None:
    """Refuse a modality whose name cannot be that of a file.

    Raises:
        DataError: naming the ``source`` of the name.
    """
    if not isinstance(modality, str) or not FILE_NAME.fullmatch(modality):
        raise DataError(
            f"{source}: the modality {shown_value(modality)} cannot name a file; expected up to 100 letters, digits, "
            "'_', '-', '.'."
        )


def _refuse_repeated(modalities: Sequence[str], source: str) -> None:
    if len(set(modalities)) != len(modalities):
        raise DataError(f"{source} names a modality twice: {shown(', '.join(modalities))}; expected each once.")


def feature_file(modality: str) -> str:
    """Where a modality's features lie, relative to the canonical folder."""
    return f"features/{modality}.npy"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
