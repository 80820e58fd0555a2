"""Copy features from the row order of their file into the order of the catalogue's items."""

from pathlib import Path

import numpy as np
import polars as pl

from recmm.data.files.arrays import as_features, load_features, release_pages
from recmm.data.files.feature_files import load_matrix
from recmm.data.files.row_file import row_file
from recmm.data.formats.manifest import feature_file
from recmm.errors import FeatureShapeError, FeatureValueError

CHUNK = 1 << 22  # feature values in memory at a time


def reorder_features(
    source: Path, labels: pl.Series, items: pl.Series, new: Path, modality: str
) -> tuple[np.ndarray, np.ndarray]:
    """Copy the rows of a feature file, reordered by dense item id, into the new canonical folder.

    Args:
        source: a file that ``load_matrix`` reads, [n, D]; a row that holds only NaN counts as absent.
        labels: the raw item label of each row [n], unique.
        items: the catalogue's raw labels [n_items], row = dense id.
        new: the canonical folder in progress.

    Returns:
        The features [n_items, D], memory-mapped, with zeros for items without a row; and bool [n_items], the items
        with a row.

    Raises:
        FeatureShapeError: the number of rows is not the number of labels.
        FeatureValueError: a row holds NaN or Inf beside other values.
        DataError: ``load_matrix`` refuses the file.
    """
    role = f"the features of {modality!r}"
    values = as_features(load_matrix(source, role, labelled=True), f"{source} ({role})")
    if len(values) != len(labels):
        raise FeatureShapeError(
            f"{source} has {len(values):,} rows for {len(labels):,} item labels; expected one row per label, in the "
            "order of the table of items or of the file given by --feature-ids."
        )
    rows = pl.DataFrame({"item": labels}).with_row_index("row").filter(pl.col("item").is_in(items.implode()))
    ids = pl.DataFrame({"item": items}).with_row_index("id")
    found = rows.join(ids, on="item", how="left").sort("row")  # sorted by row, so that the file is read sequentially
    step = max(1, CHUNK // values.shape[1])
    with row_file(new / feature_file(modality), len(items), values.shape[1], values.dtype) as target:
        for start in range(0, len(found), step):
            places = found[start : start + step]
            block = values[places["row"].to_numpy()]
            release_pages(values)
            there = ~np.isnan(block).all(axis=1)
            bad = there & ~np.isfinite(block).all(axis=1)
            if bad.any():
                raise FeatureValueError(
                    f"{source} holds NaN or Inf beside other values, first in row {places['row'][int(bad.argmax())]} "
                    "(counted from 0). Repair the row, or set all of it to NaN if the item lacks this modality."
                )
            target.write(places["id"].to_numpy()[there], block[there])
    return load_features(new / feature_file(modality), role), target.written
