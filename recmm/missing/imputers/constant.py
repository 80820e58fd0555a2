"""Imputation without other items: zeros, the mean of the modality, noise."""

from typing import Any, Literal

import numpy as np

from recmm.data.dataset import Interactions
from recmm.missing.imputers.base import Features, Imputer, ImputerSettings, training_means, training_stds
from recmm.seeding import stream
from recmm.settings import hp

CHUNK = 4096  # rows of noise drawn at a time; another value draws other noise


class Zero(Imputer):
    """Hidden rows are zero vectors (I3-MRec, MM 2025, section 5.1.2)."""

    class Settings(ImputerSettings):
        pass

    def fit(self, features: Features, mask: np.ndarray, train: Interactions) -> None:
        """Learns nothing."""

    def transform(self, features: Features, mask: np.ndarray) -> Features:
        for column, values in enumerate(features.values()):
            values[~mask[:, column]] = 0.0
        return features


class Mean(Imputer):
    """Hidden rows are the mean of the modality's rows that are visible in training (CI2MG, MM 2023, section 3.1)."""

    class Settings(ImputerSettings):
        pass

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self.means: Features = {}

    def fit(self, features: Features, mask: np.ndarray, train: Interactions) -> None:
        self.means = training_means(features, mask)

    def transform(self, features: Features, mask: np.ndarray) -> Features:
        for column, (modality, values) in enumerate(features.items()):
            values[~mask[:, column]] = self.means[modality]
        return features


class Random(Imputer):
    """Hidden rows are noise, drawn once per item and modality (Malitesta et al., TKDE 2026).

    An item's noise is the same in every phase and at every missing rate.
    """

    class Settings(ImputerSettings):
        distribution: Literal["uniform", "normal"] = hp(
            "uniform",
            "uniform: every value from U[0, 1), the paper | normal: every column from the normal distribution with the "
            "mean and the standard deviation of its entries visible in training",
        )
        seed: int = hp(0, "of the noise alone; the run's seed never changes it")

    settings: Settings

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self.means: Features = {}
        self.stds: Features = {}

    def fit(self, features: Features, mask: np.ndarray, train: Interactions) -> None:
        if self.settings.distribution == "normal":
            self.means = training_means(features, mask)
            self.stds = training_stds(features, mask, self.means)

    def transform(self, features: Features, mask: np.ndarray) -> Features:
        for column, (modality, values) in enumerate(features.items()):
            random = stream(self.settings.seed, 0, f"imputer/{modality}")
            for start in range(0, len(values), CHUNK):
                block, hidden = values[start : start + CHUNK], ~mask[start : start + CHUNK, column]
                # visible rows draw too, so that a row's noise does not depend on how many rows before it are hidden
                if self.settings.distribution == "uniform":
                    noise = random.random(block.shape, dtype=np.float32)
                else:
                    noise = random.standard_normal(block.shape, dtype=np.float32)
                    noise = noise * self.stds[modality] + self.means[modality]
                block[hidden] = noise[hidden]
        return features
