"""The result of an import, and the last steps from raw interactions to a dataset."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from recmm.data.assembly import assemble
from recmm.data.dataset import TIME_UNIT, MultimodalDataset, Split
from recmm.data.formats.manifest import RAW_COLUMNS
from recmm.data.raw import RawInteractions


@dataclass(frozen=True)
class Imported:
    """A catalogue that was read and is not yet written to its folder.

    Attributes:
        raw: the raw content that features can be encoded from (``raw.parquet`` of ``formats.canonical``), row = dense
            id; None if the source has none.
        counts: description of what was dropped or noticed -> how many, for the summary.
        remarks: sentences below the summary.
    """

    dataset: MultimodalDataset
    raw: pl.DataFrame | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    remarks: Sequence[str] = ()


def filtered(raw: RawInteractions, min_interactions: int) -> RawInteractions:
    """The interactions without repetitions, reduced to the k-core if ``min_interactions`` is above 1."""
    once = raw.without_repetitions()
    return once.core(min_interactions) if min_interactions > 1 else once


def dataset_from_raw(
    raw: RawInteractions,
    features: Mapping[str, tuple[np.ndarray, np.ndarray]],
    *,
    name: str,
    split: Split,
    sources: Mapping[str, str],
) -> MultimodalDataset:
    """Assemble a dataset from interactions that have dense ids and a split.

    Args:
        features: modality -> values [n_items, D], and bool [n_items]: the items that have them.
        sources: modality -> file, for error messages.
    """
    columns = raw.columns()
    dataset = assemble(
        name=name,
        split=split,
        splits=columns,
        n_users=len(raw.user_labels),
        n_items=len(raw.item_labels),
        features={modality: values for modality, (values, _) in features.items()},
        observed=np.column_stack([there for _, there in features.values()]) if features else None,
        user_ids=raw.user_labels.to_list(),
        item_ids=raw.item_labels.to_list(),
        feature_sources=sources,
    )
    return dataset if raw.time_unit is None else replace(dataset, notes=dataset.notes | {TIME_UNIT: raw.time_unit})


def in_dense_order(table: pl.DataFrame, items: pl.Series) -> pl.DataFrame:
    """The content of ``raw.parquet``: the row of ``table`` for each of ``items``; nulls for items without a row."""
    wanted = pl.DataFrame({"item": items}, schema={"item": pl.String})
    return wanted.join(table, on="item", how="left", maintain_order="left").select(RAW_COLUMNS)
