"""What all missing settings share: their seed, the draw of the masks, and what stands in place of the features."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from recmm.data.dataset import MultimodalDataset
from recmm.missing.imputers.base import Features
from recmm.missing.masks import PHASES, Masks, Phase, PhaseDraw
from recmm.missing.ties import untied, with_ties
from recmm.seeding import stream
from recmm.settings import ComponentSettings, hp


class MissingSetting(ComponentSettings, ABC):
    """Base of all settings: which entries each phase hides, as a function of the dataset."""

    key: ClassVar[str] = "missing"

    seed: int = hp(
        0,
        "of the masks alone; the run's seed never changes them, so all methods and all run seeds see the same masks; "
        "without effect where nothing is drawn at random",
    )
    paper_imputer: str = hp(
        "recmm.missing.imputers.Zero", "class that imputer=paper resolves to; I3-MRec imputes zero vectors"
    )
    tied: Sequence[Annotated[Sequence[str], Field(min_length=2)]] = hp(
        [],
        "groups of modalities that an item loses together, such as [[vggish,whisper]] for two encoders of one sound; "
        "rates and patterns then count a group as one modality",
    )

    @abstractmethod
    def draws(self, dataset: MultimodalDataset) -> dict[Phase, PhaseDraw]:
        """What each phase hides of this dataset."""

    def sees_test_items(self) -> bool:
        """Whether a draw is made over the items of the test interactions."""
        return False

    def replaced(self, dataset: MultimodalDataset) -> dict[Phase, str]:
        """Phase -> what stands in place of which features; phases that show the features of the data are absent."""
        return {}

    def replace(self, features: Features, mask: np.ndarray) -> None:
        """Replace, in place, the visible rows of a phase that ``replaced`` names.

        Args:
            features: modality -> float32 [n_items, D_m], the phase's own copy; hidden rows are zero.
            mask: bool [n_items, M], True where visible, columns in the order of the features.
        """
        raise TypeError(f"{type(self).__name__} replaces no features.")

    def draw(self, dataset: MultimodalDataset) -> Masks:
        """The masks of all phases, with the rates that were really drawn.

        Raises:
            MissingSettingError: the setting names something that the dataset does not have.
        """
        observed, modalities = dataset.features.observed, tuple(dataset.modalities)
        if self.tied:
            draws = untied(self.draws(with_ties(dataset, self.tied)), dataset, self.tied)
        else:
            draws = self.draws(dataset)
        return Masks(
            modalities=modalities,
            **{phase: draws[phase].visible(observed) for phase in PHASES},
            rates=[row for phase in PHASES for row in draws[phase].rates(phase, modalities, observed)],
            sees_test_items=self.sees_test_items(),
            replaced=self.replaced(dataset),
            provenance={
                "setting": type(self).__name__,
                **self.model_dump(mode="json"),
                "dataset": dataset.name,
                "split": dataset.split.name,
            },
        )

    def random(self, purpose: str) -> np.random.Generator:
        """The stream of the masks' seed for one purpose."""
        return stream(self.seed, 0, f"missing/{purpose}")


def same_in_all_phases(draw: PhaseDraw) -> dict[Phase, PhaseDraw]:
    """The same draw for training, validation and test."""
    return dict.fromkeys(PHASES, draw)
