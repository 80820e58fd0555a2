"""Imputers: how holes are filled. Fitted once on what training sees, then applied to every phase."""

import logging
from abc import ABC, abstractmethod

import numpy as np

from recmm.data.dataset import Interactions

log = logging.getLogger(__name__)

Features = dict[str, np.ndarray]


class Imputer(ABC):
    """Fills hidden rows.

    ``features`` are modality -> float32 [n_items, D_m], a phase's own copy in which hidden rows are zero; ``mask`` is
    bool [n_items, M], True where visible, columns in the features' order. Every scaling or statistic is learnt in
    ``fit``, which gets training's features and mask only: nothing that training does not see can leak into a fill.
    """

    @abstractmethod
    def fit(self, features: Features, mask: np.ndarray, train: Interactions) -> None:
        """Learn from training's visible entries and interactions. Must not change nor keep ``features``."""

    @abstractmethod
    def transform(self, features: Features, mask: np.ndarray) -> Features:
        """The features with hidden rows filled; may fill in place, never touches a visible row."""


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
        self.means: dict[str, np.ndarray] = {}

    def fit(self, features: Features, mask: np.ndarray, train: Interactions) -> None:
        for column, (modality, values) in enumerate(features.items()):
            visible = mask[:, column]
            if not visible.any():
                log.warning("No entry of modality %s is visible in training: its mean is taken to be zero.", modality)
            total = values.sum(axis=0, dtype=np.float64, where=visible[:, None])
            self.means[modality] = (total / max(int(visible.sum()), 1)).astype(np.float32)

    def transform(self, features: Features, mask: np.ndarray) -> Features:
        for column, (modality, values) in enumerate(features.items()):
            values[~mask[:, column]] = self.means[modality]
        return features
