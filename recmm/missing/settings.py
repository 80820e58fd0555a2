"""Missing settings: which entries each phase hides. Every choice of conf/missing/ is one of these classes.

Common to all: what is hidden is a subset of what the data has; rates count only what the data has; chance comes from
the setting's own ``seed`` and never from the run's; one priority and one pattern per item (or entry), independent of
the rate, so that everything hidden at a rate is hidden at every higher one.
"""

import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np

from recmm.data.dataset import MultimodalDataset
from recmm.errors import ConfigError, MissingSettingError
from recmm.missing.masks import PHASES, Masks, Phase, PhaseDraw
from recmm.missing.patterns import any_modality, first_by_priority, random_subsets
from recmm.seeding import stream

log = logging.getLogger(__name__)

Scope = Literal["catalogue", "train_items", "test_items", "phase_items"]
Pattern = Literal["one_or_two", "exactly_one"]


@dataclass(frozen=True, kw_only=True)
class MissingSetting(ABC):
    """Base of all settings.

    Attributes:
        seed: of the masks (``missing.seed``); all methods and all run seeds see the same masks under one value.
        paper_imputer: class that ``imputer=paper`` resolves to under this setting.
    """

    seed: int = 0
    paper_imputer: str = "recmm.missing.imputers.Zero"

    def __post_init__(self) -> None:
        if isinstance(self.seed, bool) or not isinstance(self.seed, int):
            raise ConfigError(f"missing.seed is {self.seed!r}; expected a whole number such as 0.")

    @abstractmethod
    def draws(self, dataset: MultimodalDataset) -> dict[Phase, PhaseDraw]:
        """What each phase hides of this dataset."""

    def sees_test_items(self) -> bool:
        """Whether a draw is made over the items of the test interactions."""
        return False

    def draw(self, dataset: MultimodalDataset) -> Masks:
        """The masks of all phases, with the rates that were really drawn.

        Raises:
            MissingSettingError: the setting names something that the dataset does not have.
        """
        observed, modalities = dataset.features.observed, tuple(dataset.modalities)
        draws = self.draws(dataset)
        return Masks(
            modalities=modalities,
            **{phase: draws[phase].visible(observed) for phase in PHASES},
            rates=[row for phase in PHASES for row in draws[phase].rates(phase, modalities, observed)],
            sees_test_items=self.sees_test_items(),
            provenance={
                "setting": type(self).__name__,
                **asdict(self),
                "dataset": dataset.name,
                "split": dataset.split.name,
            },
        )

    def random(self, purpose: str) -> np.random.Generator:
        """The stream of the masks' seed for one purpose."""
        return stream(self.seed, 0, f"missing/{purpose}")


@dataclass(frozen=True, kw_only=True)
class Natural(MissingSetting):
    """Only what the data itself lacks is missing, in every phase."""

    def draws(self, dataset: MultimodalDataset) -> dict[Phase, PhaseDraw]:
        observed = dataset.features.observed
        return _same_in_all_phases(PhaseDraw(np.zeros_like(observed), np.ones(len(observed), dtype=np.bool_)))


@dataclass(frozen=True, kw_only=True)
class Full(Natural):
    """Nothing is hidden; warns when the data itself lacks entries, because they stay missing."""

    def draws(self, dataset: MultimodalDataset) -> dict[Phase, PhaseDraw]:
        lacking = int((~dataset.features.observed).sum())
        if lacking:
            log.warning(
                "missing=full, but the data of %s itself lacks %s of %s (item, modality) entries: they stay missing. "
                "missing=natural is the same setting under its proper name.",
                dataset.name,
                f"{lacking:,}",
                f"{dataset.features.observed.size:,}",
            )
        return super().draws(dataset)


@dataclass(frozen=True, kw_only=True)
class Rate(MissingSetting):
    """CI2MG (MM 2023, section 4.2): a share of the features is missing, the same ones in all phases.

    Attributes:
        rate: share in [0, 1].
        unit: "entry": of each modality on its own, exactly that share of the entries that the data has, with no
            protection (an item may lose everything); "item": exactly that share of the items that have something, each
            of which loses a subset of what it has, uniform over all non-empty subsets.
    """

    rate: float = 0.9
    unit: Literal["entry", "item"] = "entry"
    paper_imputer: str = "recmm.missing.imputers.Mean"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_share("rate", self.rate)
        _check_choice("unit", self.unit, ("entry", "item"))

    def draws(self, dataset: MultimodalDataset) -> dict[Phase, PhaseDraw]:
        observed = dataset.features.observed
        everywhere = np.ones(len(observed), dtype=np.bool_)
        if self.unit == "item":
            chosen = first_by_priority(self.random("items").random(len(observed)), any_modality(observed), self.rate)
            pattern = random_subsets(observed, max(observed.shape[1], 1), self.random("pattern"))
            return _same_in_all_phases(PhaseDraw(pattern & chosen[:, None], everywhere, {"items": self.rate}))
        drawn = np.zeros_like(observed)
        for column, modality in enumerate(dataset.modalities):
            priority = self.random(f"entries/{modality}").random(len(observed))
            drawn[:, column] = first_by_priority(priority, observed[:, column], self.rate)
        return _same_in_all_phases(PhaseDraw(drawn, everywhere, dict.fromkeys(dataset.modalities, self.rate)))


@dataclass(frozen=True, kw_only=True)
class Popularity(MissingSetting):
    """Missing not at random: unpopular items lose more, in all phases the same entries.

    Of each modality on its own exactly the share ``rate`` of the entries that the data has is hidden, drawn one after
    the other without replacement; at every step an item is drawn with a probability in proportion to its weight
    (1 + training interactions) ** -strength. It is drawn as a race, which is the same: arrival times are exponential
    with the weight as intensity, and the first to arrive are hidden, so the choice is nested in ``rate``.

    Attributes:
        rate: mean share over all items, in [0, 1].
        strength: 0: at random; 1: an item without training interactions is 10 times as likely to be next as one with 9.
    """

    rate: float = 0.5
    strength: float = 1.0
    paper_imputer: str = "recmm.missing.imputers.Mean"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_share("rate", self.rate)
        if isinstance(self.strength, bool) or not 0 <= self.strength < math.inf:
            raise ConfigError(f"missing.strength is {self.strength!r}; expected a finite number of at least 0.")

    def draws(self, dataset: MultimodalDataset) -> dict[Phase, PhaseDraw]:
        observed = dataset.features.observed
        slowness = self.strength * np.log1p(dataset.train.item_counts())
        drawn = np.zeros_like(observed)
        for column, modality in enumerate(dataset.modalities):
            arrival = self.random(f"popularity/{modality}").exponential(size=len(observed))
            # in logarithms: a power of a large count would overflow
            drawn[:, column] = first_by_priority(np.log(arrival) + slowness, observed[:, column], self.rate)
        requested = dict.fromkeys(dataset.modalities, self.rate)
        return _same_in_all_phases(PhaseDraw(drawn, np.ones(len(observed), dtype=np.bool_), requested))


@dataclass(frozen=True, kw_only=True)
class Modality(MissingSetting):
    """I3-MRec (MM 2025, Fig. 3): the named modalities vanish, of every item.

    Attributes:
        modalities: names of what vanishes; at least one.
        phases: "train": in training only; "test": in validation and test; "both": everywhere.
    """

    modalities: Sequence[str]
    phases: Literal["train", "test", "both"] = "both"

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.modalities, str) or not self.modalities:
            raise ConfigError(f"missing.modalities is {self.modalities!r}; expected a list of names such as [visual].")
        object.__setattr__(self, "modalities", list(self.modalities))
        _check_choice("phases", self.phases, ("train", "test", "both"))

    def draws(self, dataset: MultimodalDataset) -> dict[Phase, PhaseDraw]:
        observed = dataset.features.observed
        unknown = [name for name in self.modalities if name not in dataset.modalities]
        if unknown:
            raise MissingSettingError(
                f"missing.modalities names {', '.join(unknown)}, which {dataset.name} does not have; it has "
                f"{', '.join(dataset.modalities) or 'no modality at all'}."
            )
        vanishing = np.array([name in self.modalities for name in dataset.modalities])
        everywhere = np.ones(len(observed), dtype=np.bool_)
        gone = PhaseDraw(observed & vanishing, everywhere, dict.fromkeys(self.modalities, 1.0))
        kept = PhaseDraw(np.zeros_like(observed), everywhere)
        evaluation = kept if self.phases == "train" else gone
        return {"train": kept if self.phases == "test" else gone, "val": evaluation, "test": evaluation}


@dataclass(frozen=True, kw_only=True)
class TrainTest(MissingSetting):
    """FTMT and MTMT of I3-MRec (MM 2025, section 5.1.2): shares of the items lose modalities, in training and in test.

    Each phase's draw, independent of the other's, takes exactly its share of the items in ``scope`` that have at least
    one modality. A drawn item loses one random subset of the modalities that it has, by ``pattern``.

    Attributes:
        train_rate, test_rate: shares in [0, 1] of the items in scope; FTMT is a train_rate of 0.
        scope: the items to draw from: "catalogue", "train_items" or "test_items" (those that occur in interactions of
            that split) for both draws; "phase_items": train_items for training's draw and test_items for test's.
        pattern: "one_or_two": uniform over the one- and two-element subsets; "exactly_one": over the single modalities.
        one_pattern_per_item: an item that several draws take loses the same modalities in all of them.
        eval_bank: "test_only": what training hid is back in validation and test, unless drawn there too; "union": what
            training hid stays hidden in validation and test.
        validation: the mask of validation: "test": that of test; "independent": a draw of its own with test's rate and
            scope (and eval_bank); "train": that of training.
    """

    train_rate: float = 0.0
    test_rate: float = 0.5
    scope: Scope = "catalogue"
    pattern: Pattern = "one_or_two"
    one_pattern_per_item: bool = False
    eval_bank: Literal["test_only", "union"] = "test_only"
    validation: Literal["test", "independent", "train"] = "test"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_share("train_rate", self.train_rate)
        _check_share("test_rate", self.test_rate)
        _check_choice("scope", self.scope, get_args(Scope))
        _check_choice("pattern", self.pattern, get_args(Pattern))
        _check_choice("one_pattern_per_item", self.one_pattern_per_item, (False, True))
        _check_choice("eval_bank", self.eval_bank, ("test_only", "union"))
        _check_choice("validation", self.validation, ("test", "independent", "train"))

    def draws(self, dataset: MultimodalDataset) -> dict[Phase, PhaseDraw]:
        train = self._draw(dataset, "train", self.train_rate, self._scope_of("train"))
        carried = train.drawn if self.eval_bank == "union" else None
        test = self._draw(dataset, "test", self.test_rate, self._scope_of("test"), carried)
        if self.validation == "test":
            val = test
        elif self.validation == "train":
            val = train
        else:
            val = self._draw(dataset, "validation", self.test_rate, self._scope_of("test"), carried)
        return {"train": train, "val": val, "test": test}

    def sees_test_items(self) -> bool:
        rates = {"train": self.train_rate, "test": self.test_rate}
        return any(rate > 0 and self._scope_of(phase) == "test_items" for phase, rate in rates.items())

    def _scope_of(self, phase: str) -> str:
        return f"{phase}_items" if self.scope == "phase_items" else self.scope

    def _draw(
        self, dataset: MultimodalDataset, name: str, rate: float, scope: str, carried: np.ndarray | None = None
    ) -> PhaseDraw:
        observed = dataset.features.observed
        eligible = _items_in(dataset, scope)
        priority = self.random(f"{name}/items").random(len(observed))
        chosen = first_by_priority(priority, eligible & any_modality(observed), rate)
        purpose = "pattern" if self.one_pattern_per_item else f"{name}/pattern"
        largest = 1 if self.pattern == "exactly_one" else 2
        pattern = random_subsets(observed, largest, self.random(purpose))
        return PhaseDraw(pattern & chosen[:, None], eligible, {"items": rate}, carried)


def _items_in(dataset: MultimodalDataset, scope: str) -> np.ndarray:
    """bool [n_items]: the items of the catalogue, or those that occur in a split's interactions."""
    if scope == "catalogue":
        return np.ones(dataset.n_items, dtype=np.bool_)
    split = dataset.train if scope == "train_items" else dataset.test
    occurs: np.ndarray = split.item_counts() > 0
    return occurs


def _same_in_all_phases(draw: PhaseDraw) -> dict[Phase, PhaseDraw]:
    return dict.fromkeys(PHASES, draw)


def _check_share(key: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ConfigError(f"missing.{key} is {value!r}; expected a share between 0 and 1, for example 0.5.")


def _check_choice(key: str, value: Any, choices: Sequence[Any]) -> None:
    if value not in choices:
        raise ConfigError(f"missing.{key} is {value!r}; expected one of {', '.join(map(str, choices))}.")
