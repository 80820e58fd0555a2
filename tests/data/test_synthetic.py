"""The embedded dataset: reproducible, of the promised shape, and such that modalities matter."""

import time

import numpy as np
import pytest

from recmm.data.dataset import MultimodalDataset
from recmm.data.protocols import GlobalTemporal
from recmm.data.synthetic import MODALITIES, synthetic
from recmm.errors import DataError


@pytest.fixture(scope="module")
def dataset() -> MultimodalDataset:
    return synthetic()


def visible_features(dataset: MultimodalDataset, modalities: tuple[str, ...], hidden: float = 0.0) -> np.ndarray:
    """[n_items, D]: centred features side by side, zero where not observed or hidden at random."""
    blocks = []
    for column, modality in enumerate(dataset.modalities):
        if modality in modalities:
            seen = dataset.features.observed[:, column] & (
                np.random.default_rng(column).random(dataset.n_items) >= hidden
            )
            values = np.where(seen[:, None], dataset.features.values[modality], 0).astype(np.float64)
            blocks.append(np.where(seen[:, None], values - values[seen].mean(axis=0), 0))
    return np.hstack(blocks)


def by_content(dataset: MultimodalDataset, modalities: tuple[str, ...], hidden: float = 0.0) -> np.ndarray:
    """[n_users, n_items]: likeness of each item to the mean of those the user had in training."""
    features = visible_features(dataset, modalities, hidden)
    features /= np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-9)
    return (dataset.train.csr() @ features) @ features.T


def recall_at_20(dataset: MultimodalDataset, scores: np.ndarray) -> float:
    scores = np.where(dataset.train.csr().toarray() > 0, -np.inf, scores)
    top = np.argpartition(-scores, 20, axis=1)[:, :20]
    positives = dataset.test.csr().toarray()
    wanted = positives.sum(axis=1)
    found = np.take_along_axis(positives, top, axis=1).sum(axis=1)
    return float((found[wanted > 0] / wanted[wanted > 0]).mean())


def auc(dataset: MultimodalDataset, scores: np.ndarray) -> float:
    """Chance that a test pair outscores a random item for its user."""
    users = dataset.test.users
    others = np.random.default_rng(0).integers(dataset.n_items, size=(len(users), 20))
    return float((scores[users, dataset.test.items][:, None] > scores[users[:, None], others]).mean())


def test_same_seed_same_data_and_another_seed_another() -> None:
    first, again, other = (synthetic(n_users=200, n_items=100, seed=seed) for seed in (3, 3, 4))
    assert first.digest == again.digest != other.digest


def test_times_change_nothing_but_the_digest() -> None:
    plain, timed, again = (synthetic(n_users=200, n_items=100, timestamps=times) for times in (False, True, True))
    assert timed.digest == again.digest != plain.digest
    for name, part in timed.splits.items():
        assert part.timestamps is not None and plain.splits[name].timestamps is None
        assert (part.csr() != plain.splits[name].csr()).nnz == 0
        assert part.timestamps.min() >= 1_577_836_800 and part.timestamps.max() < 1_609_459_200, "in the year 2020"


def test_with_times_some_items_come_out_late_and_hardly_any_user_does() -> None:
    made = GlobalTemporal().apply(synthetic(n_users=500, n_items=300, timestamps=True))
    cold = made.train.item_counts() == 0
    assert 0.02 < np.mean(cold) < 0.2
    assert cold[made.val.items].any() and cold[made.test.items].any()
    assert np.mean(made.train.user_counts() == 0) < 0.02


def test_a_choice_of_modalities_changes_nothing_else(dataset: MultimodalDataset) -> None:
    chosen = synthetic(modalities=("acoustic", "visual"))
    assert chosen.digest == dataset.select(("acoustic", "visual")).digest
    assert synthetic(modalities=()).modalities == ()


def test_sizes(dataset: MultimodalDataset) -> None:
    assert (dataset.n_users, dataset.n_items) == (2000, 1200)
    assert dataset.features.dims == {"visual": 64, "textual": 48, "acoustic": 32}
    total = sum(map(len, dataset.splits.values()))
    assert 20 <= total / dataset.n_users <= 25
    assert dataset.split.name == "synthetic"
    grown = synthetic(n_users=100, n_items=50, scale=3.0)
    assert (grown.n_users, grown.n_items) == (300, 150)


def test_split_per_user(dataset: MultimodalDataset) -> None:
    train, val, test = (part.user_counts() for part in dataset.splits.values())
    total = train + val + test
    few = total < 9  # below the threshold even where a surplus of cold pairs was dropped
    assert few.any() and np.all(val[few] == 1) and np.all(test[few] == 1)
    assert np.all(val == test)
    assert abs(val[~few].sum() / total[~few].sum() - 0.1) < 0.01
    assert 1 <= np.count_nonzero(train == 0) <= 5


def test_cold_items_are_held_out_but_never_trained_on(dataset: MultimodalDataset) -> None:
    cold = dataset.train.item_counts() == 0
    held_out = dataset.val.item_counts() + dataset.test.item_counts()
    assert 0.05 <= np.mean(cold) < 0.08, "5 % by design and a few by chance"
    assert np.mean(cold & (held_out > 0)) > 0.045
    assert 0.03 < cold[dataset.test.items].mean() < 0.2, "cold pairs exist but do not rule the test"
    assert 0.03 < cold[dataset.val.items].mean() < 0.2


def test_a_user_with_too_many_cold_pairs_does_not_train_on_them() -> None:
    dataset = synthetic(
        n_users=200, n_items=100, seed=6
    )  # a seed where two cold pairs find no place in a held-out part
    assert np.count_nonzero(dataset.train.item_counts() == 0) == 5


def test_popularity_is_skewed(dataset: MultimodalDataset) -> None:
    counts = np.sort(dataset.train.item_counts())[::-1]
    assert counts[:120].sum() > 0.25 * counts.sum()


@pytest.mark.parametrize("share", [0.0, 0.04, 0.5])
def test_natural_missing(share: float) -> None:
    dataset = synthetic(n_users=200, n_items=100, natural_missing=share)
    assert np.all((~dataset.features.observed).sum(axis=0) == round(share * 100))
    for column, values in enumerate(dataset.features.values.values()):
        seen = dataset.features.observed[:, column]
        assert np.isfinite(values[seen]).all() and np.isnan(values[~seen]).all()


def test_modalities_differ_in_strength_and_complement_each_other(dataset: MultimodalDataset) -> None:
    alone = {modality: auc(dataset, by_content(dataset, (modality,))) for modality in MODALITIES}
    assert alone["visual"] > alone["textual"] + 0.01 and alone["textual"] > alone["acoustic"] + 0.05, alone
    assert alone["acoustic"] > 0.55
    assert auc(dataset, by_content(dataset, tuple(MODALITIES))) > alone["visual"] + 0.02


def test_modalities_beat_popularity_and_hiding_them_hurts(dataset: MultimodalDataset) -> None:
    popularity = recall_at_20(dataset, np.tile(dataset.train.item_counts(), (dataset.n_users, 1)))
    full, half, little = (recall_at_20(dataset, by_content(dataset, tuple(MODALITIES), rate)) for rate in (0, 0.5, 0.9))
    assert full > 1.8 * popularity > 0
    assert half < 0.8 * full and little < 0.4 * full
    users = dataset.train.csr() @ dataset.train.csr().T @ dataset.train.csr()  # what neighbours had: no modality
    assert recall_at_20(dataset, users.toarray()) > 1.2 * popularity, "interactions alone teach something, too"


def test_large_catalogue_takes_seconds() -> None:
    start = time.process_time()
    dataset = synthetic(scale=4.0)
    assert (dataset.n_users, dataset.n_items) == (8_000, 4_800)
    assert time.process_time() - start < 6


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_users": 19},
        {"n_items": 5},
        {"scale": 0.001},
        {"scale": 0.0},
        {"natural_missing": 1.0},
        {"natural_missing": -0.1},
        {"modalities": ("x",)},
    ],
)
def test_refusals(wrong: dict[str, object]) -> None:
    with pytest.raises(DataError):
        synthetic(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("scale", [np.inf, -np.inf, np.nan, -1.0])
def test_a_scale_that_is_no_positive_number_is_refused(scale: float) -> None:
    with pytest.raises(DataError, match=f"scale must be a positive number, not {scale}"):
        synthetic(scale=scale)


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(DataError, match="seed must be an integer from 0, not -1"):
        synthetic(seed=-1)


def test_smallest_and_tiny_sizes_assemble() -> None:
    for seed in range(10):
        tiny = synthetic(n_users=20, n_items=20, seed=seed)
        assert min(map(len, tiny.splits.values())) >= 20
        assert np.count_nonzero(tiny.train.user_counts() == 0) <= 3
