"""FREEDOM against hand values and dense algebra; its two graphs; items that miss something."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from recmm.data.batches import Pairs
from recmm.data.catalog import Catalog
from recmm.data.dataset import MultimodalDataset
from recmm.errors import ConfigError
from recmm.graph import Graph
from recmm.missing.imputers import Imputer, Mean, Zero
from recmm.missing.settings import Rate
from recmm.missing.view import ModalityView
from recmm.missing.views import build_views
from recmm.models.freedom import FREEDOM
from recmm.models.lightgcn import LightGCN
from recmm.seeding import seed_torch
from tests.models.toys import (
    BATCH,
    DIMS,
    N_ITEMS,
    N_USERS,
    catalog,
    check_finite_step,
    check_gradients,
    check_views_apart,
    randomised,
    toy_view,
)


def make(**keywords: Any) -> FREEDOM:
    """Weights that no initialisation makes special, and the first epoch's graph."""
    torch.manual_seed(2)
    return start(
        randomised(
            FREEDOM(
                catalog(), **{"dim": 6, "k": 4, "rho": 0.5, "modal_weight": 0.3, "trainable_features": True, **keywords}
            )
        )
    )


def start(model: FREEDOM, epoch: int = 0) -> FREEDOM:
    seed_torch(0, epoch, "method")
    model.start_epoch(epoch, toy_view())
    return model


def dense(graph: Graph) -> Tensor:
    return graph(torch.eye(graph.shape[1]))


def test_losses_by_hand() -> None:
    """Three users in a chain over two items, d = 1, every edge is kept; both items are neighbours: S is 1/2."""
    graph = torch.tensor([0, 1, 1, 2]), torch.tensor([0, 0, 1, 1])
    toy = Catalog(3, 2, {"m": 2}, *graph, list("abc"), list("ab"))
    model = FREEDOM(toy, dim=1, n_layers=1, rho=0.0, modal_weight=0.3)
    with torch.no_grad():
        model.ego.copy_(torch.tensor([[1.0], [2.0], [3.0], [4.0], [6.0]]))
        model.projectors[0].weight.copy_(torch.tensor([[1.0, 2.0]]))
    view = ModalityView({"m": torch.tensor([[1.0, 0.0], [0.6, 0.8]])}, torch.ones(2, 1, dtype=torch.bool), "hand")
    start(model)
    root = 2**0.5
    u0, u2 = (1 + 4 / root) / 2, (3 + 6 / root) / 2
    i0, i1 = (4 + 1 / root + 2 / 2) / 2 + 5, (6 + 2 / 2 + 3 / root) / 2 + 5
    f0, f1 = 1.0, 0.6 + 2 * 0.8
    terms = model.losses(Pairs(torch.tensor([0, 2]), torch.tensor([0, 1]), torch.tensor([1, 0])), view)
    losses = [math.log1p(math.exp(u0 * (i1 - i0))), math.log1p(math.exp(u2 * (i0 - i1)))]
    assert terms["bpr"].item() == pytest.approx(sum(losses) / 2, rel=1e-5)
    losses = [math.log1p(math.exp(u0 * (f1 - f0))), math.log1p(math.exp(u2 * (f0 - f1)))]
    assert terms["modal"].item() == pytest.approx(0.3 * sum(losses) / 2, rel=1e-5)


def numpy_item_graph(view: ModalityView, k: int, first: float) -> np.ndarray:
    """S, item by item."""
    weights, mask = [first, 1 - first], view.mask.numpy()
    result = np.zeros((N_ITEMS, N_ITEMS))
    for i in range(N_ITEMS):
        present = [m for m in range(2) if mask[i, m]]
        if not present:
            result[i, i] = 1
        for m in present:
            x = list(view.features.values())[m].double().numpy()
            unit = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
            cosines = np.where(mask[:, m], unit @ unit[i], -2)
            nearest = [j for j in np.argsort(-cosines)[:k] if cosines[j] > 0]
            result[i, nearest] += weights[m] / sum(weights[n] for n in present) / len(nearest)
    return result


@pytest.mark.parametrize("first", [0.1, 0.0, 0.7])
def test_the_item_graph_mixes_the_modalities_that_an_item_has(first: float) -> None:
    view = toy_view()
    s = dense(make(first_modality_weight=first).prepare(view))
    torch.testing.assert_close(s.sum(1), torch.ones(N_ITEMS))
    expected = torch.from_numpy(numpy_item_graph(view, 4, first or 1e-12)).float()
    if not first:  # items that have the first modality alone have nothing that counts
        only_first = view.mask[:, 0] & ~view.mask[:, 1]
        expected[only_first] = torch.eye(N_ITEMS)[only_first]
    torch.testing.assert_close(s, expected)


def test_scores_and_losses_in_dense_algebra() -> None:
    model, view = make(), toy_view()
    s = torch.from_numpy(numpy_item_graph(view, 4, 0.1)).float()
    v = model.ego[N_USERS:]
    finals = []
    for a in (dense(model.denoised), dense(model.adjacency)):
        nodes = (model.ego + a @ model.ego + a @ a @ model.ego) / 3
        finals.append((nodes[:N_USERS], nodes[N_USERS:] + s @ v))
    (u, i), (all_u, all_i) = finals
    torch.testing.assert_close(model.score(torch.arange(N_USERS), view), all_u @ all_i.T)  # on the whole graph
    terms, users = model.losses(BATCH, view), u[BATCH.users]
    margins = (users * (i[BATCH.positives] - i[BATCH.negatives])).sum(1)
    torch.testing.assert_close(terms["bpr"], (1 + (-margins).exp()).log().mean())
    expected = torch.zeros(())
    for m, x in enumerate(view.features.values()):
        f = (x + model.raw.offsets[m] * view.mask[:, [m]]) @ model.projectors[m].weight.T
        for row in range(4):
            p, n = BATCH.positives[row], BATCH.negatives[row]
            if view.mask[p, m] and view.mask[n, m]:
                expected = expected + (1 + (users[row] @ (f[n] - f[p])).exp()).log() / 4
    torch.testing.assert_close(terms["modal"], 0.3 * expected)
    unmasked = make(mask_modal_loss=False).losses(BATCH, view)["modal"]
    assert unmasked > terms["modal"]


def test_an_epoch_has_a_subgraph_of_its_own_with_its_own_degrees() -> None:
    graphs = [dense(start(make(), epoch).denoised) for epoch in (0, 0, 1, 2, 3)]
    assert torch.equal(graphs[0], graphs[1]) and not all(torch.equal(graphs[0], other) for other in graphs[2:])
    for graph in graphs:
        edges = (graph > 0).float()
        assert torch.equal(graph, graph.T) and int(edges.sum()) == 2 * 3  # 6 edges less half of them, both ways
        degrees = edges.sum(1)
        expected = edges / (degrees[:, None] * degrees).clamp_min(1).sqrt()
        torch.testing.assert_close(graph, expected)


def test_edges_between_popular_nodes_are_left_out_first() -> None:
    """Users 0..4 have item 0, and user 4 has item 1: p is 1/sqrt(5), for (4, 0) 1/sqrt(10) and for (4, 1) 1/sqrt(2)."""
    users, items = torch.tensor([0, 1, 2, 3, 4, 4]), torch.tensor([0, 0, 0, 0, 0, 1])
    toy = Catalog(5, 2, {"m": 1}, users, items, list("abcde"), list("ab"))
    model, counts = FREEDOM(toy, rho=0.8), torch.zeros(5, 2)  # one edge is kept
    for epoch in range(400):
        start(model, epoch)
        counts[model.denoised.rows.min(), model.denoised.rows.max() - 5] += 1
    p = torch.tensor([5, 5, 5, 5, 10, 2.0]).rsqrt()
    torch.testing.assert_close(counts[users, items] / 400, p / p.sum(), rtol=0, atol=0.06)


def test_without_its_parts_it_is_light_gcn() -> None:
    torch.manual_seed(2)
    base = LightGCN(catalog(), dim=6, ego_l2=0.0)
    torch.manual_seed(2)
    model = start(FREEDOM(catalog(), dim=6, rho=0.0, modal_weight=0.0, n_item_layers=0))
    assert model.denoised is model.adjacency
    assert [name for name, _ in model.named_parameters()] == ["ego"]  # nothing is projected where it ranks nothing
    users, items = base.represent(toy_view())
    ids = base.of_nodes(base.ego).items
    torch.testing.assert_close(model.score(torch.arange(N_USERS), toy_view()), users @ (items + ids).T)  # S = I
    terms = model.losses(BATCH, toy_view())
    margins = (users[BATCH.users] * ((items + ids)[BATCH.positives] - (items + ids)[BATCH.negatives])).sum(1)
    assert set(terms) == {"bpr"}
    torch.testing.assert_close(terms["bpr"], (1 + (-margins).exp()).log().mean())


def test_gradients_reach_everything_but_hidden_rows() -> None:
    model, view = make(), toy_view()
    check_gradients(model, BATCH, view)
    for offset, visible in zip(model.raw.offsets, view.mask.unbind(1), strict=True):
        assert offset.grad is not None and not offset.grad[~visible].any()


def test_another_view_has_a_graph_of_its_own() -> None:
    check_views_apart(make())


@pytest.mark.parametrize("imputer", [Zero, Mean])
@pytest.mark.parametrize("rate", [0.0, 0.9])
def test_items_without_features_are_their_own_neighbours(
    tiny_dataset: MultimodalDataset, rate: float, imputer: type[Imputer]
) -> None:
    view = build_views(tiny_dataset, Rate(rate=rate).draw(tiny_dataset), imputer())["train"]
    model = FREEDOM(tiny_dataset.catalog(), dim=8)
    model.start_epoch(0, view)
    check_finite_step(model, BATCH, view)
    s, hidden = dense(model.prepare(view)), ~view.mask.any(1)
    torch.testing.assert_close(s.sum(1), torch.ones(len(s)))
    assert torch.equal(s[hidden], torch.eye(len(s))[hidden])
    assert not s[view.mask.any(1)][:, hidden].any()


@pytest.mark.parametrize("dims", [{"visual": 5}, {**DIMS, "acoustic": 2}])
def test_one_modality_and_three(dims: dict[str, int]) -> None:
    view = ModalityView(
        {m: torch.randn(N_ITEMS, width) for m, width in dims.items()},
        torch.ones(N_ITEMS, len(dims), dtype=torch.bool),
        f"all{len(dims)}",
    )
    model = FREEDOM(catalog(dims), dim=6, k=4)
    check_finite_step(model, BATCH, view)
    weights = [1.0] if len(dims) == 1 else [0.1, 0.45, 0.45]
    parts = [
        dense(FREEDOM(catalog({m: x.shape[1]}), k=4).prepare(ModalityView({m: x}, view.mask[:, :1], m)))
        for m, x in view.features.items()
    ]
    expected = torch.stack([w * part for w, part in zip(weights, parts, strict=True)]).sum(0)
    torch.testing.assert_close(dense(model.prepare(view)), expected)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"rho": 1.0}, r"model\.rho must be in \[0, 1\); got 1\.0"),
        ({"first_modality_weight": 1.5}, r"model\.first_modality_weight must be in \[0, 1\]; got 1\.5"),
    ],
)
def test_wrong_keywords_are_refused(keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make(**keywords)
