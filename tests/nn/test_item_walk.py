"""The walk against dense NumPy, step by step, and the parts of an explained score."""

import numpy as np
import pytest
import torch

from recmm.missing.view import ModalityView
from recmm.models.history import history_rows
from recmm.nn.item_walk import ItemWalk, Neighbours, feature_neighbours, no_neighbours, walk_tensors
from tests.models.toys import ITEMS, N_ITEMS, N_USERS, USERS, few_visible, toy_view

K, COEFFICIENTS = 3, [0.2, 0.16, 0.128]
STARTS = torch.tensor([0, 2, 4, 6, 6])
R = np.zeros((N_USERS, N_ITEMS))
R[USERS, ITEMS] = 1


def dense_neighbours(view: ModalityView, weights: list[float]) -> np.ndarray:
    """M of the docstring, one item after the other."""
    parts = []
    for weight, features, mask in zip(weights, view.features.values(), view.mask.unbind(1), strict=True):
        x, visible = features.numpy(), mask.numpy()
        y = np.zeros(x.shape)
        y[visible] = x[visible] - x[visible].mean(0)
        parts.append(weight * y / np.linalg.norm(y[visible], axis=1).mean())
    y = np.concatenate(parts, 1)
    here = np.flatnonzero(np.linalg.norm(y, axis=1) > 0)
    unit = y[here] / np.linalg.norm(y[here], axis=1, keepdims=True)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -np.inf)
    near = cosines >= np.sort(cosines, 1)[:, [-K]]
    m = np.zeros((len(y), len(y)))
    m[np.ix_(here, here)] = np.where(near & near.T, np.maximum(cosines, 0), 0)
    return m


def dense_scores(m: np.ndarray, kappa: float | None, exponent: float) -> np.ndarray:
    degrees = np.maximum(R.sum(1), 1)
    t = np.ones(N_USERS) if kappa is None else np.minimum(1, kappa / degrees)
    b = R.T @ np.diag(t / degrees) @ R + m
    sums = b.sum(1)
    scale = np.diag(np.where(sums > 0, 1 / np.sqrt(np.where(sums > 0, sums, 1)), 0))
    w = scale @ b @ scale
    d = R.T @ t
    g = (np.maximum(d, 0.5) / d[d > 0].mean()) ** exponent
    walked = sum(a * np.linalg.matrix_power(w, h) for h, a in enumerate(COEFFICIENTS, 1))
    return R @ walked @ np.diag(g)


def walk(view: ModalityView, weight: float, kappa: float | None, exponent: float, of: list[float]) -> ItemWalk:
    found = feature_neighbours(view, K, of)
    return over(found._replace(shares=weight * found.shares), kappa, exponent)


def over(found: Neighbours, kappa: float | None, exponent: float) -> ItemWalk:
    return ItemWalk(
        walk_tensors(
            STARTS, ITEMS, N_ITEMS, found, kappa=kappa, coefficients=COEFFICIENTS, popularity_exponent=exponent
        )
    )


@pytest.mark.parametrize("weights", [[1.0, 1.0], [0.5, 2.0], [0.0, 1.0]])
def test_neighbours_are_mutual_and_of_what_is_visible(weights: list[float]) -> None:
    view = toy_view()
    found = feature_neighbours(view, K, weights)
    m = np.zeros((N_ITEMS, N_ITEMS))
    m[found.rows, found.columns] = found.shares.sum(1)
    np.testing.assert_allclose(m, dense_neighbours(view, weights), atol=1e-6)
    assert np.array_equal(m, m.T) and m.any() and not m[5].any()
    hidden = {name: x.masked_fill(~view.visible(name)[:, None], 7.0) for name, x in view.features.items()}
    again = feature_neighbours(ModalityView(hidden, view.mask, "hidden"), K, weights)
    assert all(map(torch.equal, again, found))


@pytest.mark.parametrize("n_visible", [0, 1, 2])
def test_a_modality_that_few_items_have(n_visible: int) -> None:
    found = feature_neighbours(few_visible(n_visible), K, [1.0])
    assert len(found.rows) == 0  # of two centred items, one is the other's opposite


@pytest.mark.parametrize("kappa", [None, 1.0, 5.0])
@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_the_walk_is_that_of_the_dense_matrices(kappa: float | None, weight: float) -> None:
    view, users = toy_view(), torch.tensor([2, 0, 3, 1])
    got = walk(view, weight, kappa, 0.7, [1.0, 0.5]).scores(history_rows(STARTS, ITEMS, users, N_ITEMS))
    expected = dense_scores(weight * dense_neighbours(view, [1.0, 0.5]), kappa, 0.7)[users]
    np.testing.assert_allclose(got.numpy(), expected, rtol=2e-5, atol=1e-7)
    assert not got[2].any()  # no history


def test_a_score_is_the_sum_of_its_parts_over_history_and_over_edges() -> None:
    view = toy_view()
    walked = walk(view, 0.5, 1.0, 0.7, [1.0, 1.0])
    scores = walked.scores(history_rows(STARTS, ITEMS, torch.tensor([1]), N_ITEMS))[0]
    of_one = walked.scores(torch.eye(N_ITEMS)[[2]].to_sparse_csr())[0]
    for item in range(N_ITEMS):
        parts = walked.explain(torch.tensor([1, 2]), item)
        assert parts.history.sum() == pytest.approx(float(scores[item]), abs=1e-6)
        assert parts.last_step.sum() == pytest.approx(float(scores[item]), abs=1e-6)
        assert parts.history.shape == (2,) and parts.last_step.shape == (3,)
        assert float(parts.history[1]) == pytest.approx(float(of_one[item]), abs=1e-6)


def test_no_edge_and_weight_0_are_the_same_walk() -> None:
    without = over(no_neighbours(toy_view()), 5.0, 0.7)
    rows = history_rows(STARTS, ITEMS, torch.arange(N_USERS), N_ITEMS)
    assert torch.equal(without.scores(rows), walk(toy_view(), 0.0, 5.0, 0.7, [1.0, 1.0]).scores(rows))
