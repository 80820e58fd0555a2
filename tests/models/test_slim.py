"""SLIM: its optimality conditions, its limits, and the neighbourhood."""

import numpy as np
import torch

from recmm.models import EASE, SLIM
from tests.models.random_catalogue import R, catalogue, view


def weights(**values: float | None) -> np.ndarray:
    return SLIM(catalogue(), tolerance=1e-7, sweeps=500, **values).weights(view()).to_dense().numpy()


def test_optimality_conditions_over_all_items() -> None:
    """Karush-Kuhn-Tucker, with items that share no user among those that have no weight."""
    w, gram = weights(l1=0.5, l2=2.0, k=None), R.T @ R
    slope = gram @ w - gram + 2 * w
    others = (w == 0) & ~np.eye(len(w), dtype=bool)
    assert (w >= 0).all() and (w > 0).any() and not w.diagonal().any()
    np.testing.assert_allclose(slope[w > 0], -0.5, atol=1e-3)
    assert (slope[others] >= -0.5 - 1e-3).all()


def test_without_l1_and_sign_it_is_ease() -> None:
    full = R.copy()
    full[0] = 1
    expected = EASE(catalogue(full), l2=3.0).weights(view())
    got = SLIM(catalogue(full), l1=0.0, l2=3.0, k=None, positive=False, tolerance=1e-7, sweeps=500).weights(view())
    torch.testing.assert_close(got.to_dense(), expected, atol=1e-4, rtol=1e-3)


def test_at_most_k_weights_and_none_above_all_products() -> None:
    assert ((weights(l1=0.0, k=3) > 0).sum(0) <= 3).all()
    assert not weights(l1=float(R.sum()), k=3).any()
