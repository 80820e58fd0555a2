"""How well test pairs are ranked by which modalities their item has: one row per run, stratum and metric."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from recmm.evaluation.strata import stratify
from recmm.missing.masks import Masks
from recmm.report.results.results import Results

_GROUP = "modalities"
_NAMES = ("link", "catalogue", "condition", "condition_order", "method", "method_order")


def strata_of(results: Results, records: Mapping[str, Mapping[str, Any]]) -> pl.DataFrame:
    """The modality strata of all runs.

    A run whose method uses modalities has them in its record. The record of a feature-free method holds strata of the
    missing setting that it happened to run under, so its test pairs are stratified again under every mask of the other
    methods.

    Args:
        results: the table of results.
        records: folder -> content of result.json.

    Returns:
        Columns stratum, metric, value, n (pairs), and the names of the run; an empty frame where there are none.
    """
    own, everywhere = results.frame, results.everywhere
    parts = []
    for row in own.filter("uses_modalities").to_dicts():
        entries = [entry for entry in records[row["folder"]].get("strata") or [] if entry["group"] == _GROUP]
        if entries:
            parts.append(_named(pl.DataFrame(entries), row))
    masks = _masks_by_condition(own)
    for row in everywhere.filter(~pl.col("uses_modalities")).to_dicts():
        ranks = Path(row["folder"]) / "ranks.parquet"
        for mask in masks.get((row["catalogue"], row["condition"]), []) if ranks.exists() else []:
            parts.append(_named(_under(mask, pl.read_parquet(ranks)), row))
    return pl.concat(parts, how="vertical_relaxed") if parts else pl.DataFrame()


def _named(strata: pl.DataFrame, row: Mapping[str, Any]) -> pl.DataFrame:
    return strata.drop("group").with_columns(pl.lit(row[name]).alias(name) for name in _NAMES)


def _masks_by_condition(own: pl.DataFrame) -> dict[tuple[str, str], list[Masks]]:
    """(catalogue, condition) -> the different masks of its runs, where their files still exist."""
    found: dict[tuple[str, str], list[Masks]] = {}
    aware = own.filter("uses_modalities").unique(["catalogue", "condition", "masks_digest"], maintain_order=True)
    for row in aware.to_dicts():
        path = Path(row["folder"]) / "masks.npz"
        if path.exists():
            found.setdefault((row["catalogue"], row["condition"]), []).append(Masks.load(path))
    return found


def _under(masks: Masks, ranks: pl.DataFrame) -> pl.DataFrame:
    """The modality strata of one run's test pairs under a mask that it was not trained with."""
    nobody = np.zeros(int(ranks["user"].max() or 0) + 1, dtype=np.int64)  # type: ignore[arg-type]
    table = stratify(ranks, masks.test, masks.modalities, np.zeros(masks.n_items, dtype=np.int64), nobody)
    return table.filter(pl.col("group") == _GROUP)
