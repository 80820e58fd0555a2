"""What a catalogue looks like in numbers: Table 1 of a paper, degrees, missing patterns, features, alignment."""

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
    """One modality's features.

    Attributes:
        n_observed: items that have it.
        zero, duplicate: observed rows of zeros alone; observed rows that equal an earlier one.
        constant_columns: columns with one value in all rows.
        norms: float64 [n_observed], Euclidean norms of the observed rows.
        alignment: None where it cannot be told.
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
    """A catalogue in numbers.

    Attributes:
        source: the folder it was read from, or the arguments that named it.
        statistics: users, items, train, val, test.
        sparsity: percent of all user-item pairs that are no interaction of any split.
        notes: numbers that readers should know, such as ``cold_items``.
        degrees: "users" or "items" -> "all splits" or "training" -> int64 [n], interactions of each.
        patterns: modalities that an item has -> how many items have exactly these, most frequent first.
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
        """Plain types: quantiles and histograms in the place of arrays."""
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
    """Count and measure ``dataset``; each feature matrix is read in chunks, some times over."""
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
    """Subset of the modalities -> items that have exactly these, from ``observed``, bool [n_items, M]."""
    if not modalities:
        return {}
    subsets, counts = np.unique(observed, axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return {
        tuple(name for name, has in zip(modalities, subsets[place], strict=True) if has): int(counts[place])
        for place in order
    }


def quantiles(values: np.ndarray) -> dict[str, float]:
    """Mean and quantiles of ``values`` [n]; nothing of none."""
    if not len(values):
        return {}
    found = np.quantile(values, list(QUANTILES.values()))
    return {"mean": float(np.mean(values))} | {name: float(value) for name, value in zip(QUANTILES, found, strict=True)}


def histogram(counts: np.ndarray) -> dict[int, int]:
    """Degree -> how many have it; degrees that nobody has are left out."""
    found: Mapping[int, int] = dict(enumerate(np.bincount(counts).tolist()))
    return {degree: number for degree, number in found.items() if number}
