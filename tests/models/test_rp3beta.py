"""RP3beta against a dense walk, its limits, and what it reaches on real data."""

from pathlib import Path

import numpy as np

from recmm.models import RP3beta
from tests.models.random_catalogue import R, catalogue, view
from tests.models.real import recall_at_20

DENSER = (np.random.default_rng(0).random((40, 13)) < 0.6).astype(np.float32)  # no two weights are equal


def weights(interactions: np.ndarray = R, **values: float | None) -> np.ndarray:
    return RP3beta(catalogue(interactions), **values).weights(view()).to_dense().numpy()


def test_the_walk_and_its_cuts() -> None:
    d_u, d_i = DENSER.sum(1, keepdims=True), DENSER.sum(0)
    expected = ((DENSER / d_i) ** 0.7).T @ (DENSER / d_u) ** 0.7 / d_i**0.4
    np.fill_diagonal(expected, 0)
    plain = weights(DENSER, alpha=0.7, beta=0.4, k=None, normalise=False)
    np.testing.assert_allclose(plain, expected, rtol=1e-5)
    for row in expected:
        row[np.argsort(-row)[4:]] = 0
    expected /= np.maximum(expected.sum(1, keepdims=True), 1e-12)
    np.testing.assert_allclose(weights(DENSER, alpha=0.7, beta=0.4, k=4, col_cut=False), expected, rtol=1e-5)
    for column in expected.T:
        column[np.argsort(-column)[4:]] = 0
    np.testing.assert_allclose(weights(DENSER, alpha=0.7, beta=0.4, k=4, col_cut=True), expected, rtol=1e-5)


def test_probabilities_and_symmetry() -> None:
    d_u, d_i = np.maximum(R.sum(1), 1), R.sum(0)
    p3 = weights(alpha=1.0, beta=0.0, k=None, normalise=False)
    own = (R / d_u[:, None] / np.maximum(d_i, 1)).T @ R  # with the way back to the item itself
    np.testing.assert_allclose((p3 + np.diag(own.diagonal())).sum(1), d_i > 0, rtol=1e-5)
    damped = d_i[:, None] * weights(alpha=1.0, beta=1.0, k=None, normalise=False) * d_i
    np.testing.assert_allclose(damped, damped.T, rtol=1e-5)


def test_a_view_changes_nothing() -> None:
    model = RP3beta(catalogue())
    assert model.prepared(view(0)) is model.prepared(view(1))


def recall_at_20_on_tiktok(real_data: Path) -> None:
    assert recall_at_20("tiktok_va", real_data, RP3beta) >= 0.092
