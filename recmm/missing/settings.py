"""Missing settings: which entries each phase hides. Every choice of conf/missing/ is one of these classes.

All settings have in common:

- Only entries that the data has are hidden, and rates count only those.
- Random draws come from the setting's own ``seed``, never from the run's.
- Priorities and patterns of items (or entries) do not depend on the rate. So whatever is hidden at one rate is hidden
  at every higher rate.
"""

import logging
from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from recmm.data.dataset import MultimodalDataset
from recmm.errors import MissingSettingError
from recmm.missing.base import MissingSetting, same_in_all_phases
from recmm.missing.masks import Phase, PhaseDraw
from recmm.missing.patterns import any_modality, balanced_subsets, first_by_priority, random_subsets
from recmm.settings import hp

log = logging.getLogger(__name__)


class Natural(MissingSetting):
    """Only what the data itself lacks is missing, in training, validation and test alike; nothing more is hidden."""

    def draws(self, dataset: MultimodalDataset) -> dict[Phase, PhaseDraw]:
        observed = dataset.features.observed
        return same_in_all_phases(PhaseDraw(np.zeros_like(observed), np.ones(len(observed), dtype=np.bool_)))


class Full(Natural):
    """Nothing is hidden in any phase; entries that the data itself lacks stay missing, and the run warns of them."""

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


class Rate(MissingSetting):
    """CI2MG (MM 2023, section 4.2): a share of the features is missing at random, the same entries in all phases.

    Validation and test restore nothing.
    """

    rate: float = hp(
        0.9,
        "share of what the data has that is hidden, in the unit below; paper 0.9 (Table 2), 0.5 to 0.8 (Fig. 3)",
        ge=0,
        le=1,
    )
    unit: Literal["entry", "item"] = hp(
        "entry",
        "what the rate counts; the paper names no unit, entry is our reading; entry: of each modality independently, "
        "exactly this share of the entries that the data has; an item may lose everything (at 0.9, 81 % of the items "
        "with two modalities) | item: exactly this share of the items that have a modality; each loses a subset of its "
        "modalities, drawn uniformly from all non-empty subsets",
    )
    paper_imputer: str = hp(
        "recmm.missing.imputers.Mean",
        "class that imputer=paper resolves to; CI2MG imputes the mean of the modality's visible entries",
    )

    def draws(self, dataset: MultimodalDataset) -> dict[Phase, PhaseDraw]:
        observed = dataset.features.observed
        everywhere = np.ones(len(observed), dtype=np.bool_)
        if self.unit == "item":
            chosen = first_by_priority(self.random("items").random(len(observed)), any_modality(observed), self.rate)
            pattern = random_subsets(observed, max(observed.shape[1], 1), self.random("pattern"))
            return same_in_all_phases(PhaseDraw(pattern & chosen[:, None], everywhere, {"items": self.rate}))
        drawn = np.zeros_like(observed)
        for column, modality in enumerate(dataset.modalities):
            priority = self.random(f"entries/{modality}").random(len(observed))
            drawn[:, column] = first_by_priority(priority, observed[:, column], self.rate)
        return same_in_all_phases(PhaseDraw(drawn, everywhere, dict.fromkeys(dataset.modalities, self.rate)))


class Popularity(MissingSetting):
    """Missing not at random: items with fewer training interactions lose more, the same entries in all phases.

    Of each modality independently, entries are drawn one after the other without replacement. An item is next with a
    probability in proportion to its weight (1 + training interactions) ** -strength. Validation and test restore
    nothing. No paper uses it.
    """

    rate: float = hp(
        0.5,
        "share of the entries that the data has, of each modality independently, that is hidden",
        ge=0,
        le=1,
    )
    strength: float = hp(
        1.0,
        "how strongly popularity protects; 0: at random; 1: an item without training interactions is 10 times as "
        "likely to be next as an item with 9",
        ge=0,
    )
    paper_imputer: str = hp(
        "recmm.missing.imputers.Mean", "class that imputer=paper resolves to; as in missing=rate, for comparison"
    )

    def draws(self, dataset: MultimodalDataset) -> dict[Phase, PhaseDraw]:
        observed = dataset.features.observed
        # An equivalent draw: arrival times are exponential with the weight as rate, and the first to arrive are hidden.
        # The order of arrival does not depend on the missing rate, so the draws of two rates are nested.
        slowness = self.strength * np.log1p(dataset.train.item_counts())
        drawn = np.zeros_like(observed)
        for column, modality in enumerate(dataset.modalities):
            arrival = self.random(f"popularity/{modality}").exponential(size=len(observed))
            # in logarithms, since a power of a large count would overflow
            drawn[:, column] = first_by_priority(np.log(arrival) + slowness, observed[:, column], self.rate)
        requested = dict.fromkeys(dataset.modalities, self.rate)
        return same_in_all_phases(PhaseDraw(drawn, np.ones(len(observed), dtype=np.bool_), requested))


class DGMRec(MissingSetting):
    """DGMRec (SIGIR 2025): a share of the items loses modalities in balanced patterns, the same entries in all phases.

    The draw is made among the cold items and among the others alike. In both, each proper subset of an item's M
    modalities is lost by equally many of the drawn items, and everything by M times as many: of two modalities a
    quarter loses the first, a quarter the second, half of them both. So at 2/3 each modality misses 1/2 of its entries
    and 1/3 of the items have nothing. The rule is that of the released masks, the draw is ours; theirs also balances a
    random fifth that may become new items. Its TikTok has validation and test exchanged: the published TikTok numbers
    are on the pairs that are validation here.
    """

    rate: float = hp(
        2 / 3,
        "share of the items that have a modality, in each stratum, that lose some; released 2/3 (Baby, Sports, "
        "Clothing), 0.6 and 0.75 (TikTok)",
        ge=0,
        le=1,
    )
    cold_share: float = hp(
        0.7,
        "share of the items, those with the fewest training interactions, that are the cold stratum; released 0.7",
        ge=0,
        le=1,
    )
    paper_imputer: str = hp("recmm.missing.imputers.Mean", "class that imputer=paper resolves to; the authors' choice")

    def draws(self, dataset: MultimodalDataset) -> dict[Phase, PhaseDraw]:
        observed = dataset.features.observed
        everywhere = np.ones(len(observed), dtype=np.bool_)
        priority = self.random("dgmrec/items").random(len(observed))
        popularity = dataset.train.item_counts() + self.random("dgmrec/ties").random(len(observed))
        cold = first_by_priority(popularity, everywhere, self.cold_share)
        drawn, pattern_draw = np.zeros_like(observed), self.random("dgmrec/pattern")
        for stratum in (cold, ~cold):
            pattern = balanced_subsets(observed & stratum[:, None], priority, pattern_draw)
            chosen = first_by_priority(priority, stratum & any_modality(observed), self.rate)
            drawn |= pattern & chosen[:, None]
        return same_in_all_phases(PhaseDraw(drawn, everywhere, {"items": self.rate}))


class Modality(MissingSetting):
    """I3-MRec (MM 2025, Fig. 3): every item loses the named modalities."""

    modalities: Annotated[Sequence[str], Field(min_length=1)] = hp(
        ["visual"], "names of the modalities to hide, at least one"
    )
    phases: Literal["train", "test", "both"] = hp(
        "both",
        "where they are hidden; train: in training only | test: in validation and test only | both: in training, "
        "validation and test",
    )

    def draws(self, dataset: MultimodalDataset) -> dict[Phase, PhaseDraw]:
        observed = dataset.features.observed
        lead = {name: group[0] for group in self.tied for name in group}
        hidden = {lead.get(name, name) for name in self.modalities}
        unknown = [name for name in self.modalities if lead.get(name, name) not in dataset.modalities]
        if unknown:
            raise MissingSettingError(
                f"missing.modalities names {', '.join(unknown)}, which {dataset.name} does not have; it has "
                f"{', '.join(dataset.modalities) or 'no modality at all'}."
            )
        vanishing = np.array([name in hidden for name in dataset.modalities])
        everywhere = np.ones(len(observed), dtype=np.bool_)
        gone = PhaseDraw(observed & vanishing, everywhere, dict.fromkeys(hidden, 1.0))
        kept = PhaseDraw(np.zeros_like(observed), everywhere)
        evaluation = kept if self.phases == "train" else gone
        return {"train": kept if self.phases == "test" else gone, "val": evaluation, "test": evaluation}


class TrainTest(MissingSetting):
    """FTMT and MTMT of I3-MRec (MM 2025, section 5.1.2): shares of the items lose modalities, in training and in test.

    Each of the two draws takes exactly its share of the items in ``scope`` that have at least one modality. The draws
    of training and of test are independent. A drawn item loses one random subset of the modalities that it has. The
    defaults are FTMT as we read it: training sees everything, and test draws from all items, since every item of the
    catalogue is a candidate at test.
    """

    train_rate: float = hp(
        0.0,
        "share of the items in scope that lose modalities in training; paper 0 (FTMT), 0.3 (MTMT), 0.1 to 0.9 (Fig. 4)",
        ge=0,
        le=1,
    )
    test_rate: float = hp(
        0.5,
        "share of the items in scope that lose modalities in test; paper 0.5, 0.1 to 0.9 (Fig. 4)",
        ge=0,
        le=1,
    )
    scope: Literal["catalogue", "train_items", "test_items", "phase_items"] = hp(
        "catalogue",
        "items that the rates count and draw from; catalogue: all items | train_items: those in training interactions, "
        "for both draws | test_items: those in test interactions, for both draws | phase_items: train_items in "
        "training, test_items in test. The masks of test_items and phase_items reveal which items are in the test set; "
        "the run's record says so",
    )
    pattern: Literal["one_or_two", "exactly_one"] = hp(
        "one_or_two",
        "what a drawn item loses, out of the modalities that it has; one_or_two: one or two of them, all such subsets "
        "equally likely, so an item with one or two may lose everything; paper | exactly_one: one of them; released "
        "code",
    )
    one_pattern_per_item: bool = hp(
        False,
        "whether an item that both draws take loses the same modalities in both; false: independent patterns; paper, "
        '"mismatches between training and test missing modalities" | true: the same; released code',
    )
    eval_bank: Literal["test_only", "union"] = hp(
        "test_only",
        "what validation and test hide; test_only: their own draw, so entries hidden in training alone are visible "
        'again; paper, "the test phase follows the same setup as FTMT" | union: the entries hidden in training too',
    )
    validation: Literal["test", "independent", "train"] = hp(
        "test",
        "mask of validation, under which models are selected; test: that of test, the catalogue as a deployed model "
        "sees it | independent: a draw of its own, with test_rate, scope and eval_bank | train: that of training",
    )

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
