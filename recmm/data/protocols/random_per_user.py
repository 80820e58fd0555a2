"""A random split per user, as in most papers, with a seed of its own."""

from dataclasses import dataclass

import numpy as np

from recmm.data.dataset import MultimodalDataset, Split
from recmm.data.protocols.base import AllPairs, SplitProtocol
from recmm.data.splitting import random_per_user
from recmm.errors import ConfigError


@dataclass(frozen=True)
class RandomPerUser(SplitProtocol):
    """All pairs are divided again by ``recmm.data.splitting.random_per_user``, whatever split the data comes with.

    Attributes:
        seed: of the draw; never the run's seed, so that all run seeds see the same split.

    Raises:
        ConfigError: a negative seed.
    """

    seed: int = 0

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ConfigError(f"dataset.protocol.seed must not be negative; got {self.seed}.")

    def divide(self, dataset: MultimodalDataset, pairs: AllPairs) -> tuple[Split, np.ndarray]:
        return random_split(self.seed), random_per_user(pairs.users, seed=self.seed)


def random_split(seed: int, name: str | None = None) -> Split:
    """What ``splitting.random_per_user`` makes, under this ``name`` or else one with the seed."""
    return Split(
        name or f"random-s{seed}",
        f"all pairs per user at random (seed {seed}): of fewer than 3 all in training, of fewer than 10 one "
        "for validation and one for test, else 20 % held out and half of that, rounded down, for validation",
    )
