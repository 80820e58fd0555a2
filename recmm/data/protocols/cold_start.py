"""Some of the items have no training interaction, as if they were new."""

from dataclasses import dataclass

import numpy as np

from recmm.data.dataset import SPLITS, MultimodalDataset, Split
from recmm.data.protocols.base import AllPairs, SplitProtocol
from recmm.errors import ConfigError, DataError
from recmm.seeding import stream


@dataclass(frozen=True)
class ItemColdStart(SplitProtocol):
    """A share of the items is new: all pairs of one half of them are validation, those of the other half are test.

    Items that already have no training interaction count as new first; the rest are drawn uniformly. Pairs of all
    other items stay in their part, so ``eval.candidates=all`` ranks both kinds of items and ``cold`` the new ones
    alone. A user whose whole history is held out is kept and counted. With the same seed, the new items of a smaller
    share are a subset of those of a larger one. Training never draws a new item as a negative.

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
                "dataset.protocol: share must lie in (0, 1) and seed must not be negative; got "
                f"share={self.share}, seed={self.seed}."
            )

    def divide(self, dataset: MultimodalDataset, pairs: AllPairs) -> tuple[Split, np.ndarray]:
        """See the base.

        Raises:
            DataError: more items than the share asks for have no training interaction already.
        """
        new = self._draw(dataset)
        home = np.full(dataset.n_items, -1)
        home[new[::2]], home[new[1::2]] = SPLITS.index("val"), SPLITS.index("test")
        split = Split(
            f"{dataset.split.name}-cold{self.share:g}-s{self.seed}",
            f"{dataset.split.recipe}; then a share of {self.share:g} of the items was made new (seed {self.seed}): "
            "all pairs of one half of them went to validation, those of the other half to test",
            negatives="warm",
        )
        return split, np.where(home[pairs.items] >= 0, home[pairs.items], pairs.parts)

    def _draw(self, dataset: MultimodalDataset) -> np.ndarray:
        """int64 [n_new], the new items: those without training interaction first, both kinds in random order."""
        n_new = round(self.share * dataset.n_items)
        warm = dataset.train.item_counts() > 0
        n_cold = dataset.n_items - int(np.count_nonzero(warm))
        if n_new < n_cold:
            raise DataError(
                f"dataset.protocol.share={self.share} makes {n_new:,} of the {dataset.n_items:,} items of "
                f"{dataset.name} new, but {n_cold:,} have no training interaction already: give at least "
                f"{n_cold / dataset.n_items:.4f}."
            )
        order = stream(self.seed, 0, "new items").permutation(dataset.n_items)
        return order[np.argsort(warm[order], kind="stable")][:n_new]
