"""Statistics of a feature matrix's rows and columns, from one pass over it in chunks."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from recmm.data.files.arrays import CHUNK, visible_chunks
from recmm.ingest.cli.progress import bar


@dataclass(frozen=True, eq=False)
class FeatureScan:
    """Statistics of one modality's features [n_items, D].

    Attributes:
        dim: D.
        dtype: of the file.
        observed: bool [n_items], the items whose features the data has.
        n_bad: number of NaN and Inf values in observed rows.
        finite: bool [n_items], observed rows without NaN or Inf.
        norms: float64 [n_items], Euclidean norms; 0 for rows that are not finite.
        digests: uint64 [n_items], a hash of each finite row; two different rows share one with probability 2^-64.
        low, high: float32 [D], minimum and maximum of each column over the finite rows.
        mean: float64 [D], mean of each column over the finite rows.
        flat: bool [n_items], finite rows that hold one value other than 0 in all of several columns.
    """

    dim: int
    dtype: str
    observed: np.ndarray
    n_bad: int
    finite: np.ndarray
    norms: np.ndarray
    digests: np.ndarray
    low: np.ndarray
    high: np.ndarray
    mean: np.ndarray
    flat: np.ndarray

    @cached_property
    def zero(self) -> np.ndarray:
        """bool [n_items]: observed rows that hold only zeros."""
        return self.finite & (self.norms == 0)

    @cached_property
    def constant(self) -> np.ndarray:
        """bool [D]: columns that hold the same value in all finite rows."""
        return self.low == self.high

    @cached_property
    def largest(self) -> float:
        """The largest absolute value in the finite rows; 0 if there are none."""
        return float(max(-self.low.min(), self.high.max(), 0.0)) if self.finite.any() else 0.0

    @cached_property
    def groups(self) -> tuple[np.ndarray, np.ndarray]:
        """Groups of equal rows, without rows of zeros: the first row and the size of each, largest group first."""
        rows = np.flatnonzero(self.finite & ~self.zero)
        _, first, sizes = np.unique(self.digests[rows], return_index=True, return_counts=True)
        order = np.argsort(-sizes, kind="stable")
        order = order[sizes[order] > 1]
        return rows[first[order]], sizes[order]

    @property
    def n_duplicates(self) -> int:
        """Number of rows that equal an earlier row, without rows of zeros."""
        return int((self.groups[1] - 1).sum())

    @property
    def is_dead(self) -> bool:
        """Whether the modality distinguishes no items: no finite row, or all finite rows equal."""
        return not self.finite.any() or bool(self.constant.all())


def scan(values: np.ndarray, observed: np.ndarray, modality: str) -> FeatureScan:
    """Scan the observed rows of ``values`` [n_items, D] once, chunk by chunk, under a progress bar."""
    n_items, dim = values.shape
    finite, norms, digests = np.zeros(n_items, bool), np.zeros(n_items), np.zeros(n_items, np.uint64)
    low, high, total = np.full(dim, np.inf, np.float32), np.full(dim, -np.inf, np.float32), np.zeros(dim)
    flat = np.zeros(n_items, bool)
    n_bad = 0
    blocks = visible_chunks(values, observed)
    n_blocks = -(-n_items // max(1, CHUNK // dim))
    for start, stored in bar(blocks, f"Reading {modality}", total=n_blocks):
        rows = slice(start, start + len(stored))
        with np.errstate(over="ignore"):
            block = stored.astype(np.float32)
        good = np.isfinite(block)
        n_bad += int(np.count_nonzero(~good))
        finite[rows] = good.all(axis=1) & observed[rows]
        kept = block[finite[rows]]
        places = start + np.flatnonzero(finite[rows])
        norms[places] = np.sqrt(np.einsum("ij,ij->i", kept, kept, dtype=np.float64))
        kept += 0.0  # turns -0.0 into 0.0, so that their digests are equal
        digests[places] = [_digest(row) for row in kept]
        total += kept.sum(axis=0, dtype=np.float64)
        if len(kept):
            flat[places] = (dim > 1) & (kept.min(axis=1) == kept.max(axis=1)) & kept[:, 0].astype(bool)
            np.minimum(low, kept.min(axis=0), out=low)
            np.maximum(high, kept.max(axis=0), out=high)
    mean = total / max(1, int(np.count_nonzero(finite)))
    return FeatureScan(dim, str(values.dtype), observed, n_bad, finite, norms, digests, low, high, mean, flat)


def _digest(row: np.ndarray) -> int:
    return int.from_bytes(hashlib.blake2b(row.data, digest_size=8).digest(), "little")
