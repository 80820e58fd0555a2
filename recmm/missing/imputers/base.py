"""What all imputers share: settings, interface, statistics of the training phase, and the mean as the fallback."""

import logging
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np

from recmm.data.dataset import Interactions
from recmm.settings import ComponentSettings

log = logging.getLogger(__name__)

Features = dict[str, np.ndarray]

CHUNK = 4096  # rows held in double precision at a time


class ImputerSettings(ComponentSettings):
    """Hyper-parameters of an imputer; an imputer nests its own as ``class Settings(ImputerSettings)``."""

    key: ClassVar[str] = "imputer"


class Imputer(ABC):
    """Fills in the hidden rows of the features.

    ``features`` are modality -> float32 [n_items, D_m], a phase's own copy. ``mask`` is bool [n_items, M], True where
    visible, with columns in the order of the features. ``fit`` learns every scale and statistic, from the features and
    the mask of training alone. ``transform`` may look up rows that are visible in its own phase. Neither reads a hidden
    row.

    Args:
        values: hyper-parameters that differ from the defaults of ``Settings``.

    Raises:
        ConfigError: an unknown hyper-parameter, a value of the wrong type or out of range.
    """

    class Settings(ImputerSettings):
        """Hyper-parameters, each with default, meaning and bounds."""

    settings: ImputerSettings

    def __init__(self, **values: Any) -> None:
        self.settings = self.Settings(**values)

    @abstractmethod
    def fit(self, features: Features, mask: np.ndarray, train: Interactions) -> None:
        """Learn from training's visible entries and interactions. Must not change nor keep ``features``."""

    @abstractmethod
    def transform(self, features: Features, mask: np.ndarray) -> Features:
        """The features with hidden rows filled; may fill in place, never touches a visible row."""


class Borrower(Imputer):
    """An imputer that fills a hidden row from other rows, and with the mean of training where there are none."""

    means: Features  # modality -> float32 [D_m]

    def fit(self, features: Features, mask: np.ndarray, train: Interactions) -> None:
        self.means = training_means(features, mask)

    @abstractmethod
    def borrow(self, features: Features, mask: np.ndarray, modality: str) -> tuple[np.ndarray, np.ndarray]:
        """Ids of the items whose hidden row of ``modality`` can be imputed, int64 [n], and these rows, [n, D_m]."""

    def transform(self, features: Features, mask: np.ndarray) -> Features:
        # all rows are computed before any is written, so that no imputed row is read as a feature
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
                    log.info("%s: %d hidden rows of %s have no row to be imputed from: mean.", name, lone, modality)
        return features


def training_means(features: Features, mask: np.ndarray) -> Features:
    """Mean of the visible rows, modality -> float32 [D_m]; zeros and a warning where there are none."""
    means: Features = {}
    for column, (modality, values) in enumerate(features.items()):
        visible = mask[:, column]
        if not visible.any():
            log.warning("No entry of modality %s is visible in training: its mean is taken to be zero.", modality)
        total = values.sum(axis=0, dtype=np.float64, where=visible[:, None])
        means[modality] = (total / max(int(visible.sum()), 1)).astype(np.float32)
    return means


def training_stds(features: Features, mask: np.ndarray, means: Features) -> Features:
    """Standard deviation of the visible rows, modality -> float32 [D_m]; zeros where there are none."""
    stds: Features = {}
    for column, (modality, values) in enumerate(features.items()):
        visible, centre = mask[:, column], means[modality].astype(np.float64)
        total = np.zeros(values.shape[1])
        for items in np.array_split(np.flatnonzero(visible), len(values) // CHUNK + 1):
            total += np.square(values[items] - centre).sum(axis=0)
        stds[modality] = np.sqrt(total / max(int(visible.sum()), 1)).astype(np.float32)
    return stds
