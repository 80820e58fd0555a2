"""GRCN against NumPy, edge by edge, and at its limits."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from recmm.missing.view import ModalityView
from recmm.models.grcn import GRCN
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


def make(dims: dict[str, int] = DIMS, **keywords: Any) -> GRCN:
    torch.manual_seed(2)
    return randomised(GRCN(catalog(dims), **{"dim": D, "n_routings": 2, **keywords}))


def array(x: Tensor) -> Array:
    return x.detach().double().numpy()


def unit(x: Array) -> Array:
    return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-12)


def neighbours(node: int) -> list[int]:
    """Of a node of the user-item graph."""
    pairs = [(int(u), N_USERS + int(i)) for u, i in zip(USERS, ITEMS, strict=True)]
    return [w for v, w in pairs if v == node] + [v for v, w in pairs if w == node]


def attention(x: Array, node: int) -> dict[int, float]:
    """a_(node <- w) of every neighbour w."""
    around = neighbours(node)
    e = np.exp([x[node] @ x[w] for w in around])
    return dict(zip(around, e / e.sum(), strict=True))


def by_hand(model: GRCN, view: ModalityView) -> Array:
    """Final embeddings of all nodes."""
    nodes, blocks, attentions = range(N_USERS + N_ITEMS), [], []
    for table, project, features in zip(model.prototypes, model.projectors, view.features.values(), strict=True):
        f = array(features) @ array(project.weight).T + array(project.bias)
        x = unit(np.concatenate([array(table), np.where(f > 0, f, 0.01 * f)]))
        for _ in range(model.settings.n_routings):
            moved = [x[u] + sum(a * x[w] for w, a in attention(x, u).items()) for u in range(N_USERS)]
            x = np.concatenate([unit(np.array(moved)), x[N_USERS:]])
        attentions.append([attention(x, v) for v in nodes])
        blocks.append(np.array([x[v] + sum(a * x[w] for w, a in attentions[-1][v].items()) for v in nodes]))
    adjacency, confidence = np.zeros((len(nodes), len(nodes))), array(model.confidence)
    for v in nodes:
        for w in neighbours(v):
            weight = max(of[v][w] * confidence[w, m] for m, of in enumerate(attentions))
            adjacency[v, w] = max(weight, 0) if model.settings.prune else weight
    e = unit(array(model.ego))
    return np.concatenate([e + adjacency @ e + adjacency @ adjacency @ e, *blocks], 1)


@pytest.mark.parametrize("prune", [True, False])
def test_every_term_by_hand(prune: bool) -> None:
    model, view = make(l2=0.7, prune=prune), toy_view()
    final = by_hand(model, view)
    u, i, j = (final[np.asarray(x)] for x in (BATCH.users, N_USERS + BATCH.positives, N_USERS + BATCH.negatives))
    terms = model.losses(BATCH, view)
    assert terms["bpr"].item() == pytest.approx(np.log1p(np.exp((u * (j - i)).sum(1))).mean(), rel=1e-4)
    users, items = np.asarray(BATCH.users), np.concatenate([N_USERS + BATCH.positives, N_USERS + BATCH.negatives])
    squares = (array(model.ego)[users] ** 2).mean() + (array(model.ego)[items] ** 2).mean()
    squares += sum((array(table)[users] ** 2).mean() for table in model.prototypes)
    assert terms["l2"].item() == pytest.approx(0.7 * squares, rel=1e-4)
    scores = torch.tensor(final[:N_USERS] @ final[N_USERS:].T, dtype=torch.float32)
    torch.testing.assert_close(model.score(torch.arange(N_USERS), view), scores, rtol=1e-4, atol=1e-5)


def test_routing_moves_the_prototypes_of_users_with_a_history_alone() -> None:
    routed, still = (make(n_routings=n) for n in (1, 0))
    still.load_state_dict(routed.state_dict())
    contents = torch.randn(N_ITEMS, D)
    table = routed.prototypes[0]
    moved, kept = routed.route(table, contents), still.route(table, contents)
    torch.testing.assert_close(kept, torch.nn.functional.normalize(table))
    assert not torch.isclose(moved[:3], kept[:3]).all(1).any()
    torch.testing.assert_close(moved[3], kept[3])  # user 3 has no history


def test_gradients_reach_everything() -> None:
    model = make(l2=0.1)
    check_gradients(model, BATCH, toy_view())


def test_another_view_is_another_input() -> None:
    check_views_apart(make())


@pytest.mark.parametrize("n_visible", [0, 1, N_ITEMS])
def test_one_modality_of_which_hardly_anything_is_there(n_visible: int) -> None:
    view = few_visible(n_visible)
    check_finite_step(make({"visual": 5}), BATCH, view)
