"""MMGCL against NumPy, against the encoder that it shares with LightGCN-M, and at its limits."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from recmm.graph import Graph
from recmm.missing.view import ModalityView
from recmm.models.lightgcn_m import LightGCNM
from recmm.models.mmgcl import MMGCL
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
    total,
    toy_view,
)

D, L = 6, 2
Array = NDArray[np.float64]


def make(dims: dict[str, int] = DIMS, **keywords: Any) -> MMGCL:
    torch.manual_seed(2)
    return randomised(MMGCL(catalog(dims), **{"dim": D, "n_layers": L, "drop": 0.3, **keywords}))


def array(x: Tensor) -> Array:
    return x.detach().double().numpy()


def affine(layer: Any, x: Array) -> Array:
    return x @ array(layer.weight).T + (0 if layer.bias is None else array(layer.bias))


def unit(x: Array) -> Array:
    return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-12)


class Drawn:
    """What a step drew, in its order: dense adjacencies of its subgraphs, and numbers of modalities."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.edges: list[Array] = []
        self.nodes: list[Array] = []
        self.modalities: list[Tensor] = []
        self._watch(monkeypatch, Graph, "drop_edges", lambda graph: self.edges.append(self._dense(graph)))
        self._watch(monkeypatch, Graph, "drop_nodes", lambda graph: self.nodes.append(self._dense(graph)))
        self._watch(monkeypatch, torch, "randint", self.modalities.append)

    @staticmethod
    def _dense(graph: Graph) -> Array:
        return array(graph(torch.eye(N_USERS + N_ITEMS)))

    @staticmethod
    def _watch(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, note: Callable[[Any], None]) -> None:
        function = getattr(owner, name)

        @wraps(function)
        def watched(*arguments: Any, **keywords: Any) -> Any:
            result = function(*arguments, **keywords)
            note(result)
            return result

        monkeypatch.setattr(owner, name, watched)


def whole() -> Array:
    a = np.zeros((N_USERS + N_ITEMS, N_USERS + N_ITEMS))
    a[USERS, N_USERS + ITEMS] = a[N_USERS + ITEMS, USERS] = 1
    return a


def channels(model: MMGCL, view: ModalityView, a: Array) -> list[Array]:
    """e^0, e^1, ... of all nodes on an adjacency, with features that are not centred."""
    degrees = np.maximum(a.sum(1), 1)
    a = a / np.sqrt(degrees[:, None] * degrees)
    ego = array(model.ego)
    starts, maps = [ego], list[Any](model.projection.maps)
    for (project,), x in zip(maps, map(array, view.features.values()), strict=True):
        starts.append(np.concatenate([ego[:N_USERS], affine(project, unit(x))]))
    return [(e + a @ e + a @ a @ e) / 3 for e in starts]


def fused(model: MMGCL, e: list[Array]) -> tuple[Array, Array]:
    side_by_side = np.concatenate(e, 1)
    return affine(model.fuse_users, side_by_side[:N_USERS]), affine(model.fuse_items, side_by_side[N_USERS:])


def cross_entropy(logits: Array) -> float:
    """Mean of -log softmax at the diagonal."""
    return float(np.mean(np.log(np.exp(logits).sum(1)) - np.diag(logits)))


def test_bpr_and_scores_by_hand() -> None:
    model, view = make(center=False), toy_view()
    users, items = fused(model, channels(model, view, whole()))
    u, i, j = users[BATCH.users], items[BATCH.positives], items[BATCH.negatives]
    bpr = np.log1p(np.exp((u * (j - i)).sum(1))).mean()
    assert model.losses(BATCH, view)["bpr"].item() == pytest.approx(bpr, rel=1e-4)
    scores = torch.tensor(users @ items.T, dtype=torch.float32)
    torch.testing.assert_close(model.score(torch.arange(N_USERS), view), scores, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("unique", "challenging"), [(True, True), (True, False), (False, True)])
def test_the_contrast_of_views_by_hand(
    unique: bool, challenging: bool, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make(center=False, contrast=0.7, temperature=0.5, contrast_unique=unique, challenging=challenging)
    view = toy_view()
    torch.manual_seed(seed)
    drawn = Drawn(monkeypatch)
    value = model.losses(BATCH, view)["contrast"].item()
    (edges,), (nodes,), (m,) = drawn.edges, drawn.nodes, map(int, drawn.modalities)
    assert edges.sum() == 2 * (6 - round(0.3 * 6))
    users_1, items_1 = fused(model, channels(model, view, edges))
    second = channels(model, view, whole())
    second[m] = channels(model, view, nodes)[m]
    users_2, items_2 = fused(model, second)
    places_u, places_i = ([0, 1, 2], [0, 1, 2]) if unique else ([0, 1, 2, 3], [0, 1, 2, 3])  # user 2, item 0 twice
    u, i = np.asarray(BATCH.users)[places_u], np.asarray(BATCH.positives)[places_i]
    logits = unit(items_1[i]) @ unit(items_2[i]).T
    if challenging:
        hard = []
        for place in places_i:
            item, negative = BATCH.positives[place], BATCH.negatives[place]
            blocks = [e[N_USERS + (negative if c == m else item)] for c, e in enumerate(second)]
            hard.append(affine(model.fuse_items, np.concatenate(blocks)))
        logits = np.concatenate([logits, (unit(items_1[i]) * unit(np.array(hard))).sum(1, keepdims=True)], 1)
    expected = cross_entropy(unit(users_1[u]) @ unit(users_2[u]).T / 0.5) + cross_entropy(logits / 0.5)
    assert value == pytest.approx(0.7 * expected, rel=1e-4)


def test_the_released_contrast_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    model, view = make(center=False, ssl="pairs", contrast=0.7, temperature=2.0), toy_view()
    drawn = Drawn(monkeypatch)
    value = model.losses(BATCH, view)["contrast"].item()
    assert not drawn.nodes  # nothing of view 2
    users, items = fused(model, channels(model, view, drawn.edges[0]))
    assert value == pytest.approx(0.7 * 2 * cross_entropy(users[BATCH.users] @ items[BATCH.positives].T / 2), rel=1e-4)


def test_without_the_contrast_it_is_lightgcn_m() -> None:
    """Variant b of LightGCN-M from the same initial weights on: the same numbers up to the order of sums."""
    torch.manual_seed(3)
    twin = LightGCNM(catalog(), variant="b", dim=D, n_layers=L, ego_l2=0.0)
    torch.manual_seed(3)
    model, view = MMGCL(catalog(), dim=D, n_layers=L, contrast=0.0), toy_view()
    for mine, other in zip(model.represent(view), twin.represent(view), strict=True):
        torch.testing.assert_close(mine, other)
    ours, theirs = model.losses(BATCH, view), twin.losses(BATCH, view)
    assert set(ours) == {"bpr"}
    torch.testing.assert_close(ours["bpr"], theirs["bpr"])
    for one in (ours, theirs):
        total(one).backward()
    for (name, p), (same, q) in zip(model.named_parameters(), twin.named_parameters(), strict=True):
        assert name == same
        torch.testing.assert_close(p.grad, q.grad)


def test_without_dropping_both_views_are_the_whole_graph() -> None:
    model, view = make(drop=0.0, challenging=False, temperature=0.5, contrast=1.0), toy_view()
    users, items = (array(x) for x in model.represent(view))
    u, i = unit(users[[0, 1, 2]]), unit(items[[0, 2, 3]])
    expected = cross_entropy(u @ u.T / 0.5) + cross_entropy(i @ i.T / 0.5)
    assert model.losses(BATCH, view)["contrast"].item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("ssl", ["views", "pairs"])
def test_gradients_reach_everything(ssl: str) -> None:
    model = make(ssl=ssl)
    check_gradients(model, BATCH, toy_view())


def test_another_view_is_another_input() -> None:
    check_views_apart(make())


@pytest.mark.parametrize("n_visible", [0, 1, N_ITEMS])
def test_one_modality_of_which_hardly_anything_is_there(n_visible: int) -> None:
    view = few_visible(n_visible)
    check_finite_step(make({"visual": 5}), BATCH, view)
