"""Every setting: exact, nested, inside what the data has, and deaf to everything but its own seed."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from recmm.data.dataset import MultimodalDataset, Split
from recmm.data.formats.matrices import read_matrices
from recmm.errors import ConfigError, MissingSettingError
from recmm.missing.base import MissingSetting
from recmm.missing.masks import PHASES, Masks
from recmm.missing.settings import DGMRec, Full, Modality, Natural, Popularity, Rate, TrainTest

ALL_MODALITIES = ("visual", "textual", "acoustic")

# everything with a rate, as a function of it
RATED: dict[str, Callable[..., MissingSetting]] = {
    "entry": lambda rate, **more: Rate(rate=rate, **more),
    "item": lambda rate, **more: Rate(rate=rate, unit="item", **more),
    "popularity": lambda rate, **more: Popularity(rate=rate, **more),
    "dgmrec": lambda rate, **more: DGMRec(rate=rate, **more),
    "ftmt": lambda rate, **more: TrainTest(test_rate=rate, **more),
    "mtmt": lambda rate, **more: TrainTest(train_rate=rate, test_rate=rate, validation="independent", **more),
    "mtmt_union": lambda rate, **more: TrainTest(train_rate=rate, test_rate=rate, eval_bank="union", **more),
    "mtmt_paper": lambda rate, **more: TrainTest(train_rate=rate, test_rate=rate, scope="phase_items", **more),
    "mtmt_code": lambda rate, **more: TrainTest(
        train_rate=rate, test_rate=rate, scope="phase_items", pattern="exactly_one", one_pattern_per_item=True, **more
    ),
}
EVERY = {
    **{name: make(0.4) for name, make in RATED.items()},
    "full": Full(),
    "natural": Natural(),
    "modality": Modality(modalities=["visual"]),
}


@pytest.mark.parametrize("n_modalities", [1, 2, 3])
@pytest.mark.parametrize("gaps", [0.0, 0.3])
@pytest.mark.parametrize("name", EVERY)
def test_hides_only_what_the_data_has(name: str, gaps: float, n_modalities: int, make_dataset: Any) -> None:
    dataset = make_dataset(60, ALL_MODALITIES[:n_modalities], gaps)
    masks = EVERY[name].draw(dataset)
    assert masks.modalities == dataset.modalities
    for phase in PHASES:
        assert not (masks.phase(phase) & ~dataset.features.observed).any()
        rows = [row for row in masks.rates if row["phase"] == phase]
        assert [row["modality"] for row in rows] == ["items", *dataset.modalities]
        for column, row in enumerate(rows[1:]):
            assert row["n_missing"] == (~masks.phase(phase)[:, column]).sum()
            assert row["total"] == row["n_missing"] / 60
    if name not in ("full", "natural"):
        assert (dataset.features.observed & ~masks.test).any()


@pytest.mark.parametrize("name", RATED)
@settings(max_examples=25)
@given(first=st.floats(0, 1), second=st.floats(0, 1), seed=st.integers(0, 5), gaps=st.sampled_from([0.0, 0.3]))
def test_nested_in_the_rate(name: str, first: float, second: float, seed: int, gaps: float, make_dataset: Any) -> None:
    dataset = make_dataset(40, ALL_MODALITIES, gaps)
    low, high = (RATED[name](rate, seed=seed).draw(dataset) for rate in sorted((first, second)))
    for phase in PHASES:
        assert not (high.phase(phase) & ~low.phase(phase)).any()


@pytest.mark.parametrize("name", RATED)
def test_rate_zero_hides_nothing(name: str, make_dataset: Any) -> None:
    dataset = make_dataset(40, ALL_MODALITIES, 0.2)
    masks = RATED[name](0.0).draw(dataset)
    assert all((masks.phase(phase) == dataset.features.observed).all() for phase in PHASES)
    assert not masks.sees_test_items


@pytest.mark.parametrize("name", RATED)
def test_only_the_masks_own_seed_matters(name: str, make_dataset: Any) -> None:
    dataset = make_dataset(60, ALL_MODALITIES)
    np.random.seed(1)
    torch.manual_seed(1)
    once = RATED[name](0.5).draw(dataset)
    np.random.seed(2)
    torch.manual_seed(2)
    again, other = RATED[name](0.5, seed=0).draw(dataset), RATED[name](0.5, seed=1).draw(dataset)
    assert once.digest == again.digest != other.digest
    assert other.provenance["seed"] == 1
    assert other.provenance["split"] == "hand-made"


@given(rate=st.floats(0, 1), gaps=st.sampled_from([0.0, 0.3]), name=st.sampled_from(["entry", "popularity"]))
@settings(max_examples=40)
def test_entries_are_counted_exactly_and_per_modality(rate: float, gaps: float, name: str, make_dataset: Any) -> None:
    dataset = make_dataset(53, ALL_MODALITIES, gaps)
    masks = RATED[name](rate).draw(dataset)
    assert masks.phase("val").tobytes() == masks.train.tobytes() == masks.test.tobytes()
    hidden = dataset.features.observed & ~masks.train
    owned = dataset.features.observed.sum(axis=0)
    assert hidden.sum(axis=0).tolist() == [round(rate * n) for n in owned]
    rows = [row for row in masks.rates if row["phase"] == "test" and row["modality"] != "items"]
    assert [row["requested"] for row in rows] == [rate] * 3
    assert [(row["n_eligible"], row["n_drawn"]) for row in rows] == list(
        zip(owned.tolist(), hidden.sum(axis=0).tolist(), strict=True)
    )


def test_entries_of_modalities_are_independent_and_unprotected(make_dataset: Any) -> None:
    masks = Rate(rate=0.9).draw(make_dataset(3000))
    nothing = (~masks.train).all(axis=1).mean()
    assert abs(nothing - 0.81) < 0.03
    # a modality's own draw does not depend on which others are there
    alone = Rate(rate=0.9).draw(make_dataset(3000).select(["acoustic"]))
    assert (alone.train[:, 0] == masks.train[:, 1]).all()


@given(rate=st.floats(0, 1), gaps=st.sampled_from([0.0, 0.4]))
@settings(max_examples=40)
def test_items_are_counted_exactly(rate: float, gaps: float, make_dataset: Any) -> None:
    dataset = make_dataset(53, ALL_MODALITIES, gaps)
    masks = Rate(rate=rate, unit="item").draw(dataset)
    incomplete = (dataset.features.observed & ~masks.train).any(axis=1)
    assert incomplete.sum() == round(rate * dataset.features.observed.any(axis=1).sum())
    assert masks.rates[0]["requested"] == rate and masks.rates[1]["requested"] is None


def test_items_may_lose_everything_under_unit_item(make_dataset: Any) -> None:
    masks = Rate(rate=1.0, unit="item").draw(make_dataset(700, ALL_MODALITIES))
    sizes = np.bincount((~masks.train).sum(axis=1), minlength=4) / 700
    assert np.allclose(sizes, [0, 3 / 7, 3 / 7, 1 / 7], atol=0.06)


def hit(masks: Masks, phase: Any, dataset: MultimodalDataset) -> np.ndarray:
    return (dataset.features.observed & ~masks.phase(phase)).any(axis=1)


@pytest.mark.parametrize("gaps", [0.0, 0.4])
@pytest.mark.parametrize("scope", ["catalogue", "train_items", "test_items", "phase_items"])
def test_train_test_counts_exactly_the_items_in_scope(scope: Any, gaps: float, make_dataset: Any) -> None:
    dataset = make_dataset(90, ALL_MODALITIES, gaps)
    masks = TrainTest(train_rate=0.3, test_rate=0.5, scope=scope).draw(dataset)
    occurs = {
        "catalogue": np.ones(90, bool),
        "train_items": dataset.train.item_counts() > 0,
        "test_items": dataset.test.item_counts() > 0,
    }
    for phase, rate in (("train", 0.3), ("test", 0.5)):
        eligible = occurs[f"{phase}_items" if scope == "phase_items" else scope] & dataset.features.observed.any(axis=1)
        hidden = hit(masks, phase, dataset)
        assert hidden.sum() == round(rate * eligible.sum())
        assert not (hidden & ~eligible).any()
        row = next(row for row in masks.rates if (row["phase"], row["modality"]) == (phase, "items"))
        assert (row["requested"], row["n_eligible"], row["n_drawn"]) == (rate, eligible.sum(), hidden.sum())
    assert masks.sees_test_items == (scope in ("test_items", "phase_items"))


def test_patterns_of_train_test(make_dataset: Any) -> None:
    two, three = make_dataset(3000), make_dataset(3000, ALL_MODALITIES)
    lost = ~TrainTest(test_rate=1.0).draw(two).test
    assert np.allclose(np.bincount(lost.sum(axis=1), minlength=3) / 3000, [0, 2 / 3, 1 / 3], atol=0.04)
    lost = ~TrainTest(test_rate=1.0).draw(three).test
    assert np.allclose(np.bincount(lost.sum(axis=1), minlength=4) / 3000, [0, 1 / 2, 1 / 2, 0], atol=0.04)
    assert np.allclose(lost.mean(axis=0), 0.5, atol=0.04)
    for dataset in (two, three):
        lost = ~TrainTest(test_rate=1.0, pattern="exactly_one").draw(dataset).test
        assert (lost.sum(axis=1) == 1).all()
    assert (~TrainTest(test_rate=1.0).draw(two.select(["visual"])).test).all()


def test_draws_of_training_and_test_are_independent(make_dataset: Any) -> None:
    dataset = make_dataset(3000)
    masks = TrainTest(train_rate=0.5, test_rate=0.5).draw(dataset)
    both = hit(masks, "train", dataset) & hit(masks, "test", dataset)
    assert abs(both.mean() - 0.25) < 0.04
    same = (masks.train[both] == masks.test[both]).all(axis=1).mean()
    assert abs(same - 1 / 3) < 0.08
    shared = TrainTest(train_rate=0.5, test_rate=0.5, one_pattern_per_item=True).draw(dataset)
    both = hit(shared, "train", dataset) & hit(shared, "test", dataset)
    assert abs(both.mean() - 0.25) < 0.04
    assert (shared.train[both] == shared.test[both]).all()
    # test's draw does not depend on training's rate
    assert (masks.test == TrainTest(train_rate=0.1, test_rate=0.5).draw(dataset).test).all()


def test_eval_bank(make_dataset: Any) -> None:
    dataset = make_dataset(200)
    only, union = (
        TrainTest(train_rate=0.4, test_rate=0.5, eval_bank=bank).draw(dataset) for bank in ("test_only", "union")
    )
    assert (only.train == union.train).all()
    assert (~only.train & only.test).any()  # something hidden in training is back
    assert (union.test == (only.test & only.train)).all()
    assert (union.val == union.test).all()
    only_row, union_row = (
        next(r for r in m.rates if (r["phase"], r["modality"]) == ("test", "items")) for m in (only, union)
    )
    assert only_row["n_drawn"] == union_row["n_drawn"] == only_row["n_missing"] == 100
    assert union_row["n_missing"] == (~union.test).any(axis=1).sum() > 100


def test_validation(make_dataset: Any) -> None:
    dataset = make_dataset(200)
    draw = {v: TrainTest(train_rate=0.3, validation=v).draw(dataset) for v in ("test", "independent", "train")}
    assert len({(m.train.tobytes(), m.test.tobytes()) for m in draw.values()}) == 1
    assert (draw["test"].val == draw["test"].test).all()
    assert (draw["train"].val == draw["train"].train).all()
    own = draw["independent"]
    assert hit(own, "val", dataset).sum() == 100
    assert not (own.val == own.test).all() and not (own.val == own.train).all()
    scoped = TrainTest(scope="phase_items", validation="independent").draw(dataset)
    assert not (hit(scoped, "val", dataset) & (dataset.test.item_counts() == 0)).any()
    union = TrainTest(train_rate=0.3, validation="independent", eval_bank="union").draw(dataset)
    assert (union.val == (own.val & own.train)).all()


def test_item_order_does_not_matter_for_the_draw(make_dataset: Any) -> None:
    """The first half of the ids must not be hit more often than the second."""
    dataset = make_dataset(4000)
    for name in ("entry", "item", "ftmt", "dgmrec"):
        hidden = hit(RATED[name](0.5).draw(dataset), "test", dataset)
        assert abs(hidden[:2000].mean() - hidden[2000:].mean()) < 0.06


def test_modality_vanishes_in_the_named_phases(make_dataset: Any) -> None:
    dataset = make_dataset(40, ALL_MODALITIES, 0.2)
    observed = dataset.features.observed
    for phases, affected in {"train": ["train"], "test": ["val", "test"], "both": list(PHASES)}.items():
        masks = Modality(modalities=["visual", "acoustic"], phases=phases).draw(dataset)
        for phase in PHASES:
            mask = masks.phase(phase)
            assert (mask[:, 1] == observed[:, 1]).all()
            assert not mask[:, [0, 2]].any() if phase in affected else (mask == observed).all()
            row = next(r for r in masks.rates if (r["phase"], r["modality"]) == (phase, "visual"))
            assert row["drawn"] == (1.0 if phase in affected else 0.0)


def test_unknown_modality_is_named_with_what_exists(make_dataset: Any) -> None:
    with pytest.raises(MissingSettingError, match="names smell, which small does not have; it has visual, acoustic"):
        Modality(modalities=["visual", "smell"]).draw(make_dataset())
    with pytest.raises(MissingSettingError, match="no modality at all"):
        Modality(modalities=["visual"]).draw(make_dataset(modalities=()))


def test_unpopular_items_lose_more(make_dataset: Any) -> None:
    dataset = make_dataset(1000)
    counts = dataset.train.item_counts()
    masks = Popularity(rate=0.5, strength=1.0).draw(dataset)
    lost = (~masks.train).mean(axis=1)
    popular, cold = counts >= 8, counts == 0
    assert cold.sum() == 200 and popular.sum() >= 90
    assert lost[cold].mean() > lost[(counts == 1)].mean() + 0.05 > lost[popular].mean() + 0.2
    # strength 0 is at random, a huge one is a ranking
    even = (~Popularity(rate=0.5, strength=0.0).draw(dataset).train).mean(axis=1)
    assert abs(even[cold].mean() - even[~cold].mean()) < 0.08
    ranked = Popularity(rate=0.2, strength=1e6).draw(dataset)
    assert ((~ranked.train).all(axis=1) == cold).all()


def test_first_draw_follows_the_law(make_dataset: Any) -> None:
    """One hidden entry among items with counts (c): item i is it with probability proportional to 1 / (1 + c_i)."""
    dataset = make_dataset(5, modalities=("visual",))
    weights = 1 / (1 + dataset.train.item_counts())
    draws = [np.flatnonzero(~Popularity(rate=0.2, seed=seed).draw(dataset).train[:, 0]) for seed in range(3000)]
    assert all(len(draw) == 1 for draw in draws)
    frequency = np.bincount(np.concatenate(draws), minlength=5) / 3000
    assert np.allclose(frequency, weights / weights.sum(), atol=0.035)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(
    ("n_modalities", "rate", "of_a_modality", "with_nothing"), [(2, 2 / 3, 1 / 2, 1 / 3), (3, 0.6, 0.4, 0.2)]
)
def test_dgmrec_has_the_published_shares_in_each_popularity_stratum(
    n_modalities: int, rate: float, of_a_modality: float, with_nothing: float, seed: int, make_dataset: Any
) -> None:
    """Two modalities as in the masks for Baby, Sports and Clothing, three as in those for TikTok."""
    dataset = make_dataset(900, ALL_MODALITIES[:n_modalities])
    masks = DGMRec(rate=rate, seed=seed).draw(dataset)
    assert masks.train.tobytes() == masks.val.tobytes() == masks.test.tobytes() and not masks.sees_test_items
    lost = ~masks.train
    by_popularity = np.argsort(dataset.train.item_counts(), kind="stable")
    for stratum in (lost[by_popularity[:630]], lost[by_popularity[630:]]):  # items of equal popularity on both sides
        assert stratum.any(axis=1).mean() == pytest.approx(rate, abs=0.06)
        assert np.allclose(stratum.mean(axis=0), of_a_modality, atol=0.06)
    # with a stratum for itself the shares are exact
    for cold_share in (0.0, 0.7):
        lost = ~DGMRec(rate=rate, seed=seed, cold_share=cold_share).draw(dataset).train
        assert lost.any(axis=1).sum() == round(rate * 900) and np.abs(lost.sum(axis=0) - of_a_modality * 900).max() <= 2
        assert abs(lost.all(axis=1).sum() - with_nothing * 900) <= 2
        subsets = np.unique(lost[lost.any(axis=1) & ~lost.all(axis=1)], axis=0, return_counts=True)[1]
        assert len(subsets) == 2**n_modalities - 2 and np.ptp(subsets) <= 2


def test_dgmrec_draws_exactly_in_each_stratum(make_dataset: Any) -> None:
    dataset = make_dataset(200)  # 40 cold items, and then none of equal popularity at the border
    cold = dataset.train.item_counts() == 0
    hidden = hit(DGMRec(rate=0.5, cold_share=0.2).draw(dataset), "train", dataset)
    assert (hidden[cold].sum(), hidden[~cold].sum()) == (20, 80)


def test_full_warns_of_natural_gaps(make_dataset: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert Full().draw(make_dataset()).train.all()
        assert not caplog.records
        gappy = make_dataset(gaps=0.2)
        assert (Full().draw(gappy).train == gappy.features.observed).all()
    assert "missing=full, but the data of small itself lacks" in caplog.text
    caplog.clear()
    assert Natural().draw(gappy).digest == Full().draw(gappy).digest


@pytest.mark.parametrize("name", [name for name in EVERY if name != "modality"])
def test_modality_free_data(name: str, make_dataset: Any) -> None:
    masks = EVERY[name].draw(make_dataset(30, modalities=()))
    assert masks.train.shape == masks.val.shape == masks.test.shape == (30, 0)
    assert all(row["n_missing"] == 0 for row in masks.rates)
    assert masks.summary()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Rate(rate=1.2), r"missing\.rate must be in \[0, 1\]; got 1\.2"),
        (lambda: Rate(rate=float("nan")), "missing.rate: NaN is not valid"),
        (lambda: Rate(rate=True), "missing.rate: true is not valid"),
        (lambda: Rate(unit="pixel"), "missing.unit must be one of entry, item; got 'pixel'"),
        (lambda: Popularity(rate=-0.1), "missing.rate"),
        (lambda: Popularity(strength=-1), "missing.strength must be at least 0; got -1"),
        (lambda: DGMRec(rate=1.1), "missing.rate"),
        (lambda: DGMRec(cold_share=-0.1), "missing.cold_share"),
        (lambda: Modality(modalities=[]), "missing.modalities"),
        (
            lambda: Modality(modalities="visual"),
            r"missing\.modalities: .visual. is not valid, expected Sequence\[str\]",
        ),
        (lambda: Modality(modalities=["visual"], phases="val"), "missing.phases"),
        (lambda: TrainTest(train_rate=2), "missing.train_rate"),
        (lambda: TrainTest(test_rate="0.5"), "missing.test_rate"),
        (lambda: TrainTest(scope="items"), "catalogue, train_items, test_items, phase_items"),
        (lambda: TrainTest(pattern="all"), "missing.pattern"),
        (lambda: TrainTest(one_pattern_per_item="yes"), "missing.one_pattern_per_item"),
        (lambda: TrainTest(eval_bank="train"), "missing.eval_bank"),
        (lambda: TrainTest(validation="val"), "missing.validation"),
        (lambda: Natural(seed=0.5), "missing.seed"),
        (lambda: Rate(share=0.5), "missing.share: Rate takes no keyword 'share'"),
    ],
)
def test_bad_values_are_refused_at_construction(make: Callable[[], MissingSetting], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()


def test_provenance_holds_every_value_of_the_setting_as_plain_data(make_dataset: Any) -> None:
    provenance = Modality(modalities=("visual",), phases="test").draw(make_dataset(30)).provenance
    assert list(provenance.items()) == [
        ("setting", "Modality"),
        ("seed", 0),
        ("paper_imputer", "recmm.missing.imputers.Zero"),
        ("tied", []),
        ("modalities", ["visual"]),
        ("phases", "test"),
        ("dataset", "small"),
        ("split", "hand-made"),
    ]


def test_a_setting_is_frozen() -> None:
    setting = Rate()
    with pytest.raises(ValidationError, match="frozen"):
        setting.rate = 0.5  # type: ignore[misc]


def test_readings_differ_on_tiktok(real_data: Path) -> None:
    features = {"visual": "image_feat.npy", "acoustic": "audio_feat.npy"}
    dataset = read_matrices(real_data / "tiktok", name="tiktok_va", split=Split("released", "as is"), features=features)
    assert (dataset.test.item_counts() > 0).sum() == 1855
    ours, paper = TrainTest().draw(dataset), TrainTest(scope="phase_items").draw(dataset)
    assert hit(ours, "test", dataset).sum() == 3355 and not ours.sees_test_items
    assert hit(paper, "test", dataset).sum() == 928 and paper.sees_test_items
    mtmt = TrainTest(train_rate=0.3, scope="phase_items").draw(dataset)
    assert hit(mtmt, "train", dataset).sum() == round(0.3 * (6710 - 465))
    assert dataset.features.observed.all()
