"""Regressions of items on items against their normal equations and optimality conditions."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix

from recmm.errors import ConfigError
from recmm.nn import ridge as module
from recmm.nn.ridge import closed_form, elastic_net, on_neighbours, regressors, ridge

CPU = torch.device("cpu")
N = 12


def interactions(share: float = 0.3, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).random((60, N)) < share).astype(np.float32)


GRAM = interactions().T @ interactions()  # every two items share a user


def test_closed_form_meets_its_optimality_condition() -> None:
    """(C + lambda I)(I - B) is diagonal, 1 / diag P (Steck, 2019): the gradient vanishes off the diagonal."""
    gram = GRAM.astype(np.float64) + 5 * np.eye(N)
    b = closed_form(torch.from_numpy(gram.copy())).numpy()
    assert not b.diagonal().any()
    np.testing.assert_allclose(gram @ (np.eye(N) - b), np.diag(1 / np.linalg.inv(gram).diagonal()), atol=1e-12)


def test_equal_columns_predict_each_other_and_apart_ones_nothing() -> None:
    gram = torch.tensor([[3.0, 3, 0], [3, 3, 0], [0, 0, 2]], dtype=torch.float64)
    b = closed_form(gram + 1e-9 * torch.eye(3))
    torch.testing.assert_close(b, torch.tensor([[0.0, 1, 0], [1, 0, 0], [0, 0, 0]], dtype=torch.float64))


def test_what_has_no_inverse_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"model\.l2 is too small"):
        closed_form(torch.ones(3, 3))


def test_regressors_gain_most() -> None:
    gains = GRAM**2 / (GRAM.diagonal()[:, None] + 2)
    np.fill_diagonal(gains, -1)
    found = regressors(csr_matrix(GRAM), 2.0, 3)
    for j in range(N):
        chosen = found.indices[found.indptr[j] : found.indptr[j + 1]]
        np.testing.assert_allclose(np.sort(gains[chosen, j]), np.sort(gains[:, j])[-3:], rtol=1e-6)


@pytest.mark.parametrize("whole", [0, N])
@pytest.mark.parametrize("block", [1, 200])
def test_ridge_on_neighbours_solves_the_normal_equations(
    whole: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WHOLE", whole)
    monkeypatch.setattr(module, "BLOCK", block)
    gram = interactions(0.1).T @ interactions(0.1)  # not all share users: numbers of neighbours differ
    near = regressors(csr_matrix(gram), 2.0, 4)
    assert len(set(np.diff(near.indptr))) > 1
    got = on_neighbours(csr_matrix(gram), near, lambda block: ridge(block, 2.0), CPU).toarray()
    for j in range(N):
        among = near.indices[near.indptr[j] : near.indptr[j + 1]]
        expected = np.zeros(N)
        expected[among] = np.linalg.solve(gram[np.ix_(among, among)] + 2 * np.eye(len(among)), gram[among, j])
        np.testing.assert_allclose(got[:, j], expected, atol=1e-5)


def test_ridge_on_all_items_is_the_closed_form() -> None:
    near = regressors(csr_matrix(GRAM), 5.0, None)
    got = on_neighbours(csr_matrix(GRAM), near, lambda block: ridge(block, 5.0), CPU).toarray()
    np.testing.assert_allclose(got, closed_form(torch.from_numpy(GRAM) + 5 * torch.eye(N)).numpy(), atol=1e-5)


def net(l1: float, *, positive: bool, k: int | None = None) -> np.ndarray:
    near = regressors(csr_matrix(GRAM), 5.0, k)

    def solve(block: module.Local) -> torch.Tensor:
        return elastic_net(block, l1, 5.0, positive=positive, sweeps=500, tolerance=1e-7)

    return on_neighbours(csr_matrix(GRAM), near, solve, CPU).toarray()


def test_elastic_net_without_l1_and_sign_is_the_closed_form() -> None:
    expected = closed_form(torch.from_numpy(GRAM) + 5 * torch.eye(N)).numpy()
    np.testing.assert_allclose(net(0, positive=False), expected, atol=1e-4)


@pytest.mark.parametrize("positive", [True, False])
def test_elastic_net_meets_its_optimality_conditions(positive: bool) -> None:
    """Karush-Kuhn-Tucker: the slope is -l1 sign(w) where w is not 0, and within l1 (above -l1) where it is."""
    w = net(0.3, positive=positive)
    slope = GRAM @ w - GRAM + 5 * w
    there = w != 0
    others = ~there & ~np.eye(N, dtype=bool)
    assert there.any() and others.any() and (w < 0).any() == (not positive)
    np.testing.assert_allclose(slope[there], -0.3 * np.sign(w[there]), atol=1e-3)
    assert (slope[others] >= -0.301).all() and (positive or (slope[others] <= 0.301).all())


def test_a_large_l1_leaves_nothing() -> None:
    assert not net(float(GRAM.max()), positive=True).any()
