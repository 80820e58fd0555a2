"""Neighbours' means, feature propagation, PageRank and heat: by hand, and against dense loops in double precision."""

import logging
from typing import Any

import numpy as np
import pytest
from scipy.linalg import expm

from recmm.data.dataset import Interactions
from recmm.errors import ConfigError
from recmm.missing.imputers import FeatProp, Features, Heat, Imputer, NeighMean, Ppr


def interactions(incidence: Any) -> Interactions:
    users, items = np.nonzero(incidence)
    return Interactions(users, items, *np.shape(incidence))


# items 0-1 share two users, 1-2 and 0-2 one, 2-3 one; item 4 has no user, item 5 only one of its own
TRAIN = interactions([[1, 1, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0], [0, 0, 1, 1, 0, 0], [0, 0, 0, 0, 0, 1]])
X = np.array([[100, 100], [4, 8], [8, 0], [100, 100], [100, 100], [1, 1]], np.float32)
HIDDEN = np.array([True, False, False, True, True, False])
MEAN = [13 / 3, 3.0]


def fill(imputer: Imputer, mask: np.ndarray = ~HIDDEN[:, None], train: Interactions = TRAIN) -> Features:
    imputer.fit({"v": X.copy()}, mask, train)
    return imputer.transform({"v": X.copy()}, mask)


def test_neigh_mean_by_hand(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        filled = fill(NeighMean())["v"]
    assert np.allclose(filled[[0, 3]], [[6, 4], [8, 0]])
    assert np.allclose(filled[4], MEAN)  # no neighbour
    assert [record.getMessage() for record in caplog.records] == [
        "NeighMean: 1 hidden rows of v have no row to be imputed from: mean."
    ]
    caplog.clear()
    with caplog.at_level(logging.INFO):
        fill(NeighMean(), np.array([False, True, True, True, True, True])[:, None])
    assert not caplog.records


@pytest.mark.parametrize(
    ("keywords", "of_0"),
    [
        ({"k": 1}, [4, 8]),
        ({"weights": "counts"}, [(2 * 4 + 8) / 3, 16 / 3]),
        ({"k": None}, [6, 4]),
        ({"exclude_self": False}, [6, 4]),  # itself is a neighbour that lacks the modality
        ({"exclude_self": False, "count_missing": True}, [4, 8 / 3]),
        ({"exclude_self": False, "k": 2, "count_missing": True}, [2, 4]),
        ({"count_missing": True}, [6, 4]),
        ({"exclude_self": False, "k": 2}, [4, 8]),
    ],
)
def test_keywords_of_neigh_mean_by_hand(keywords: dict[str, Any], of_0: list[float]) -> None:
    assert np.allclose(fill(NeighMean(**keywords))["v"][0], of_0)


def test_counted_missing_neighbours_are_zeros() -> None:
    mask = np.array([[False], [True], [False], [True], [True], [True]])
    assert np.allclose(fill(NeighMean(count_missing=True), mask)["v"][0], [2, 4])
    assert np.allclose(fill(NeighMean(), mask)["v"][0], [4, 8])


def test_one_step_of_feat_prop_by_hand() -> None:
    filled = fill(FeatProp(n_layers=1))["v"]  # degrees: 2, 2, 3, 1
    assert np.allclose(filled[0], X[1] / 2 + X[2] / np.sqrt(6))
    assert np.allclose(filled[3], X[2] / np.sqrt(3))
    assert np.allclose(filled[4], MEAN)


def test_feat_prop_reaches_as_far_as_its_steps() -> None:
    chain = interactions([[1, 1, 0, 0, 0, 0], [0, 1, 1, 0, 0, 0], [0, 0, 1, 1, 0, 0]])
    mask = np.array([True, False, False, False, False, True])[:, None]
    x0, mean = X[0], np.array([50.5, 50.5])
    one = fill(FeatProp(n_layers=1), mask, chain)["v"]
    assert np.allclose(one[1], x0 / np.sqrt(2)) and np.allclose(one[2:5], mean)
    two = fill(FeatProp(n_layers=2), mask, chain)["v"]
    assert np.allclose(two[2], x0 / np.sqrt(2) / 2) and np.allclose(two[3:5], mean)
    three = fill(FeatProp(n_layers=3), mask, chain)["v"]
    assert np.allclose(three[1], x0 / np.sqrt(2) + two[2] / 2) and np.allclose(three[3], two[2] / np.sqrt(2))


def test_feat_prop_cuts_an_items_own_edge() -> None:
    assert np.allclose(fill(FeatProp(k=1, exclude_self=False))["v"][HIDDEN], MEAN)
    same = (fill(FeatProp(k=k, exclude_self=e))["v"] for k, e in ((None, True), (None, False)))
    assert (next(same) == next(same)).all()


def dense_adjacency(incidence: np.ndarray, k: int, weights: str, exclude_self: bool) -> np.ndarray:
    """The top k of each row of R^T R, row by row."""
    counts, degree = incidence.T @ incidence, incidence.sum(axis=0)
    adjacency = np.zeros(counts.shape)
    for i, row in enumerate(counts):
        partners = [j for j in range(len(row)) if row[j] and not (exclude_self and i == j)]
        for j in sorted(partners, key=lambda j: (-row[j], degree[j], j))[:k]:
            adjacency[i, j] = row[j] if weights == "counts" else 1
    return adjacency


def dense_operator(kind: type[Imputer], adjacency: np.ndarray, k: int, axis: int, kept: np.ndarray) -> np.ndarray:
    """S as the imputers' docstrings define it; ``kept`` says which of several nearly equal entries to keep."""
    n_items = len(adjacency)
    if kind is FeatProp:
        a = adjacency * (1 - np.eye(n_items))
        d = a.sum(axis=1)
        scale = np.where(d > 0, 1 / np.sqrt(np.where(d > 0, d, 1)), 0)
        return scale[:, None] * a * scale
    a = adjacency + np.eye(n_items)
    scale = 1 / np.sqrt(a.sum(axis=1))
    h = scale[:, None] * a * scale
    pi = 0.1 * np.linalg.inv(np.eye(n_items) - 0.9 * h) if kind is Ppr else expm(-5 * (np.eye(n_items) - h))
    for column, chosen in zip(pi.T, kept.T, strict=True):
        assert np.allclose(np.sort(column[chosen]), np.sort(column)[-k:][-chosen.sum() :], atol=1e-6)
        assert chosen.sum() == min(k, (column > 1e-12).sum())
        column[~chosen] = 0
    return pi / np.maximum(pi.sum(axis=axis, keepdims=True), 1e-12)


@pytest.mark.parametrize("weights", ["binary", "counts"])
@pytest.mark.parametrize("exclude_self", [True, False])
@pytest.mark.parametrize(
    ("kind", "keywords", "axis"),
    [
        (FeatProp, {}, 0),
        *((kind, {"tolerance": 1e-7}, 0) for kind in (Ppr, Heat)),
        *((kind, {"tolerance": 1e-7, "normalise": "rows"}, 1) for kind in (Ppr, Heat)),
    ],
)
def test_propagation_is_the_dense_loop(
    kind: Any, keywords: dict[str, Any], axis: int, exclude_self: bool, weights: Any
) -> None:
    rng = np.random.default_rng(1)
    incidence = (rng.random((90, 50)) < 2.5 / (np.arange(50) + 5)).astype(int)
    values, mask = rng.standard_normal((50, 3)).astype(np.float32), rng.random((50, 1)) < 0.5
    train, k = interactions(incidence), 4
    imputer = kind(k=k, n_layers=7, exclude_self=exclude_self, weights=weights, **keywords)
    imputer.fit({"v": values.copy()}, mask, train)
    filled = imputer.transform({"v": values.copy()}, mask)["v"]
    kept = imputer.operator.toarray() > 0
    operator = dense_operator(kind, dense_adjacency(incidence, k, weights, exclude_self), k, axis, kept)
    assert np.abs(imputer.operator.toarray() - operator).max() < 1e-5
    x, reached = np.where(mask, values, 0).astype(np.float64), mask[:, 0]
    for _ in range(7):
        x = np.where(mask, values, operator @ x)
        reached = mask[:, 0] | (operator @ reached > 0)
    assert (reached & ~mask[:, 0]).sum() > 10
    assert np.abs(filled[reached] - x[reached]).max() < 1e-4
    assert np.allclose(filled[~reached], values[mask[:, 0]].mean(axis=0), atol=1e-6)


def test_a_phase_borrows_from_its_own_rows_and_falls_back_on_trainings_mean() -> None:
    for imputer in (NeighMean(), FeatProp(n_layers=1), Ppr(), Heat()):
        imputer.fit({"v": X.copy()}, ~HIDDEN[:, None], TRAIN)
        mask = np.array([True, False, False, True, False, False])[:, None]
        filled = imputer.transform({"v": X.copy()}, mask)["v"]
        assert np.allclose(filled[[4, 5]], MEAN)
        assert (filled[1] > 20).all() and (filled[2] > 20).all()  # from rows of 100, which training did not see


@pytest.mark.parametrize(
    ("kind", "keywords", "key"),
    [
        (NeighMean, {"k": 0}, "k"),
        (FeatProp, {"n_layers": 0}, "n_layers"),
        (FeatProp, {"weights": "count"}, "weights"),
        (Ppr, {"alpha": 0.0}, "alpha"),
        (Ppr, {"alpha": 1.5}, "alpha"),
        (Ppr, {"k": 0}, "k"),
        (Heat, {"t": 0.0}, "t"),
        (Heat, {"tolerance": 0.0}, "tolerance"),
        (Heat, {"normalise": "row"}, "normalise"),
    ],
)
def test_values_out_of_range_are_refused(kind: Any, keywords: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError, match=rf"imputer\.{key} must be .*; got"):
        kind(**keywords)
