"""Statistics of a catalogue: sizes, degrees, missing patterns, features and their alignment with the items."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from recmm.data.dataset import MultimodalDataset
from recmm.ingest.alignment import Alignment, align
from recmm.ingest.feature_scan import scan

QUANTILES = {"minimum": 0.0, "10 %": 0.1, "25 %": 0.25, "median": 0.5, "75 %": 0.75, "90 %": 0.9, "maximum": 1.0}


@dataclass(frozen=True, eq=False)
class Modality:
    """Statistics of one modality's features.

    Attributes:
        n_observed: number of items that have the modality.
        zero, duplicate: number of observed rows that hold only zeros, and of rows that equal an earlier one.
        constant_columns: number of columns with the same value in all finite rows.
        norms: float64 [n], Euclidean norms of the finite observed rows.
        alignment: None if it cannot be measured.
    """

    name: str
    dim: int
    dtype: str
    n_observed: int
    zero: int
    duplicate: int
    constant_columns: int
    norms: np.ndarray
    alignment: Alignment | None


@dataclass(frozen=True, eq=False)
class Description:
    """Statistics of a catalogue.

    Attributes:
        source: the folder it was read from, or the arguments that selected it.
        statistics: numbers of users and items, and of interactions in train, val, test.
        sparsity: percentage of all user-item pairs without an interaction in any split.
        notes: further counts, such as ``cold_items`` (``MultimodalDataset.notes``).
        degrees: "users" or "items" -> "all splits" or "training" -> int64 [n], number of interactions of each.
        patterns: subset of the modalities -> number of items that have exactly these, most frequent first.
    """

    name: str
    source: str
    split: str
    recipe: str
    statistics: dict[str, int]
    sparsity: float
    notes: dict[str, int | str]
    degrees: dict[str, dict[str, np.ndarray]]
    patterns: dict[tuple[str, ...], int]
    modalities: tuple[Modality, ...]

    @property
    def interactions(self) -> int:
        return sum(self.statistics[part] for part in ("train", "val", "test"))

    def to_json(self) -> dict[str, Any]:
        """Plain types for JSON; arrays are summarised by quantiles and histograms."""
        return {
            "name": self.name,
            "source": self.source,
            "split": {"name": self.split, "recipe": self.recipe},
            "statistics": self.statistics | {"interactions": self.interactions},
            "sparsity_percent": self.sparsity,
            "notes": self.notes,
            "degrees": {
                side: {over: quantiles(counts) | {"histogram": histogram(counts)} for over, counts in given.items()}
                for side, given in self.degrees.items()
            },
            "missing_patterns": [{"modalities": list(names), "items": n} for names, n in self.patterns.items()],
            "modalities": [
                {
                    "name": one.name,
                    "dim": one.dim,
                    "dtype": one.dtype,
                    "observed": one.n_observed,
                    "zero_rows": one.zero,
                    "duplicate_rows": one.duplicate,
                    "constant_columns": one.constant_columns,
                    "norms": quantiles(one.norms),
                    "alignment": None if one.alignment is None else asdict(one.alignment),
                }
                for one in self.modalities
            ],
        }


def describe_dataset(dataset: MultimodalDataset, source: str) -> Description:
    """Compute the statistics of ``dataset``; reads each feature matrix several times, in chunks."""
    splits = dataset.splits
    statistics = dataset.statistics()
    degrees = {
        side: {
            "all splits": np.sum([getattr(pairs, f"{kind}_counts")() for pairs in splits.values()], axis=0),
            "training": getattr(dataset.train, f"{kind}_counts")(),
        }
        for side, kind in (("users", "user"), ("items", "item"))
    }
    modalities = []
    for name, values, observed in dataset.features.columns():
        seen = scan(values, observed, name)
        alignment = None if seen.is_dead else align(values, seen, splits, name)
        modalities.append(
            Modality(
                name=name,
                dim=seen.dim,
                dtype=seen.dtype,
                n_observed=int(np.count_nonzero(observed)),
                zero=int(np.count_nonzero(seen.zero)),
                duplicate=seen.n_duplicates,
                constant_columns=int(np.count_nonzero(seen.constant)),
                norms=seen.norms[seen.finite],
                alignment=alignment,
            )
        )
    n_pairs = sum(len(pairs) for pairs in splits.values())
    return Description(
        name=dataset.name,
        source=source,
        split=dataset.split.name,
        recipe=dataset.split.recipe,
        statistics=statistics,
        sparsity=100 * (1 - n_pairs / (dataset.n_users * dataset.n_items)),
        notes=dataset.notes,
        degrees=degrees,
        patterns=patterns(dataset.features.observed, dataset.modalities),
        modalities=tuple(modalities),
    )


def patterns(observed: np.ndarray, modalities: tuple[str, ...]) -> dict[tuple[str, ...], int]:
    """Subset of the modalities -> number of items that have exactly these, from ``observed``, bool [n_items, M]."""
    if not modalities:
        return {}
    subsets, counts = np.unique(observed, axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return {
        tuple(name for name, has in zip(modalities, subsets[place], strict=True) if has): int(counts[place])
        for place in order
    }


def quantiles(values: np.ndarray) -> dict[str, float]:
    """Mean and quantiles of ``values`` [n]; empty if n is 0."""
    if not len(values):
        return {}
    found = np.quantile(values, list(QUANTILES.values()))
    return {"mean": float(np.mean(values))} | {name: float(value) for name, value in zip(QUANTILES, found, strict=True)}


def histogram(counts: np.ndarray) -> dict[int, int]:
    """Value -> how often it occurs in ``counts`` [n]; values that do not occur are left out."""
    found: Mapping[int, int] = dict(enumerate(np.bincount(counts).tolist()))
    return {degree: number for degree, number in found.items() if number}
