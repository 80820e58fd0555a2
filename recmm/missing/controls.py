"""Controls: features are replaced by what says nothing about an item, so a run shows what its features are worth.

Nothing is hidden: the masks are what the data has, and a method sees as many rows as with real features. What a method
keeps of its accuracy under a control, it does not owe to the content of its items.
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from recmm.data.dataset import MultimodalDataset
from recmm.errors import MissingSettingError
from recmm.missing.imputers.base import Features, training_means, training_stds
from recmm.missing.masks import Phase
from recmm.missing.settings import Natural
from recmm.settings import hp


class Control(Natural):
    """Base of the controls: hides nothing more than the data lacks, and replaces the features of some modalities."""

    kind: ClassVar[str]
    """What stands in place of the features, for the record."""

    modalities: Annotated[Sequence[str], Field(min_length=1)] | None = hp(
        None, "names of the modalities to replace, with all those tied to them; null: all"
    )
    phases: Literal["train", "test", "both"] = hp(
        "both",
        "where they are replaced; train: in training only | test: in validation and test only | both: in training, "
        "validation and test",
    )

    def replaced(self, dataset: MultimodalDataset) -> dict[Phase, str]:
        unknown = [name for name in self.modalities or () if name not in dataset.modalities]
        if unknown:
            raise MissingSettingError(
                f"missing.modalities names {', '.join(unknown)}, which {dataset.name} does not have; it has "
                f"{', '.join(dataset.modalities) or 'no modality at all'}."
            )
        names = [name for name in dataset.modalities if self._replaces(name)]
        phases: dict[str, tuple[Phase, ...]] = {"train": ("train",), "test": ("val", "test")}
        told = f"{', '.join(names)} by {self.kind}{self._parameters()}"
        return dict.fromkeys(phases.get(self.phases, ("train", "val", "test")), told) if names else {}

    def replace(self, features: Features, mask: np.ndarray) -> None:
        for column, (modality, values) in enumerate(features.items()):
            visible = np.flatnonzero(mask[:, column])
            if self._replaces(modality) and len(visible):
                values[visible] = self.rows(modality, values, visible)

    @abstractmethod
    def rows(self, modality: str, values: np.ndarray, visible: np.ndarray) -> np.ndarray:
        """What the visible rows become.

        Args:
            modality: whose features these are.
            values: float32 [n_items, D_m], the features of the data; rows that it lacks are zero.
            visible: int64 [n], ids of the items that the data has the modality of, at least one, ascending.

        Returns:
            [n, D_m], in the order of ``visible``, or one row [D_m] for all of them.
        """

    def _replaces(self, modality: str) -> bool:
        if self.modalities is None or modality in self.modalities:
            return True
        return any(modality in group and set(group) & set(self.modalities) for group in self.tied)

    def _parameters(self) -> str:
        return f", seed {self.seed}"


class Noise(Control):
    """Control: the features are replaced by Gaussian noise with the mean and deviation of each of their dimensions.

    Mean and deviation are those of the rows that the data has; nothing else of the features is left. The noise of an
    item depends on the seed, the modality and the item alone. Every phase that is replaced shows the same.
    """

    kind: ClassVar[str] = "noise with the mean and deviation of each dimension"

    def rows(self, modality: str, values: np.ndarray, visible: np.ndarray) -> np.ndarray:
        mask = np.zeros((len(values), 1), dtype=np.bool_)
        mask[visible] = True
        alone = {modality: values}
        means = training_means(alone, mask)
        stds = training_stds(alone, mask, means)
        noise = self.random(f"noise/{modality}").standard_normal(values.shape, dtype=np.float32)[visible]
        return np.asarray(means[modality] + stds[modality] * noise)


class Shuffled(Control):
    """Control: every item shows the features of another item, in all phases that are replaced the same one.

    The items stand in one random cyclic order. Each takes a modality from the next item in it that has the modality:
    no item keeps its own, none is shown twice, and an item has all modalities of one other item where nothing is
    missing.
    """

    kind: ClassVar[str] = "the features of another item"

    def rows(self, modality: str, values: np.ndarray, visible: np.ndarray) -> np.ndarray:
        priority = self.random("shuffled").random(len(values))
        cycle = visible[np.argsort(priority[visible], kind="stable")]
        giver = np.empty(len(values), dtype=np.int64)
        giver[cycle] = np.roll(cycle, -1)
        return values[giver[visible]]


class Constant(Control):
    """Control: every entry of the features is replaced by one number, so all items look alike."""

    kind: ClassVar[str] = "the constant"

    value: float = hp(1.0, "the number that stands in every dimension")

    def rows(self, modality: str, values: np.ndarray, visible: np.ndarray) -> np.ndarray:
        return np.full(values.shape[1], self.value, dtype=np.float32)

    def _parameters(self) -> str:
        return f" {self.value:g}"
