"""Writing the canonical layout, see ``formats.canonical``."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from recmm.data.dataset import FORMAT_VERSION, TIME_UNIT, MultimodalDataset
from recmm.data.files.arrays import visible_chunks
from recmm.data.files.atomic import atomic_folder
from recmm.data.formats.manifest import FORMAT, MANIFEST, RAW, check_modality_name, feature_file, sha256


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
        raw: the table ``raw.parquet``, see ``formats.canonical``; None if there is nothing to make features from.

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
        **({TIME_UNIT: dataset.notes[TIME_UNIT]} if TIME_UNIT in dataset.notes else {}),
        "files": {file: {"bytes": (new / file).stat().st_size, "sha256": sha256(new / file)} for file in files},
    }
    (new / MANIFEST).write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _interaction_table(dataset: MultimodalDataset) -> pl.DataFrame:
    parts = []
    for part, pairs in dataset.splits.items():
        columns: dict[str, Any] = {"user": pairs.users, "item": pairs.items, "split": [part] * len(pairs)}
        columns |= {} if pairs.timestamps is None else {"timestamp": pairs.timestamps}
        columns |= {} if pairs.weights is None else {"weight": pairs.weights}
        parts.append(pl.DataFrame(columns))
    return pl.concat(parts, how="diagonal_relaxed")  # a split without timestamps or weights holds nulls
