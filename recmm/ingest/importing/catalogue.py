"""What all ways of importing share: what they return, files that options name, the last steps to a catalogue."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from recmm.data.dataset import MultimodalDataset, Split, assemble
from recmm.data.formats.canonical import RAW_COLUMNS, check_modality_name
from recmm.data.raw import RawInteractions
from recmm.errors import ConfigError, MissingFileError


@dataclass(frozen=True)
class Imported:
    """A catalogue on its way into its folder.

    Attributes:
        raw: what features can be made from, row = dense id; None where nothing is known (``formats.canonical``).
        counts: what was dropped or found on the way, in words -> how many, for the person who imports.
    """

    dataset: MultimodalDataset
    raw: pl.DataFrame | None = None
    counts: Mapping[str, int] = field(default_factory=dict)


def by_modality(given: Sequence[str], option: str) -> dict[str, str]:
    """["visual=image_feat.npy"] -> {"visual": "image_feat.npy"}.

    Raises:
        ConfigError: not of that form, or a modality twice.
    """
    found: dict[str, str] = {}
    for text in given:
        modality, equals, file = text.partition("=")
        if not (modality and equals and file) or modality in found:
            raise ConfigError(
                f"{option} {text!r}: expected MODALITY=FILE such as visual=image_feat.npy, each modality once."
            )
        check_modality_name(modality, option)
        found[modality] = file
    return found


def only_table(folder: Path) -> str:
    """The name of the .inter table of a folder that holds one.

    Raises:
        MissingFileError: there is none.
        ConfigError: there are several.
    """
    found = sorted(path.name for path in folder.glob("*.inter"))
    if not found:
        raise MissingFileError(f"{folder} holds no .inter table: put it there, or name it with --interactions.")
    if len(found) > 1:
        raise ConfigError(f"{folder} holds {', '.join(found)}: say with --interactions which is meant.")
    return found[0]


def filtered(raw: RawInteractions, min_interactions: int) -> RawInteractions:
    """Without repetitions, and then the k-core where one is asked for."""
    once = raw.without_repetitions()
    return once.core(min_interactions) if min_interactions > 1 else once


def catalogue(
    raw: RawInteractions,
    features: Mapping[str, tuple[np.ndarray, np.ndarray]],
    *,
    name: str,
    split: Split,
    sources: Mapping[str, str],
) -> MultimodalDataset:
    """The dataset of interactions that have dense ids and a split.

    Args:
        features: modality -> values [n_items, D] and where there are any, bool [n_items].
        sources: modality -> the file to name in errors.
    """
    columns = raw.columns()
    return assemble(
        name=name,
        split=split,
        train=columns["train"],
        val=columns["val"],
        test=columns["test"],
        n_users=len(raw.user_labels),
        n_items=len(raw.item_labels),
        features={modality: values for modality, (values, _) in features.items()},
        observed=np.column_stack([there for _, there in features.values()]) if features else None,
        user_ids=raw.user_labels.to_list(),
        item_ids=raw.item_labels.to_list(),
        feature_sources=sources,
    )


def in_dense_order(table: pl.DataFrame, items: pl.Series) -> pl.DataFrame:
    """The table ``raw.parquet``: each item's row of ``table``, which has the same columns; nulls where it has none."""
    wanted = pl.DataFrame({"item": items}, schema={"item": pl.String})
    return wanted.join(table, on="item", how="left", maintain_order="left").select(RAW_COLUMNS)
