"""Fills that look at no other item: zero, the mean, noise."""

from typing import Literal, get_args

import numpy as np

from recmm.data.dataset import Interactions
from recmm.missing.imputers.base import Features, Imputer, require, training_means, training_stds
from recmm.seeding import stream

Distribution = Literal["uniform", "normal"]

CHUNK = 4096  # rows of noise drawn at a time; part of what is drawn


class Zero(Imputer):
    """Hidden rows are zero vectors (I3-MRec, section 5.1.2)."""

    def fit(self, features: Features, mask: np.ndarray, train: Interactions) -> None:
        """Nothing to learn."""

    def transform(self, features: Features, mask: np.ndarray) -> Features:
        for column, values in enumerate(features.values()):
            values[~mask[:, column]] = 0.0
        return features


class Mean(Imputer):
    """Hidden rows are the mean of the modality's entries that are visible in training (CI2MG, section 3.1)."""

    def __init__(self) -> None:
        self.means: Features = {}

    def fit(self, features: Features, mask: np.ndarray, train: Interactions) -> None:
        self.means = training_means(features, mask)

    def transform(self, features: Features, mask: np.ndarray) -> Features:
        for column, (modality, values) in enumerate(features.items()):
            values[~mask[:, column]] = self.means[modality]
        return features


class Random(Imputer):
    """Hidden rows are noise (Malitesta et al., TKDE 2025): each item has one draw, whatever else is hidden.

    Args:
        distribution: "uniform": every value from U[0, 1), so in the paper; "normal": every column from the normal
            distribution with its mean and standard deviation over the rows that are visible in training.
        seed: of the noise alone.

    Raises:
        ConfigError: another distribution.
    """

    def __init__(self, *, distribution: Distribution = "uniform", seed: int = 0) -> None:
        require(distribution in get_args(Distribution), "distribution", distribution, "uniform or normal")
        self.distribution, self.seed = distribution, seed
        self.means: Features = {}
        self.stds: Features = {}

    def fit(self, features: Features, mask: np.ndarray, train: Interactions) -> None:
        if self.distribution == "normal":
            self.means = training_means(features, mask)
            self.stds = training_stds(features, mask, self.means)

    def transform(self, features: Features, mask: np.ndarray) -> Features:
        for column, (modality, values) in enumerate(features.items()):
            random = stream(self.seed, 0, f"imputer/{modality}")
            for start in range(0, len(values), CHUNK):
                block, hidden = values[start : start + CHUNK], ~mask[start : start + CHUNK, column]
                # drawn for visible rows too: a row's noise may not depend on how many hidden ones stand before it
                if self.distribution == "uniform":
                    noise = random.random(block.shape, dtype=np.float32)
                else:
                    noise = random.standard_normal(block.shape, dtype=np.float32)
                    noise = noise * self.stds[modality] + self.means[modality]
                block[hidden] = noise[hidden]
        return features
