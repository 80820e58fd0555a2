"""Base of the split protocols: all pairs of a catalogue in one table, divided again and assembled again."""

import logging
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import numpy as np

from recmm.data.assembly import SplitColumns, assemble
from recmm.data.dataset import SPLITS, MultimodalDataset, Split
from recmm.errors import EmptySplitError

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class AllPairs:
    """All pairs of a catalogue, by user and then item, so that nothing depends on the split in which they came.

    Attributes:
        users, items: int64 [n].
        parts: int8 [n], where they stand in the dataset's own split: 0 train, 1 validation, 2 test.
        timestamps, weights: [n], None unless all three splits have them.
    """

    users: np.ndarray
    items: np.ndarray
    parts: np.ndarray
    timestamps: np.ndarray | None
    weights: np.ndarray | None

    @classmethod
    def of(cls, dataset: MultimodalDataset) -> "AllPairs":
        given = list(dataset.splits.values())
        users, items = (np.concatenate([getattr(pairs, column) for pairs in given]) for column in ("users", "items"))
        order = np.lexsort((items, users))
        parts = np.repeat(np.arange(len(given), dtype=np.int8), [len(pairs) for pairs in given])
        times, weights = (
            _joined([getattr(pairs, kind) for pairs in given], order) for kind in ("timestamps", "weights")
        )
        return cls(users[order], items[order], parts[order], times, weights)

    def where(self, rows: np.ndarray) -> SplitColumns:
        """The pairs at ``rows``, bool [n]."""
        times, weights = (None if values is None else values[rows] for values in (self.timestamps, self.weights))
        return SplitColumns(self.users[rows], self.items[rows], times, weights)


class SplitProtocol(ABC):
    """Divides all pairs of a catalogue again; a subclass is a frozen dataclass whose fields are its configuration.

    Users and items keep their ids, and none is dropped. The name of the new split enters the data's digest and every
    table; its recipe enters the record.
    """

    def ties(self, pairs: AllPairs) -> tuple[int, int] | None:
        """How many decisions an order in time makes here, and how many of them are ties; None without such an order."""
        return None

    @abstractmethod
    def divide(self, dataset: MultimodalDataset, pairs: AllPairs) -> tuple[Split, np.ndarray]:
        """What the new split is, with a name that no other protocol or setting has, and the part of each pair, int [n].

        0 is train, 1 validation, 2 test.
        """

    def apply(self, dataset: MultimodalDataset) -> MultimodalDataset:
        """The same catalogue in this split.

        Timestamps and weights are kept where all three splits have them. Ties in time are logged, and noted as
        ``time_ties`` and ``time_decisions``.

        Raises:
            DataError: the catalogue lacks what the protocol needs.
            EmptySplitError: nothing is left to train on, to select on or to test on.
        """
        pairs = AllPairs.of(dataset)
        split, parts = self.divide(dataset, pairs)
        if empty := " and ".join(name for number, name in enumerate(SPLITS) if not (parts == number).any()):
            raise EmptySplitError(
                f"{dataset.name} has no interaction in {empty} of the split {split.name} ({split.recipe}): change the "
                "values of dataset.protocol, or take another split=."
            )
        made = assemble(
            name=dataset.name,
            split=split,
            splits={part: pairs.where(parts == number) for number, part in enumerate(SPLITS)},
            n_users=dataset.n_users,
            n_items=dataset.n_items,
            features=dataset.features.values,
            observed=dataset.features.observed,
            user_ids=dataset.user_ids,
            item_ids=dataset.item_ids,
        )
        ties = _ties(self.ties(pairs), made)
        return replace(made, notes=_notes(dataset, made) | ties)


def _joined(columns: list[np.ndarray | None], order: np.ndarray) -> np.ndarray | None:
    """One array of a column's parts, in this order; None unless every split has it."""
    there = [values for values in columns if values is not None]
    return np.concatenate(there)[order] if len(there) == len(columns) else None


def _notes(old: MultimodalDataset, made: MultimodalDataset) -> dict[str, int | str]:
    """The notes of the data and of the new split, which are also logged."""
    without, cold = ((data.notes["users_without_history"], data.notes["cold_items"]) for data in (old, made))
    log.info(
        "%s, split %s: %d training, %d validation and %d test pairs (%d, %d, %d in the split %s); %d of %d users have "
        "no training history (%d before), %d of %d items no training interaction (%d before).",
        *(old.name, made.split.name, *map(len, made.splits.values()), *map(len, old.splits.values()), old.split.name),
        *(cold[0], made.n_users, without[0], cold[1], made.n_items, without[1]),
    )
    found = {note: made.notes[note] for note in ("users_without_history", "cold_items")}
    return old.notes | found | {"given_split": old.split.name, "given_training_pairs": len(old.train)}


def _ties(found: tuple[int, int] | None, made: MultimodalDataset) -> dict[str, int | str]:
    """The notes of ``SplitProtocol.ties``; ties are also logged."""
    if found is None:
        return {}
    decisions, ties = found
    if ties:
        log.warning(
            "%s, split %s: %s of %s decisions (%.1f %%) were ties in time, which something else than time decided. Are "
            "the times cut, to whole days for example?",
            *(made.name, made.split.name, f"{ties:,}", f"{decisions:,}", 100 * ties / decisions),
        )
    return {"time_decisions": decisions, "time_ties": ties}
