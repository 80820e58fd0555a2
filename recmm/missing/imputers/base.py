"""What all imputers share: their interface, training's statistics, and the mean where nothing can be borrowed."""

import logging
from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from recmm.data.dataset import Interactions
from recmm.errors import ConfigError

log = logging.getLogger(__name__)

Features = dict[str, np.ndarray]

CHUNK = 4096  # rows held in double precision at a time


class Imputer(ABC):
    """Fills hidden rows.

    ``features`` are modality -> float32 [n_items, D_m], a phase's own copy; ``mask`` is bool [n_items, M], True where
    visible, columns in the features' order. Every scaling or statistic is learnt in ``fit``, which gets training's
    features and mask only; ``transform`` may look up rows that its own phase shows. Neither reads a hidden row.
    """

    @abstractmethod
    def fit(self, features: Features, mask: np.ndarray, train: Interactions) -> None:
        """Learn from training's visible entries and interactions. Must not change nor keep ``features``."""

    @abstractmethod
    def transform(self, features: Features, mask: np.ndarray) -> Features:
        """The features with hidden rows filled; may fill in place, never touches a visible row."""


class Borrower(Imputer):
    """An imputer that fills a hidden row from other rows, and with training's mean where there are none to take."""

    means: Features  # modality -> float32 [D_m]

    def fit(self, features: Features, mask: np.ndarray, train: Interactions) -> None:
        self.means = training_means(features, mask)

    @abstractmethod
    def borrow(self, features: Features, mask: np.ndarray, modality: str) -> tuple[np.ndarray, np.ndarray]:
        """Ids of the items, int64 [n], whose hidden row of ``modality`` can be made, and the rows, [n, D_m]."""

    def transform(self, features: Features, mask: np.ndarray) -> Features:
        # all is borrowed before anything is filled, so that no fill is taken for a feature
        incomplete = [modality for column, modality in enumerate(features) if not mask[:, column].all()]
        borrowed = {modality: self.borrow(features, mask, modality) for modality in incomplete}
        for column, (modality, values) in enumerate(features.items()):
            if modality in borrowed:
                items, rows = borrowed[modality]
                hidden = ~mask[:, column]
                values[hidden] = self.means[modality]
                values[items] = rows
                lone, name = int(hidden.sum()) - len(items), type(self).__name__
                if lone:
                    log.info("%s: %d hidden rows of %s have nothing to borrow from: mean.", name, lone, modality)
        return features


def training_means(features: Features, mask: np.ndarray) -> Features:
    """Modality -> float32 [D_m], over the visible rows; zeros and a warning where there are none."""
    means: Features = {}
    for column, (modality, values) in enumerate(features.items()):
        visible = mask[:, column]
        if not visible.any():
            log.warning("No entry of modality %s is visible in training: its mean is taken to be zero.", modality)
        total = values.sum(axis=0, dtype=np.float64, where=visible[:, None])
        means[modality] = (total / max(int(visible.sum()), 1)).astype(np.float32)
    return means


def training_stds(features: Features, mask: np.ndarray, means: Features) -> Features:
    """Modality -> float32 [D_m], over the visible rows; zeros where there are none."""
    stds: Features = {}
    for column, (modality, values) in enumerate(features.items()):
        visible, centre = mask[:, column], means[modality].astype(np.float64)
        total = np.zeros(values.shape[1])
        for items in np.array_split(np.flatnonzero(visible), len(values) // CHUNK + 1):
            total += np.square(values[items] - centre).sum(axis=0)
        stds[modality] = np.sqrt(total / max(int(visible.sum()), 1)).astype(np.float32)
    return stds


def require(fine: bool, key: str, value: Any, expected: str) -> None:
    """Raise ConfigError with a sentence about ``imputer.<key>`` unless its value is ``fine``."""
    if not fine:
        raise ConfigError(f"imputer.{key} is {value!r}; expected {expected}.")
