"""iALS: the objective and its minimisers in dense NumPy."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from recmm.data.synthetic import synthetic
from recmm.missing.view import ModalityView
from recmm.models import ials
from recmm.models.ials import IALS
from tests.models.toys import N_USERS, catalog, toy_view

DATASET = synthetic(n_users=61, n_items=43, seed=0)
CATALOG = DATASET.catalog()
VIEW = ModalityView({}, torch.ones(43, 0, dtype=torch.bool), "none")
R = np.zeros((61, 43))
R[CATALOG.train_users, CATALOG.train_items] = 1
VALUES = {"dim": 6, "alpha": 0.2, "l2": 0.02}


def solved(**values: Any) -> tuple[np.ndarray, np.ndarray]:
    """W and H."""
    users, items = IALS(CATALOG, **VALUES | values).prepare(VIEW)
    return users.double().numpy(), items.double().numpy()


def objective(w: np.ndarray, h: np.ndarray, nu: float = 1.0) -> float:
    s = w @ h.T
    of_users, of_items = (R.sum(1) + 0.2 * 43) ** nu, (R.sum(0) + 0.2 * 61) ** nu
    ridge = (of_users * (w**2).sum(1)).sum() + (of_items * (h**2).sum(1)).sum()
    return float((R * (s - 1) ** 2).sum() + 0.2 * (s**2).sum() + 0.02 * ridge)


@pytest.mark.parametrize("nu", [0.0, 1.0])
def test_the_objective_never_rises(nu: float) -> None:
    values = [objective(*solved(n_iterations=n, nu=nu), nu) for n in range(1, 9)]
    assert all(after <= before * (1 + 1e-6) for before, after in pairwise(values))
    assert values[-1] < values[0]


def test_users_are_the_minimisers_beside_the_items() -> None:
    w, h = solved(n_iterations=3)
    for u in range(61):
        own = h[R[u] > 0]
        system = own.T @ own + 0.2 * h.T @ h + 0.02 * (len(own) + 0.2 * 43) * np.eye(6)
        assert w[u] == pytest.approx(np.linalg.solve(system, own.sum(0)), rel=1e-3, abs=1e-5)


def test_small_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = solved(n_iterations=4)
    monkeypatch.setattr(ials, "BLOCK", 500)
    assert all(np.allclose(a, b, atol=1e-5) for a, b in zip(solved(n_iterations=4), whole, strict=True))


def test_the_seed_decides_the_start() -> None:
    first, again = solved(n_iterations=1), solved(n_iterations=1)
    assert np.array_equal(first[0], again[0])
    assert not np.allclose(first[0], solved(n_iterations=1, training={"seed": 1})[0])


def test_ties_and_users_without_history_are_ordered_by_popularity() -> None:
    model = IALS(catalog(), dim=3)
    scores = model.score(torch.arange(N_USERS), toy_view())
    counts = catalog().item_counts().float()
    assert torch.allclose(scores[3], ials.TIE * counts / counts.max())  # user 3 has no history
    assert (scores[:, 4:] == 0).all() and model.trained is False
