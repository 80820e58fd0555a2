"""SLMRec against NumPy, against the encoder that it shares with LightGCN-M, and at its limits."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from recmm.data.batches import Pairs
from recmm.missing.view import ModalityView
from recmm.models.lightgcn_m import LightGCNM
from recmm.models.slmrec import SLMRec
from tests.models.toys import (
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
BATCH = Pairs(torch.tensor([0, 1, 2, 2]), torch.tensor([0, 2, 3, 0]), torch.empty(0, dtype=torch.int64))
Array = NDArray[np.float64]


def make(dims: dict[str, int] = DIMS, **keywords: Any) -> SLMRec:
    torch.manual_seed(2)
    return randomised(SLMRec(catalog(dims), **{"dim": D, "n_layers": 1, **keywords}))


def array(x: Tensor) -> Array:
    return x.detach().double().numpy()


def affine(layer: Any, x: Array) -> Array:
    return x @ array(layer.weight).T + array(layer.bias)


def channels(model: SLMRec, view: ModalityView) -> list[Array]:
    """e^0, e^1, ... of all nodes with one layer and features that are not centred."""
    a = np.zeros((N_USERS + N_ITEMS, N_USERS + N_ITEMS))
    a[USERS, N_USERS + ITEMS] = a[N_USERS + ITEMS, USERS] = 1
    degrees = np.maximum(a.sum(1), 1)
    a /= np.sqrt(degrees[:, None] * degrees)
    ego = array(model.ego)
    starts = [ego]
    for (project,), x in zip(model.projection.maps, map(array, view.features.values()), strict=True):
        unit = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
        starts.append(np.concatenate([ego[:N_USERS], affine(project, unit)]))
    return [(e + a @ e) / 2 for e in starts]


def cross_entropy(logits: Array) -> float:
    """Mean of -log softmax at the diagonal."""
    return float(np.mean(np.log(np.exp(logits).sum(1)) - np.diag(logits)))


@pytest.mark.parametrize("unique", [True, False])
def test_every_term_by_hand(unique: bool) -> None:
    keywords = {"contrast": 0.7, "temperature": 2.0, "main_temperature": 0.5}
    model, view = make(center=False, contrast_unique=unique, **keywords), toy_view()
    e = channels(model, view)
    side_by_side = np.concatenate(e, 1)
    users = affine(model.fuse_users, side_by_side[:N_USERS])
    items = affine(model.fuse_items, side_by_side[N_USERS:])
    u, i = users[BATCH.users], items[BATCH.positives]
    u, i = u / np.linalg.norm(u, axis=1, keepdims=True), i / np.linalg.norm(i, axis=1, keepdims=True)
    terms = model.losses(BATCH, view)
    assert terms["main"].item() == pytest.approx(cross_entropy(u @ i.T / 0.5), rel=1e-4)
    nodes = N_USERS + np.asarray([0, 2, 3] if unique else [0, 2, 3, 0])  # the batch holds item 0 twice
    (g1, g2), (h1, h2) = model.id_heads, model.modality_heads
    a1 = affine(g1, e[0][nodes])
    a2 = affine(g2, a1)
    assert a2.shape[1] == D // 2
    of_first = cross_entropy(a1 @ affine(h1, e[1][nodes]).T / 2)
    of_second = cross_entropy(a2 @ affine(h2, e[2][nodes]).T / 2)
    assert terms["contrast"].item() == pytest.approx(0.7 * (of_first + of_second), rel=1e-4)
    scores = torch.tensor(users @ items.T, dtype=torch.float32)
    torch.testing.assert_close(model.score(torch.arange(N_USERS), view), scores, rtol=1e-4, atol=1e-5)


def test_the_encoder_is_that_of_lightgcn_m() -> None:
    """Variant b of LightGCN-M is this encoder without the contrasts; its items have no bias."""
    model = make()
    with torch.no_grad():
        model.fuse_items.bias.zero_()
    twin = LightGCNM(catalog(), variant="b", dim=D, n_layers=1)
    shared = twin.state_dict().keys()
    twin.load_state_dict({name: x for name, x in model.state_dict().items() if name in shared}, strict=False)
    view = toy_view()
    for ours, theirs in zip(model.represent(view), twin.represent(view), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_without_the_contrast_its_heads_are_not_there() -> None:
    model = make(contrast=0.0)
    terms = model.losses(BATCH, toy_view())
    assert set(terms) == {"main"} and not len(model.id_heads)
    check_finite_step(model, BATCH, toy_view())


def test_gradients_reach_everything() -> None:
    model = make()
    check_gradients(model, BATCH, toy_view())


def test_another_view_is_another_input() -> None:
    check_views_apart(make())


@pytest.mark.parametrize("n_visible", [0, 1, N_ITEMS])
def test_one_modality_of_which_hardly_anything_is_there(n_visible: int) -> None:
    view = few_visible(n_visible)
    model = make({"visual": 5})
    (head,) = model.id_heads
    assert head.out_features == D
    check_finite_step(model, BATCH, view)
