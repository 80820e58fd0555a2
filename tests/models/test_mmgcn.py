"""MMGCN against NumPy, and what of it is trained."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from recmm.models.mmgcn import MMGCN
from tests.models.toys import (
    BATCH,
    DIMS,
    ITEMS,
    N_ITEMS,
    N_USERS,
    USERS,
    catalog,
    check_finite_step,
    check_gradients,
    check_views_apart,
    few_visible,
    randomised,
    toy_view,
)

D = 6
Array = NDArray[np.float64]


def make(dims: dict[str, int] = DIMS, **keywords: Any) -> MMGCN:
    torch.manual_seed(2)
    return randomised(MMGCN(catalog(dims), **{"dim": D, "n_layers": 2, "max_width": 4, **keywords}))


def array(x: Tensor) -> Array:
    return x.detach().double().numpy()


def affine(layer: Any, x: Array) -> Array:
    return x @ array(layer.weight).T + (0 if layer.bias is None else array(layer.bias))


def leaky(x: Array) -> Array:
    return np.where(x > 0, x, 0.01 * x)


def test_every_term_by_hand() -> None:
    """Images (width 5) are projected to 4, texts (width 3) are not."""
    model, view = make(l2=0.7), toy_view()
    a = np.zeros((N_USERS + N_ITEMS, N_USERS + N_ITEMS))
    a[USERS, N_USERS + ITEMS] = a[N_USERS + ITEMS, USERS] = 1
    a /= np.maximum(a.sum(1, keepdims=True), 1)
    ego, final, squares = array(model.ego), np.zeros((N_USERS + N_ITEMS, D)), 0.0
    for part, x in zip(model.convolutions, map(array, view.features.values()), strict=True):
        preferences = array(part.preferences)
        h = np.concatenate([preferences, affine(part.project, x) if x.shape[1] == 5 else x])
        h /= np.maximum(np.linalg.norm(h, axis=1, keepdims=True), 1e-12)
        for first, second, third in zip(part.neighbours, part.own, part.combine, strict=True):
            h = leaky(affine(third, np.concatenate([leaky(affine(first, a @ h)), leaky(affine(second, h)) + ego], 1)))
        final += h / 2
        squares += (preferences**2).mean()
    u, i, j = (final[np.asarray(x)] for x in (BATCH.users, N_USERS + BATCH.positives, N_USERS + BATCH.negatives))
    terms = model.losses(BATCH, view)
    assert terms["bpr"].item() == pytest.approx(np.log1p(np.exp((u * (j - i)).sum(1))).mean(), rel=1e-4)
    items = np.concatenate([N_USERS + BATCH.positives, N_USERS + BATCH.negatives])
    squares += (ego[np.asarray(BATCH.users)] ** 2).mean() + (ego[items] ** 2).mean()
    assert terms["l2"].item() == pytest.approx(0.7 * squares, rel=1e-4)
    scores = torch.tensor(final[:N_USERS] @ final[N_USERS:].T, dtype=torch.float32)
    torch.testing.assert_close(model.score(torch.arange(N_USERS), view), scores, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("train_ids", [True, False])
def test_ids_and_preferences_are_trained_or_kept(train_ids: bool) -> None:
    model = make(train_ids=train_ids)
    names = {name for name, _ in model.named_parameters()}
    tables = {"ego", "convolutions.0.preferences", "convolutions.1.preferences"}
    assert tables <= set(model.state_dict()) and (names & tables) == (tables if train_ids else set())
    check_gradients(model, BATCH, toy_view())


def test_another_view_is_another_input() -> None:
    check_views_apart(make())


@pytest.mark.parametrize("n_visible", [0, 1, N_ITEMS])
def test_one_modality_of_which_hardly_anything_is_there(n_visible: int) -> None:
    view = few_visible(n_visible)
    check_finite_step(make({"visual": 5}), BATCH, view)
