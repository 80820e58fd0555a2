"""Modalities that are hidden together."""

from typing import Any

import numpy as np
import pytest

from recmm.errors import ConfigError, MissingSettingError
from recmm.missing.base import MissingSetting
from recmm.missing.masks import PHASES
from recmm.missing.settings import Full, Modality, Popularity, Rate, TrainTest

MODALITIES = ("text", "vggish", "whisper")
TIED: Any = [["vggish", "whisper"]]
SETTINGS = [
    Rate(rate=0.5, tied=TIED),
    Rate(rate=0.5, unit="item", tied=TIED),
    Popularity(rate=0.5, tied=TIED),
    TrainTest(train_rate=0.5, test_rate=0.5, eval_bank="union", tied=TIED),
    Modality(modalities=["whisper"], tied=TIED),
    Full(tied=TIED),
]


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
@pytest.mark.parametrize("gaps", [0.0, 0.3])
def test_a_group_is_hidden_as_one(setting: MissingSetting, gaps: float, make_dataset: Any) -> None:
    dataset = make_dataset(60, MODALITIES, gaps)
    masks = setting.draw(dataset)
    both = dataset.features.observed[:, 1:].all(axis=1)
    for phase in PHASES:
        mask = masks.phase(phase)
        assert not (mask & ~dataset.features.observed).any()
        np.testing.assert_array_equal(mask[both, 1], mask[both, 2])
    if not isinstance(setting, Full):
        assert (masks.train != dataset.features.observed)[:, 1:].any()


def test_rates_count_a_group_once(make_dataset: Any) -> None:
    dataset = make_dataset(60, MODALITIES)
    masks = Rate(rate=0.5, tied=TIED).draw(dataset)
    assert (~masks.train).sum(axis=0).tolist() == [30, 30, 30]
    assert {row["modality"]: row["requested"] for row in masks.rates if row["phase"] == "train"} == {
        "items": None,
        **dict.fromkeys(MODALITIES, 0.5),
    }
    assert not Modality(modalities=["whisper"], tied=TIED).draw(dataset).test[:, 1:].any()


def test_without_groups_masks_are_what_they_were(make_dataset: Any) -> None:
    dataset = make_dataset(60, MODALITIES, 0.2)
    assert Rate(rate=0.5).draw(dataset).digest == Rate(rate=0.5, tied=[]).draw(dataset).digest


def test_what_cannot_be_a_group(make_dataset: Any) -> None:
    dataset = make_dataset(20, MODALITIES)
    with pytest.raises(MissingSettingError, match=r"missing\.tied names image, which small does not have"):
        Rate(tied=[["text", "image"]]).draw(dataset)
    with pytest.raises(MissingSettingError, match="names text, twice"):
        Rate(tied=[["text", "vggish"], ["whisper", "text"]]).draw(dataset)
    with pytest.raises(ConfigError, match=r"missing\.tied"):
        Rate(tied=[["text"]])
