"""DualGNN against NumPy, its graph of users, and at its limits."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from recmm.data.catalog import Catalog
from recmm.graph import Graph
from recmm.missing.view import ModalityView
from recmm.models.dualgnn import DualGNN, co_users
from recmm.models.lightgcn import LightGCN
from recmm.seeding import seed_torch
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


def make(dims: dict[str, int] = DIMS, **keywords: Any) -> DualGNN:
    torch.manual_seed(2)
    return randomised(DualGNN(catalog(dims), **{"dim": D, "hidden_dim": 7, "k": 1, **keywords}))


def start(model: DualGNN, epoch: int = 0) -> DualGNN:
    seed_torch(0, epoch, "method")
    model.start_epoch(epoch, toy_view())
    return model


def array(x: Tensor) -> Array:
    return x.detach().double().numpy()


def dense(graph: Graph) -> Tensor:
    return graph(torch.eye(graph.shape[1]))


def normalised(incidence: Array) -> Array:
    """D^-1/2 A D^-1/2 of R [n_users, n_items]."""
    a = np.zeros((N_USERS + N_ITEMS, N_USERS + N_ITEMS))
    a[:N_USERS, N_USERS:], a[N_USERS:, :N_USERS] = incidence, incidence.T
    degrees = np.maximum(a.sum(1), 1)
    return a / np.sqrt(degrees[:, None] * degrees)


def whole() -> Array:
    r = np.zeros((N_USERS, N_ITEMS))
    r[USERS, ITEMS] = 1
    return r


def by_hand(model: DualGNN, view: ModalityView, incidences: list[Array]) -> Array:
    """Final embeddings of all nodes with L = 2, from the interactions of every modality's graph."""
    z, items = np.zeros((N_USERS, D)), np.zeros((N_ITEMS, D))
    projectors: list[Any] = list(model.projectors)
    for m, x in enumerate(map(array, view.features.values())):
        first, _, second = projectors[m]
        hidden = x @ array(first.weight).T + array(first.bias)
        f = np.where(hidden > 0, hidden, 0.01 * hidden) @ array(second.weight).T + array(second.bias)
        h = np.concatenate([array(model.preferences[m]), f])
        h /= np.linalg.norm(h, axis=1, keepdims=True)
        a = normalised(incidences[m])
        r = h + a @ h + a @ a @ h
        z += array(model.weights)[:, [m]] * r[:N_USERS]
        items += r[N_USERS:]
    users, counts = z.copy(), whole() @ whole().T
    for u in range(N_USERS):
        others = sorted((v for v in range(N_USERS) if v != u and counts[u, v]), key=lambda v: -counts[u, v])
        others = others[: model.settings.k]
        weights = np.exp([counts[u, v] for v in others])
        users[u] += sum(w / weights.sum() * z[v] for w, v in zip(weights, others, strict=True))
    return np.concatenate([users, items])


@pytest.mark.parametrize("k", [0, 1, 3])
@pytest.mark.parametrize("drop_items", [0.0, 0.25])
def test_every_term_by_hand(k: int, drop_items: float) -> None:
    model, view = start(make(l2=0.7, k=k, drop_items=drop_items)), toy_view()
    drawn = [array((dense(graph) > 0)[:N_USERS, N_USERS:]) for graph in model._drawn]
    incidences = drawn or [whole(), whole()]
    final = by_hand(model, view, incidences)
    u, i, j = (final[np.asarray(x)] for x in (BATCH.users, N_USERS + BATCH.positives, N_USERS + BATCH.negatives))
    terms = model.losses(BATCH, view)
    assert terms["bpr"].item() == pytest.approx(np.log1p(np.exp((u * (j - i)).sum(1))).mean(), rel=1e-4)
    tables = [array(table)[np.asarray(BATCH.users)] for table in (*model.preferences, model.weights)]
    assert terms["l2"].item() == pytest.approx(0.7 * sum((table**2).mean() for table in tables), rel=1e-4)
    final = by_hand(model, view, [whole(), whole()])  # evaluation drops nothing
    scores = torch.tensor(final[:N_USERS] @ final[N_USERS:].T, dtype=torch.float32)
    torch.testing.assert_close(model.score(torch.arange(N_USERS), view), scores, rtol=1e-4, atol=1e-5)


def test_users_share_items_with_their_neighbours() -> None:
    """User 0 has items 0..3; the others share 3, 1, 2, 1 and 0 of these with it, user 2 has one more item than 4."""
    histories = [[0, 1, 2, 3], [0, 1, 2], [3, 7], [1, 2], [0], [5, 6]]
    users = torch.tensor([u for u, items in enumerate(histories) for _ in items])
    toy = Catalog(
        6, 8, {"m": 1}, users, torch.tensor([i for items in histories for i in items]), list("abcdef"), list("abcdefgh")
    )
    r = torch.zeros(6, 8)
    r[users, toy.train_items] = 1
    counts = (r @ r.T).fill_diagonal_(0)
    torch.testing.assert_close(dense(co_users(toy, 5)), counts)
    assert dense(co_users(toy, 2))[0].tolist() == [0, 3, 0, 2, 0, 0]
    assert dense(co_users(toy, 3))[0].tolist() == [0, 3, 0, 2, 1, 0]  # of equal counts, the shorter history
    weights, exponentials = dense(DualGNN(toy, k=5).neighbours), torch.where(counts > 0, counts.exp(), 0)
    torch.testing.assert_close(weights[:5], (exponentials / exponentials.sum(1, keepdim=True))[:5])
    assert not weights[5].any()


def test_every_epoch_and_modality_drops_items_of_its_own() -> None:
    model = make({"a": 2, "b": 3, "c": 4}, drop_items=0.5)
    draws = [[dense(graph) for graph in start(model, epoch)._drawn] for epoch in (0, 0, *range(1, 6))]
    assert all(torch.equal(*pair) for pair in zip(draws[0], draws[1], strict=True))
    graphs = [graph for drawn in draws[1:] for graph in drawn]
    assert len(graphs) == 18 and len({tuple((graph > 0).flatten().tolist()) for graph in graphs}) > 6
    for graph in graphs:
        r = (graph[:N_USERS, N_USERS:] > 0).double().numpy()
        assert all(np.array_equal(r[:, i], whole()[:, i]) or not r[:, i].any() for i in range(N_ITEMS))
        torch.testing.assert_close(graph, torch.from_numpy(normalised(r)).float())


def test_with_one_modality_and_no_other_users_it_is_a_light_gcn_on_unit_rows() -> None:
    view = ModalityView({"visual": torch.randn(N_ITEMS, 5)}, torch.ones(N_ITEMS, 1, dtype=torch.bool), "one")
    model = make({"visual": 5}, k=0, drop_items=0.0)
    twin = LightGCN(catalog({"visual": 5}), dim=D, n_layers=2)
    with torch.no_grad():
        model.weights.fill_(1)
        nodes = torch.cat([model.preferences[0], model.projectors[0](view.features["visual"])])
        twin.ego.copy_(torch.nn.functional.normalize(nodes))
        users = torch.arange(N_USERS)
        torch.testing.assert_close(model.score(users, view), 9 * twin.score(users, view))  # (L + 1)^2


def test_weights_of_modalities_start_as_a_softmax() -> None:
    weights = DualGNN(catalog(), dim=D).weights
    torch.testing.assert_close(weights.sum(1), torch.ones(N_USERS))
    assert (weights > 0).all()


def test_gradients_reach_everything() -> None:
    model = start(make())
    check_gradients(model, BATCH, toy_view())


def test_another_view_is_another_input() -> None:
    check_views_apart(make())


@pytest.mark.parametrize("n_visible", [0, 1, N_ITEMS])
def test_one_modality_of_which_hardly_anything_is_there(n_visible: int) -> None:
    view = few_visible(n_visible)
    check_finite_step(start(make({"visual": 5})), BATCH, view)
