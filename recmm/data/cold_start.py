"""Another split of a catalogue: some of the items have no training interaction, as if they were new."""

import logging
from dataclasses import dataclass, replace

import numpy as np

from recmm.data.dataset import SPLITS, MultimodalDataset, Split, SplitColumns, assemble
from recmm.errors import ConfigError, DataError
from recmm.seeding import stream

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ItemColdStart:
    """A share of the items is new: of one half of them all pairs are held out for validation, of the other for test.

    Items that have no training interaction already are the first to count, the others are drawn uniformly. Pairs of
    all other items stay where they were, so that a ranking of all items (``eval.candidates=all``) judges both kinds
    and ``cold`` the new ones alone. Users and items keep their ids; a user whose whole history is held out stays,
    and is counted. With one seed, the new items of a smaller share are among those of a larger one.

    Attributes:
        share: of all items, in (0, 1).
        seed: of the draw; never the run's seed, so that all run seeds see the same split.

    Raises:
        ConfigError: a value out of range.
    """

    share: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.share < 1 or self.seed < 0:
            raise ConfigError(
                "dataset.cold_start: share must lie in (0, 1) and seed must not be negative; got "
                f"share={self.share}, seed={self.seed}."
            )

    def apply(self, dataset: MultimodalDataset) -> MultimodalDataset:
        """The same catalogue in this split, whose name tells share and seed.

        Timestamps and weights are kept where all three splits have them.

        Raises:
            DataError: more items than the share asks for have no training interaction already.
            EmptySplitError: nothing is left to train on.
        """
        new = self._draw(dataset)
        home = np.full(dataset.n_items, -1)
        home[new[::2]], home[new[1::2]] = SPLITS.index("val"), SPLITS.index("test")
        given = list(dataset.splits.values())
        users, items, timestamps, weights = (
            _joined([getattr(pairs, column) for pairs in given])
            for column in ("users", "items", "timestamps", "weights")
        )
        assert users is not None and items is not None
        part = np.repeat(np.arange(len(given)), [len(pairs) for pairs in given])
        part = np.where(home[items] >= 0, home[items], part)

        def columns(split: str) -> SplitColumns:
            here = part == SPLITS.index(split)
            times, weight = (None if values is None else values[here] for values in (timestamps, weights))
            return SplitColumns(users[here], items[here], times, weight)

        made = assemble(
            name=dataset.name,
            split=Split(
                f"{dataset.split.name}-cold{self.share:g}-s{self.seed}",
                f"{dataset.split.recipe}; then a share of {self.share:g} of the items was made new (seed {self.seed}): "
                "all pairs of one half of them went to validation, those of the other half to test",
            ),
            train=columns("train"),
            val=columns("val"),
            test=columns("test"),
            n_users=dataset.n_users,
            n_items=dataset.n_items,
            features=dataset.features.values,
            observed=dataset.features.observed,
            user_ids=dataset.user_ids,
            item_ids=dataset.item_ids,
        )
        return replace(made, notes=self._notes(dataset, made))

    def _draw(self, dataset: MultimodalDataset) -> np.ndarray:
        """int64 [n_new], the new items: those without training interaction first, both kinds in random order."""
        n_new = round(self.share * dataset.n_items)
        warm = dataset.train.item_counts() > 0
        n_cold = dataset.n_items - int(np.count_nonzero(warm))
        if n_new < n_cold:
            raise DataError(
                f"dataset.cold_start.share={self.share} makes {n_new:,} of the {dataset.n_items:,} items of "
                f"{dataset.name} new, but {n_cold:,} have no training interaction already: give at least "
                f"{n_cold / dataset.n_items:.4f}."
            )
        order = stream(self.seed, 0, "new items").permutation(dataset.n_items)
        return order[np.argsort(warm[order], kind="stable")][:n_new]

    def _notes(self, old: MultimodalDataset, made: MultimodalDataset) -> dict[str, int | str]:
        """What was noted of the data, and what the split took; said aloud, too."""
        without, n_old = made.notes["users_without_history"], old.notes["users_without_history"]
        log.info(
            "%s, split %s: %d of %d items are new (%d had no training interaction before); %d training pairs are held "
            "out with them; %d users have no training history (%d before).",
            *(old.name, made.split.name, made.notes["cold_items"], made.n_items, old.notes["cold_items"]),
            *(len(old.train) - len(made.train), without, n_old),
        )
        return (
            old.notes
            | {note: made.notes[note] for note in ("users_without_history", "cold_items")}
            | {"training_pairs_held_out": len(old.train) - len(made.train)}
        )


def _joined(columns: list[np.ndarray | None]) -> np.ndarray | None:
    """One array of a column's parts; None unless every split has it."""
    there = [values for values in columns if values is not None]
    return np.concatenate(there) if len(there) == len(columns) else None
