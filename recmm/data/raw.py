"""Interactions as a source lists them, and the steps from there to three splits over dense ids."""

import logging
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl

from recmm.data.assembly import SplitColumns
from recmm.data.dataset import SPLITS
from recmm.data.splitting import random_per_user
from recmm.errors import DataError, EmptySplitError

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class RawInteractions:
    """Interactions in the order of their source; each step returns another one and counts what it dropped.

    Attributes:
        users, items: int64 [n], codes: places in ``user_labels`` and ``item_labels``.
        user_labels, item_labels: the raw labels (text, unique); some may occur in no interaction.
        timestamps: int64 or float64 [n], in the unit of the source; None where it has none.
        parts: int8 [n], 0 train, 1 validation, 2 test; None while there is no split.
        source: the file to name in errors.
        dropped: reason -> how many rows, for the person who imports.
        time_unit: of the timestamps, a key of ``times.UNITS``; None where it is not known.
        remarks: sentences for the person who imports.
    """

    users: np.ndarray
    items: np.ndarray
    user_labels: pl.Series
    item_labels: pl.Series
    timestamps: np.ndarray | None
    parts: np.ndarray | None
    source: str
    dropped: dict[str, int] = field(default_factory=dict)
    time_unit: str | None = None
    remarks: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.users)

    def keep(self, rows: np.ndarray, reason: str) -> "RawInteractions":
        """Only these ``rows`` (bool [n]); ``reason`` says why the others are dropped."""
        n_kept = int(np.count_nonzero(rows))
        if n_kept == len(self):
            return self
        columns: dict[str, Any] = {
            name: None if (values := getattr(self, name)) is None else values[rows]
            for name in ("users", "items", "timestamps", "parts")
        }
        gone = self.dropped.get(reason, 0) + len(self) - n_kept
        return replace(self, **columns, dropped=self.dropped | {reason: gone})

    def without_repetitions(self) -> "RawInteractions":
        """One interaction per pair: the earliest by timestamp; without timestamps, or at equal ones, the first.

        A pair in two parts of a given split is kept in both; ``assembly.assemble`` refuses this test-set leakage.
        """
        pairs = self.users * len(self.item_labels) + self.items
        if self.parts is not None:
            pairs = pairs * len(SPLITS) + self.parts
        order = np.lexsort((pairs,) if self.timestamps is None else (self.timestamps, pairs))
        first = np.ones(len(pairs), bool)
        first[1:] = np.diff(pairs[order]) != 0
        kept = np.zeros(len(pairs), bool)
        kept[order[first]] = True
        return self.keep(kept, "repeated pairs, of which the earliest stays")

    def core(self, k: int) -> "RawInteractions":
        """The k-core: users and items with at least ``k`` interactions among those that remain, to the fixed point.

        Raises:
            DataError: nothing remains.
        """
        rows = np.arange(len(self))
        while True:
            users, items = self.users[rows], self.items[rows]
            enough = (np.bincount(users) >= k)[users] & (np.bincount(items) >= k)[items]
            if enough.all():
                break
            rows = rows[enough]
        if not len(rows):
            raise DataError(
                f"{self.source}: no interaction is left of {len(self):,} if every user and item must have at least "
                f"{k}. Lower --min-interactions."
            )
        kept = np.zeros(len(self), bool)
        kept[rows] = True
        return self.keep(kept, f"users or items with fewer than {k} interactions (to a fixed point)")

    def dense(self, more_items: pl.Series | None = None) -> "RawInteractions":
        """Ids without gaps, in the order in which users and items first occur.

        Args:
            more_items: labels of further items; those that have no interaction follow the others, in this order.
        """
        users, user_labels = _first_come(self.users, self.user_labels)
        items, item_labels = _first_come(self.items, self.item_labels)
        if more_items is not None:
            item_labels = pl.concat([item_labels, more_items.filter(~more_items.is_in(item_labels.implode()))])
        return replace(self, users=users, items=items, user_labels=user_labels, item_labels=item_labels)

    def split_at_random(self, seed: int) -> "RawInteractions":
        """``random_per_user`` over the pairs in the order of their ids."""
        order = np.lexsort((self.items, self.users))
        parts = np.empty(len(self), np.int8)
        parts[order] = random_per_user(self.users[order], seed=seed)
        return replace(self, parts=parts)

    def columns(self) -> dict[str, SplitColumns]:
        """Split name -> its columns, for ``assembly.assemble``.

        Raises:
            EmptySplitError: a split without interactions.
        """
        assert self.parts is not None, "split first"
        found = {}
        for number, part in enumerate(SPLITS):
            here = self.parts == number
            if not here.any():
                raise EmptySplitError(
                    f"{self.source}: no interaction falls to split {part!r} of {len(self):,} in all. A random split "
                    "holds something out of users with 3 interactions or more; a given one has to name all three."
                )
            times = None if self.timestamps is None else self.timestamps[here]
            found[part] = SplitColumns(self.users[here], self.items[here], times, source=self.source)
        return found


def _first_come(codes: np.ndarray, labels: pl.Series) -> tuple[np.ndarray, pl.Series]:
    """Codes numbered anew in the order in which they first occur, and the labels in that order."""
    present = pl.Series(codes).unique(maintain_order=True).to_numpy()
    dense = np.full(len(labels), -1)
    dense[present] = np.arange(len(present))
    return dense[codes], labels.gather(present)
