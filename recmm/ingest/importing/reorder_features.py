"""Feature files whose rows are in another order than the catalogue's items."""

from pathlib import Path

import numpy as np
import polars as pl

from recmm.data.files.arrays import load_features, release_pages
from recmm.data.files.row_file import row_file
from recmm.data.formats.canonical import feature_file
from recmm.errors import FeatureShapeError, FeatureValueError

CHUNK = 1 << 22  # values in memory at a time


def gather_features(
    source: Path, labels: pl.Series, items: pl.Series, new: Path, modality: str
) -> tuple[np.ndarray, np.ndarray]:
    """Copy a feature file's rows to their places among the dense ids, in the new canonical folder.

    Args:
        source: .npy [n, D]; a row of NaN alone is no row.
        labels: whose row is which [n], unique raw labels.
        items: the catalogue's raw labels [n_items], row = dense id.
        new: the canonical folder that is being made.

    Returns:
        The features [n_items, D], mapped, zeros where there is no row; where there is one, bool [n_items].

    Raises:
        Everything that ``load_features`` raises.
        FeatureShapeError: not one row for each label.
        FeatureValueError: NaN or Inf in a row with other values.
    """
    role = f"the features of {modality!r}"
    values = load_features(source, role)
    if len(values) != len(labels):
        raise FeatureShapeError(
            f"{source} has {len(values):,} rows for {len(labels):,} item labels; expected one row for each, in the "
            "order of the table of items or of the file that --feature-ids names."
        )
    rows = pl.DataFrame({"item": labels}).with_row_index("row").filter(pl.col("item").is_in(items.implode()))
    ids = pl.DataFrame({"item": items}).with_row_index("id")
    found = rows.join(ids, on="item", how="left").sort("row")  # by row: the source is read from its start to its end
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
                    f"{source} holds NaN or Inf among other values, first in row {places['row'][int(bad.argmax())]} "
                    "(counted from 0). Repair it, or make the whole row NaN to say that the item lacks it."
                )
            target.write(places["id"].to_numpy()[there], block[there])
    return load_features(new / feature_file(modality), role), target.written
