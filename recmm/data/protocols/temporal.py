"""Splits by time: each user's last pairs, or all pairs after one moment, are held out."""

from dataclasses import dataclass

import numpy as np

from recmm.data.dataset import TIME_UNIT, MultimodalDataset, Split
from recmm.data.protocols.base import AllPairs, SplitProtocol
from recmm.data.splitting import cut_points, global_temporal, temporal_leave_one_out
from recmm.data.times import UNITS, leave_one_out_ties
from recmm.errors import ConfigError, DataError


@dataclass(frozen=True)
class TemporalLeaveOneOut(SplitProtocol):
    """Of each user the last pair is test, the one before it validation.

    Of pairs at the same time, the one with the greater dense item id counts as the later. Users with fewer than 3
    pairs keep them in training.
    """

    def ties(self, pairs: AllPairs) -> tuple[int, int] | None:
        """Two decisions for each user with 3 pairs or more; the item id decides the ties among them."""
        return None if pairs.timestamps is None else leave_one_out_ties(pairs.users, pairs.timestamps)

    def divide(self, dataset: MultimodalDataset, pairs: AllPairs) -> tuple[Split, np.ndarray]:
        """See the base.

        Raises:
            DataError: a split without timestamps.
        """
        split = Split(
            "temporal-leave-one-out",
            "per user by time: the last pair for test, the one before it for validation, at equal times by item id; "
            "users with fewer than 3 pairs keep them in training",
        )
        return split, temporal_leave_one_out(pairs.users, pairs.items, _times(dataset, pairs))


@dataclass(frozen=True)
class GlobalTemporal(SplitProtocol):
    """Two cuts in time for all users: pairs before the first are training, before the second validation, then test.

    The cuts are given, or chosen so that validation and test get their shares of all pairs; pairs at the time of a cut
    go to the later part. Users without a pair before the first cut are kept and counted. Items that occur only after it
    are cold (``eval.candidates``); as they do not exist yet at training time, training never draws them as negatives.

    Attributes:
        val_share, test_share: of all pairs, each in (0, 1), together below 1; only used where no times are given.
        val_from, test_from: the first moment of validation and of test, in the unit of the data's timestamps; both or
            neither.

    Raises:
        ConfigError: shares out of range, one time without the other, or in the wrong order.
    """

    val_share: float = 0.1
    test_share: float = 0.1
    val_from: int | float | None = None
    test_from: int | float | None = None

    def __post_init__(self) -> None:
        if min(self.val_share, self.test_share) <= 0 or self.val_share + self.test_share >= 1:
            raise ConfigError(
                "dataset.protocol: val_share and test_share must be positive and together below 1; got "
                f"{self.val_share} and {self.test_share}."
            )
        if (self.val_from is None) != (self.test_from is None):
            raise ConfigError(
                "dataset.protocol: give both val_from and test_from, or neither; got "
                f"val_from={self.val_from}, test_from={self.test_from}."
            )
        if self.val_from is not None and self.test_from is not None and not self.val_from < self.test_from:
            raise ConfigError(
                "dataset.protocol.val_from must be before test_from; got "
                f"val_from={self.val_from}, test_from={self.test_from}."
            )

    def ties(self, pairs: AllPairs) -> tuple[int, int] | None:
        """One decision for each pair; ties are the pairs that only the time of a cut moves beyond its share."""
        if pairs.timestamps is None:
            return None
        if self.val_from is not None:
            return len(pairs.users), 0
        cuts = cut_points(pairs.timestamps, self.val_share, self.test_share)
        ties = 0
        for cut, share in zip(cuts, (self.val_share + self.test_share, self.test_share), strict=True):
            ties += max(int(np.count_nonzero(pairs.timestamps >= cut)) - round(share * len(pairs.users)), 0)
        return len(pairs.users), ties

    def divide(self, dataset: MultimodalDataset, pairs: AllPairs) -> tuple[Split, np.ndarray]:
        """See the base.

        Raises:
            DataError: a split without timestamps.
        """
        times = _times(dataset, pairs)
        if self.val_from is None or self.test_from is None:
            cuts = cut_points(times, self.val_share, self.test_share)
            name = f"temporal-val{self.val_share:g}-test{self.test_share:g}"
        else:
            cuts = self.val_from, self.test_from
            name = f"temporal-from{_plain(cuts[0])}-{_plain(cuts[1])}"
        unit = UNITS.get(str(dataset.notes.get(TIME_UNIT)))
        counted = f"{unit} since 1970" if unit else "the source's unit"
        recipe = (
            f"all pairs by time, from {_plain(times.min())} to {_plain(times.max())} in {counted}: validation "
            f"from {_plain(cuts[0])} on, test from {_plain(cuts[1])} on, training before"
        )
        return Split(name, recipe, negatives="warm"), global_temporal(times, *cuts)


def _times(dataset: MultimodalDataset, pairs: AllPairs) -> np.ndarray:
    """[n], the time of each pair."""
    if pairs.timestamps is None:
        without = [name for name, part in dataset.splits.items() if part.timestamps is None]
        raise DataError(
            f"{dataset.name} has no timestamps in {', '.join(without)}, and a split by time needs one for every pair. "
            "Import the data with its column of times, or choose split=random_per_user; `dataset=synthetic "
            "dataset.timestamps=true` has times."
        )
    return pairs.timestamps


def _plain(time: float) -> str:
    """A time without an exponent, such as seconds or milliseconds since 1970."""
    return f"{time:.15g}"
