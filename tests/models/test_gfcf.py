"""GF-CF against its formula in dense NumPy, and its limits."""

from typing import Any

import numpy as np
import pytest
import torch

from recmm.data.catalog import Catalog
from recmm.data.synthetic import synthetic
from recmm.errors import ConfigError
from recmm.missing.view import ModalityView
from recmm.models.gfcf import GFCF
from recmm.models.history import TIE

DATASET = synthetic(n_users=61, n_items=43, seed=0)
CATALOG = DATASET.catalog()
VIEW = ModalityView({}, torch.ones(43, 0, dtype=torch.bool), "none")
USERS = torch.arange(61)


def make(**values: Any) -> GFCF:
    return GFCF(CATALOG, **values)


def formula(rank: int, alpha: float) -> np.ndarray:
    r = np.zeros((61, 43))
    r[CATALOG.train_users, CATALOG.train_items] = 1
    of_users, of_items = np.maximum(r.sum(1, keepdims=True), 1) ** 0.5, np.maximum(r.sum(0), 1) ** 0.5
    smooth = r / of_users / of_items
    v = np.linalg.svd(smooth)[2][:rank].T
    scores = r @ smooth.T @ smooth + alpha * (r / of_items) @ v @ v.T * of_items
    scores[:, r.sum(0) == 0] = 0
    largest = np.abs(scores).max(1, keepdims=True)
    return scores + TIE * np.where(largest > 0, largest, 1 / TIE) * r.sum(0) / r.sum(0).max()


@pytest.mark.parametrize(("rank", "alpha"), [(5, 0.0), (5, 0.3), (20, 3.0), (256, 1.0)])
def test_scores_by_the_formula(rank: int, alpha: float) -> None:
    got = make(rank=rank, alpha=alpha).score(USERS, VIEW)
    assert got.numpy() == pytest.approx(formula(rank, alpha), rel=1e-4, abs=1e-5)


def test_the_whole_spectrum_gives_back_what_a_user_has() -> None:
    model = make(rank=43, alpha=3.0)
    rows = model.rows(USERS)
    filters = model.prepared(VIEW)
    projected = rows @ filters.into @ filters.out_of.T
    assert torch.allclose(projected, 3 * rows.to_dense(), atol=1e-4)


def test_items_without_interactions_come_last_and_users_without_get_the_popular_ones() -> None:
    pairs = torch.tensor([0, 0, 1, 1, 2]), torch.tensor([0, 1, 1, 2, 1])
    model = GFCF(Catalog(4, 4, {}, *pairs, list("abcd"), list("wxyz")), rank=2)
    scores = model.score(torch.arange(4), ModalityView({}, torch.ones(4, 0, dtype=torch.bool), "none"))
    assert scores.isfinite().all() and (scores[:, 3] == 0).all()
    assert scores[3].tolist() == pytest.approx([1 / 3, 1, 1 / 3, 0])


def test_what_is_stored_gives_the_scores() -> None:
    model = make(rank=7)
    rows, stored = model.rows(USERS), model.deployable(VIEW)
    again = GFCF(CATALOG)
    scores = again.score_rows(rows, again.filters(stored["into"], stored["out_of"]))
    assert torch.equal(scores, model.score_rows(rows, model.prepared(VIEW)))


def test_wrong_keywords_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"model\.rank must be at least 1; got 0"):
        make(rank=0)
