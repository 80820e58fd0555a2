"""How well test pairs are ranked by what modalities their item has left, one row per run, stratum and metric."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from recmm.evaluation.strata import stratify
from recmm.missing.masks import Masks

_GROUP = "modalities"
_NAMES = ("link", "catalogue", "condition", "method", "model", "missing", "rate")


def strata_of(own: pl.DataFrame, everywhere: pl.DataFrame, records: Mapping[str, Mapping[str, Any]]) -> pl.DataFrame:
    """The modality strata of all runs.

    A run whose method looks at modalities has them in its record. The strata in the record of another one belong to
    the setting that it happened to run under, so it is stratified anew, under every mask that the other methods saw.

    Args:
        own: the runs with names and links.
        everywhere: the same, those of methods without modalities in every condition.
        records: folder -> content of result.json.

    Returns:
        Columns stratum, metric, value, n (pairs), the names of the run, and its settings (``config/...``).
    """
    names = [*_NAMES, *(name for name in own.columns if name.startswith("config/"))]
    parts = []
    for row in own.filter("uses_modalities").to_dicts():
        entries = [entry for entry in records[row["folder"]].get("strata") or [] if entry["group"] == _GROUP]
        if entries:
            parts.append(pl.DataFrame(entries).drop("group").join(_one(own, row, names), how="cross"))
    masks = _masks_by_condition(own)
    for row in everywhere.filter(~pl.col("uses_modalities")).to_dicts():
        ranks = Path(row["folder"]) / "ranks.parquet"
        here = everywhere.filter(pl.col("condition") == row["condition"])
        for mask in masks.get((row["catalogue"], row["condition"]), []) if ranks.exists() else []:
            parts.append(_under(mask, pl.read_parquet(ranks)).join(_one(here, row, names), how="cross"))
    return pl.concat(parts, how="vertical_relaxed") if parts else pl.DataFrame()


def _one(frame: pl.DataFrame, row: Mapping[str, Any], names: list[str]) -> pl.DataFrame:
    return frame.filter(pl.col("link") == row["link"]).head(1).select(names)


def _masks_by_condition(own: pl.DataFrame) -> dict[tuple[str, str], list[Masks]]:
    """(catalogue, condition) -> the different masks that its runs saw, where their files are still there."""
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
    return table.filter(pl.col("group") == _GROUP).drop("group")
