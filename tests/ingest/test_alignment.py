"""The alignment AUC: against the definition written out, on features that know tastes, and on shuffled ones."""

from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

import recmm.ingest.alignment as module
from recmm.data.dataset import Interactions, MultimodalDataset
from recmm.data.synthetic import synthetic
from recmm.ingest.alignment import Alignment, align
from recmm.ingest.feature_scan import scan

CONF = Path(__file__).parents[2] / "conf"


def measured(dataset: MultimodalDataset, values: np.ndarray, observed: np.ndarray, **options: int) -> Alignment:
    found = align(values, scan(values, observed, "m"), dataset.splits, "m", **options)
    assert found is not None
    return found


def by_definition(dataset: MultimodalDataset, values: np.ndarray, observed: np.ndarray) -> float:
    """One pair of items after the other, in plain Python."""
    centred = values.astype(float) - values[observed].astype(float).mean(axis=0)
    directions = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    mine = {
        part: [set(pairs.items[pairs.users == user].tolist()) for user in range(dataset.n_users)]
        for part, pairs in dataset.splits.items()
    }
    there = set(np.flatnonzero(observed).tolist())
    aucs = []
    for user in range(dataset.n_users):
        train, test = mine["train"][user] & there, mine["test"][user] & there
        if train and test:
            profile = np.mean([directions[item] for item in sorted(train)], axis=0)
            others = there - set().union(*(items[user] for items in mine.values()))
            score = {item: float(np.float32(profile @ directions[item])) for item in test | others}
            wins = [
                (score[item] > score[other]) + 0.5 * (score[item] == score[other]) for item in test for other in others
            ]
            aucs.append(np.mean(wins))
    return float(np.mean(aucs))


@pytest.mark.parametrize("modality", ["visual", "acoustic"])
@pytest.mark.parametrize("block", [1, 500, 1 << 21])
def test_equals_the_definition(
    tiny_dataset: MultimodalDataset, modality: str, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BLOCK", block)
    monkeypatch.setattr(module, "SCORES", block)
    column = tiny_dataset.modalities.index(modality)
    observed = tiny_dataset.features.observed[:, column].copy()
    observed[[3, 17]] = False
    values = tiny_dataset.features.values[modality].copy()
    values[[8, 9]] = values[7]  # ties
    expected = by_definition(tiny_dataset, values, observed)
    assert measured(tiny_dataset, values, observed).auc == pytest.approx(expected, abs=1e-12)
    assert 0.55 < expected < 1


@pytest.fixture(scope="module")
def catalogue() -> MultimodalDataset:
    return synthetic(n_users=600, n_items=400)


def visual(dataset: MultimodalDataset) -> tuple[np.ndarray, np.ndarray]:
    return dataset.features.values["visual"], dataset.features.observed[:, 0]


def test_features_that_know_tastes_are_far_above_chance(catalogue: MultimodalDataset) -> None:
    found = measured(catalogue, *visual(catalogue))
    assert found.auc > 0.7 and found.error is not None and found.error < 0.02
    assert not found.is_chance and not found.sampled
    assert found.n_items == int(visual(catalogue)[1].sum())


def test_shuffled_rows_are_chance_within_the_stated_error(catalogue: MultimodalDataset) -> None:
    """The error has to hold for what a shuffle changes, which popular items and users with similar tastes share."""
    values, observed = visual(catalogue)
    rows = np.flatnonzero(observed)
    distances = []
    for seed in range(30):
        shuffled = values.copy()
        shuffled[rows] = values[np.random.default_rng(seed).permutation(rows)]
        found = measured(catalogue, shuffled, observed)
        assert found.error is not None
        distances.append((found.auc - 0.5) / found.error)
    assert abs(np.mean(distances)) < 0.6
    assert 0.6 < np.std(distances) < 1.5


def test_a_sample_is_the_same_each_time_and_agrees_within_its_error(
    catalogue: MultimodalDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_USERS", 200)
    monkeypatch.setattr(module, "MOST_ITEMS", 100)
    whole = measured(catalogue, *visual(catalogue))
    sample = measured(catalogue, *visual(catalogue), exact=10)
    assert (sample.sampled, sample.n_users, sample.n_items) == (True, 200, 100)
    assert sample == measured(catalogue, *visual(catalogue), exact=10)
    assert sample.error is not None and whole.error is not None and sample.error > whole.error
    assert abs(sample.auc - whole.auc) < 3 * sample.error


def test_one_vector_for_all_items_says_nothing(tiny_dataset: MultimodalDataset) -> None:
    values = np.tile(np.float32([0.1, 0.7, 0.3]), (tiny_dataset.n_items, 1))
    found = measured(tiny_dataset, values, np.ones(tiny_dataset.n_items, bool))
    assert found.auc == pytest.approx(0.5) and found.is_chance


def test_the_error_of_independent_users_is_the_textbook_one() -> None:
    """Users who share no test item: what is left is the spread over users, and over the items that were compared."""
    users = np.repeat(np.arange(40), 2)
    random = np.random.default_rng(0)
    values = random.standard_normal((2000, 4)).astype(np.float32)
    items = np.arange(80)
    odd = items % 2 == 1
    train, test = Interactions(users[~odd], items[~odd], 40, 2000), Interactions(users[odd], items[odd], 40, 2000)
    none = Interactions(users[:0], items[:0], 40, 2000)
    found = align(values, scan(values, np.ones(2000, bool), "m"), {"train": train, "val": none, "test": test}, "m")
    assert found is not None and found.error is not None
    # Without any taste a share of wins is uniform on [0, 1]: variance 1/12 over 40 users.
    assert found.error == pytest.approx((1 / 12 / 40) ** 0.5, rel=0.15)


def test_nobody_to_ask() -> None:
    none = Interactions(np.array([], int), np.array([], int), 3, 5)
    one = Interactions(np.array([0]), np.array([1]), 3, 5)
    values = np.random.default_rng(0).standard_normal((5, 2))
    seen = scan(values, np.ones(5, bool), "m")
    assert align(values, seen, {"train": one, "val": none, "test": none}, "m") is None
    other = Interactions(np.array([0]), np.array([2]), 3, 5)
    found = align(values, seen, {"train": one, "val": none, "test": other}, "m")
    assert found is not None and found.error is None and found.is_chance


def test_tiktok(real_data: Path) -> None:
    """Genuine features of both modalities belong to the ids, the pictures' more than the sound's."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose(overrides=["+dataset=tiktok_va", f"+paths.data={real_data}"])
    dataset = instantiate(config.dataset).dataset
    found = {name: measured(dataset, values, observed) for name, values, observed in dataset.features.columns()}
    assert 0.59 < found["visual"].auc < 0.61
    assert 0.535 < found["acoustic"].auc < 0.555
    assert all(one.error is not None and one.error < 0.007 and one.n_users == 6125 for one in found.values())
