"""Imputation without other items, by hand, and what holds for every imputer."""

import logging
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recmm.data.dataset import Interactions
from recmm.errors import ConfigError
from recmm.missing import imputers
from recmm.missing.imputers import (
    Autoencoder,
    FeatProp,
    Features,
    Heat,
    Imputer,
    Knn,
    Mean,
    NeighMean,
    Ppr,
    Random,
    Zero,
    constant,
)
from recmm.missing.masks import PHASES
from recmm.missing.settings import Full, Rate, TrainTest
from recmm.missing.views import build_views

V = np.array([[1, 2], [3, 4], [50, 60]], np.float32)
A = np.array([[7], [9], [8]], np.float32)
MASK = np.array([[True, False], [True, True], [False, True]])
EVERY = {
    "zero": Zero,
    "mean": Mean,
    "random": Random,
    "random-normal": lambda: Random(distribution="normal"),
    "knn": lambda: Knn(k=2),
    "neigh_mean": lambda: NeighMean(k=3, exclude_self=False),
    "feat_prop": lambda: FeatProp(k=None),
    "ppr": lambda: Ppr(k=3),
    "heat": lambda: Heat(k=50),
    "autoencoder": lambda: Autoencoder(hidden=[4], epochs=1),
}
every_imputer = pytest.mark.parametrize("make", EVERY.values(), ids=EVERY)


def test_every_public_imputer_is_tested_here() -> None:
    public = {getattr(imputers, name) for name in imputers.__all__}
    public -= {Features, Imputer, imputers.ImputerSettings, imputers.Borrower}
    assert {type(make()) for make in EVERY.values()} == public


def test_mean_by_hand(make_dataset: Any) -> None:
    mean = Mean()
    mean.fit({"v": V.copy(), "a": A.copy()}, MASK, make_dataset().train)
    filled = mean.transform({"v": V.copy(), "a": A.copy()}, MASK)
    assert filled["v"].tolist() == [[1, 2], [3, 4], [2, 3]]
    assert filled["a"].tolist() == [[8.5], [9], [8]]
    # the other phase hides other rows; they get training's mean, not their own
    other = mean.transform({"v": V.copy(), "a": A.copy()}, ~MASK)
    assert other["v"].tolist() == [[2, 3], [2, 3], [50, 60]]
    assert other["v"].dtype == np.float32


def test_zero_by_hand(make_dataset: Any) -> None:
    zero = Zero()
    zero.fit({"v": V.copy(), "a": A.copy()}, MASK, make_dataset().train)
    filled = zero.transform({"v": V.copy(), "a": A.copy()}, MASK)
    assert filled["v"].tolist() == [[1, 2], [3, 4], [0, 0]]
    assert filled["a"].tolist() == [[0], [9], [8]]


@every_imputer
def test_identity_where_nothing_is_missing(make: Any, make_dataset: Any) -> None:
    imputer, features, full = make(), {"v": V.copy(), "a": A.copy()}, np.ones((3, 2), bool)
    imputer.fit(features, full, make_dataset(3).train)
    filled = imputer.transform(features, full)
    assert filled["v"].tobytes() == V.tobytes() and filled["a"].tobytes() == A.tobytes()


def test_mean_is_accumulated_in_double_precision(make_dataset: Any) -> None:
    values = np.full((200_000, 1), 0.1, np.float32)
    mean = Mean()
    mean.fit({"v": values}, np.ones((200_000, 1), bool), make_dataset().train)
    assert mean.means["v"][0] == np.float32(0.1)


def test_modality_that_training_never_sees_warns_and_fills_zero(
    make_dataset: Any, caplog: pytest.LogCaptureFixture
) -> None:
    mean, mask = Mean(), np.array([[True, False]] * 3)
    with caplog.at_level(logging.WARNING):
        mean.fit({"v": V.copy(), "a": A.copy()}, mask, make_dataset().train)
    assert "No entry of modality a is visible in training" in caplog.text
    assert len(caplog.records) == 1
    assert mean.transform({"v": V.copy(), "a": A.copy()}, mask)["a"].tolist() == [[0], [0], [0]]


def test_standard_deviation_by_hand(make_dataset: Any) -> None:
    random = Random(distribution="normal")
    random.fit({"v": V.copy(), "a": A.copy()}, MASK, make_dataset(3).train)
    assert random.means["v"].tolist() == [2, 3] and random.means["a"].tolist() == [8.5]
    assert random.stds["v"].tolist() == [1, 1] and random.stds["a"].tolist() == [0.5]


def filled_noise(random: Random, n_items: int, mask: np.ndarray, make_dataset: Any) -> np.ndarray:
    values = {"v": np.full((n_items, 3), 7, np.float32) + np.arange(n_items, dtype=np.float32)[:, None] % 2}
    random.fit(values, np.ones((n_items, 1), bool), make_dataset(3).train)
    return random.transform(values, mask)["v"]


def test_random_has_the_moments_it_promises(make_dataset: Any) -> None:
    nothing = np.zeros((20_000, 1), bool)
    uniform = filled_noise(Random(), 20_000, nothing, make_dataset)
    assert uniform.min() >= 0 and uniform.max() < 1
    assert uniform.mean() == pytest.approx(0.5, abs=0.01) and uniform.var() == pytest.approx(1 / 12, abs=0.002)
    normal = filled_noise(Random(distribution="normal"), 20_000, nothing, make_dataset)
    assert normal.mean() == pytest.approx(7.5, abs=0.01) and normal.std() == pytest.approx(0.5, abs=0.01)
    assert normal.max() > 8.5
    other = filled_noise(Random(seed=1), 20_000, nothing, make_dataset)
    assert not (uniform == other).any(axis=1).all() and len(np.unique(uniform)) > 30_000


@pytest.mark.parametrize("distribution", ["uniform", "normal"])
def test_noise_of_an_item_does_not_depend_on_what_else_is_hidden(distribution: Any, make_dataset: Any) -> None:
    n_items = constant.CHUNK + 50
    few = np.random.default_rng(0).random((n_items, 1)) < 0.5
    less = few & (np.random.default_rng(1).random((n_items, 1)) < 0.5)
    one, two = (filled_noise(Random(distribution=distribution), n_items, mask, make_dataset) for mask in (few, less))
    hidden = ~few[:, 0]
    assert (one[hidden] == two[hidden]).all() and (one[less[:, 0]] == two[less[:, 0]]).all()
    assert len(np.unique(one[hidden], axis=0)) == hidden.sum()


def test_modalities_have_noise_of_their_own(make_dataset: Any) -> None:
    hidden, features = np.zeros((3, 2), bool), {"v": V.copy(), "w": V.copy()}
    filled = Random().transform(features, hidden)
    assert not (filled["v"] == filled["w"]).any()


def test_another_distribution_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"imputer\.distribution must be one of uniform, normal; got 'gauss'"):
        Random(distribution="gauss")


@every_imputer
def test_an_unknown_keyword_is_refused_in_the_imputers_name(make: Any) -> None:
    kind = type(make())
    with pytest.raises(ConfigError, match=rf"imputer\.width: {kind.__name__} takes no keyword 'width'"):
        kind(width=3)


@st.composite
def catalogues(draw: st.DrawFn) -> tuple[Features, np.ndarray, np.ndarray, Interactions]:
    """Features, the masks of training and of another phase, and training's interactions; anything from 1 item on."""
    n_items, n_modalities = draw(st.integers(1, 12)), draw(st.integers(0, 3))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    features = {f"m{m}": rng.standard_normal((n_items, 1 + m)).astype(np.float32) for m in range(n_modalities)}
    if draw(st.booleans()):  # equal rows: standard deviations of zero, cosines of nothing
        features = {m: np.ones_like(x) for m, x in features.items()}
    shares = [draw(st.sampled_from([0.0, 0.1, 0.5, 1.0])) for _ in range(2)]
    train_mask, mask = (rng.random((n_items, n_modalities)) < share for share in shares)
    incidence = rng.random((5, n_items)) < draw(st.sampled_from([0.0, 0.1, 0.5, 1.0]))
    users, items = np.nonzero(incidence)
    return features, train_mask, mask, Interactions(users, items, 5, n_items)


@every_imputer
@settings(max_examples=40, deadline=None)
@given(catalogue=catalogues())
def test_visible_rows_stay_and_hidden_values_go_nowhere(
    make: Any, catalogue: tuple[Features, np.ndarray, np.ndarray, Interactions]
) -> None:
    features, train_mask, mask, train = catalogue
    results = []
    for noise in (0.0, 1e3, np.nan):
        imputer, shown = make(), []
        for visible in (train_mask, mask):
            shown.append(
                {m: np.where(visible[:, [k]], x, np.float32(noise)) for k, (m, x) in enumerate(features.items())}
            )
        before = [x.tobytes() for x in shown[0].values()]
        imputer.fit(shown[0], train_mask, train)
        assert [x.tobytes() for x in shown[0].values()] == before
        results.append([imputer.transform(x, y) for x, y in zip(shown, (train_mask, mask), strict=True)])
    for k, (modality, x) in enumerate(features.items()):
        for phase, visible in enumerate((train_mask, mask)):
            filled = [result[phase][modality] for result in results]
            assert filled[0].dtype == np.float32 and filled[0].shape == x.shape
            assert filled[0][visible[:, k]].tobytes() == x[visible[:, k]].tobytes()
            assert np.isfinite(filled[0]).all()
            assert filled[0].tobytes() == filled[1].tobytes() == filled[2].tobytes()


@every_imputer
def test_fit_keeps_nothing_of_the_arrays_it_was_given(make: Any, make_dataset: Any) -> None:
    dataset = make_dataset(40)
    masks = TrainTest(train_rate=0.5, test_rate=0.3).draw(dataset)
    features = {m: x.copy() for m, x in dataset.features.values.items()}
    expected = build_views(dataset, masks, make())["train"]
    imputer = make()
    imputer.fit(features, masks.train, dataset.train)
    for modality in features:
        features[modality] += 1  # whatever is kept of what fit was given would show
    again = imputer.transform({m: x.copy() for m, x in dataset.features.values.items()}, masks.train)
    assert all(again[m].tobytes() == expected.features[m].numpy().tobytes() for m in features)


@every_imputer
def test_the_same_twice_and_finite_at_ninety_percent(make: Any, make_dataset: Any) -> None:
    dataset = make_dataset(60, modalities=("visual", "acoustic", "textual"), gaps=0.1)
    masks = Rate(rate=0.9).draw(dataset)
    assert (~masks.train.any(axis=1)).any()  # items that show nothing
    one, two = build_views(dataset, masks, make()), build_views(dataset, masks, make())
    for phase in PHASES:
        assert one[phase].digest == two[phase].digest
        assert all(x.isfinite().all() for x in one[phase].features.values())


@pytest.mark.parametrize("name", sorted(set(EVERY) - {"zero", "random"}))
def test_modality_that_nobody_sees_becomes_zero_with_one_warning(
    name: str, make_dataset: Any, caplog: pytest.LogCaptureFixture
) -> None:
    dataset, mask = make_dataset(20), np.array([[True, False]] * 20)
    imputer, features = EVERY[name](), {m: x.copy() for m, x in dataset.features.values.items()}
    with caplog.at_level(logging.WARNING):
        imputer.fit(features, mask, dataset.train)
        filled = imputer.transform(features, mask)
    assert [record.getMessage() for record in caplog.records] == [
        "No entry of modality acoustic is visible in training: its mean is taken to be zero."
    ]
    assert not filled["acoustic"].any()


@every_imputer
def test_one_modality_and_one_item(make: Any, make_dataset: Any) -> None:
    dataset = make_dataset(30, modalities=("visual",))
    for setting in (Rate(rate=0.5), Full()):
        view = build_views(dataset, setting.draw(dataset), make())["test"]
        assert view.features["visual"].isfinite().all()
    imputer = make()
    imputer.fit({"v": V[:1].copy()}, np.ones((1, 1), bool), make_dataset(1).train)
    assert np.isfinite(imputer.transform({"v": V[:1].copy()}, np.zeros((1, 1), bool))["v"]).all()
