"""Hypergraph convolution around prototypes, against formulas that form every matrix."""

from typing import Any, get_args

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from recmm.nn.activations import Activation, activate
from recmm.nn.hypergraph import ClusterHypergraph, HypergraphSettings
from recmm.settings import choices_of

N, M, D, K = 9, 2, 4, 3


def build(**values: Any) -> ClusterHypergraph:
    torch.manual_seed(0)
    return ClusterHypergraph(M, D, K, 2, HypergraphSettings(**values))


def choices(name: str) -> tuple[Any, ...]:
    return choices_of(HypergraphSettings.model_fields[name].annotation)


@pytest.fixture
def items() -> Tensor:
    return torch.randn(N, M, D, generator=torch.Generator().manual_seed(1))


def naive(graph: ClusterHypergraph, items: Tensor, m: int, incidence: str, weight: str, act: Any) -> Tensor:
    """Eq. 5 with N x N matrices, for one modality."""
    q = items[:, m]
    cosine = torch.stack([torch.stack([F.cosine_similarity(row, e, dim=0) for e in graph.prototypes[m]]) for row in q])
    h = (cosine / 0.1).softmax(1) if incidence == "softmax" else (1 + cosine) / 2
    b = torch.diag(1 / h.sum(0))
    w = torch.diag(F.softplus(graph.weight[m, :, 0])) if weight == "diag" else graph.weight[m]
    d = torch.diag(1 / (h @ w if weight == "diag" else h).sum(1))
    operator = d @ h @ w @ b @ h.T
    for _ in range(2):
        q = activate(operator @ q, act)
    return q


@pytest.mark.parametrize("incidence", choices("incidence"))
@pytest.mark.parametrize("weight", choices("weight"))
@pytest.mark.parametrize("act", choices("act"))
def test_equals_the_formula_with_every_matrix_formed(incidence: Any, weight: Any, act: Any, items: Tensor) -> None:
    graph = build(incidence=incidence, weight=weight, act=act)
    with torch.no_grad():
        graph.weight += 0.1 * torch.randn_like(graph.weight)
    out = graph(items)
    for m in range(M):
        torch.testing.assert_close(out[:, m], naive(graph, items, m, incidence, weight, act), rtol=1e-3, atol=1e-4)


def test_rows_of_the_softmax_incidence_sum_to_one(items: Tensor) -> None:
    h = build().incidence(items)
    assert h.shape == (M, N, K)
    torch.testing.assert_close(h.sum(2), torch.ones(M, N))


def test_one_prototype_gives_every_item_the_mean(items: Tensor) -> None:
    torch.manual_seed(0)
    graph = ClusterHypergraph(M, D, 1, 1, HypergraphSettings())
    torch.testing.assert_close(graph(items), F.leaky_relu(items.mean(0, keepdim=True), 0.2).expand_as(items))


@pytest.mark.parametrize("incidence", choices("incidence"))
def test_degenerate_input_stays_finite(incidence: Any) -> None:
    graph = build(incidence=incidence)
    for flat in (torch.zeros(N, M, D), torch.ones(N, M, D)):
        out = graph(flat.requires_grad_())
        out.sum().backward()
        assert torch.isfinite(out).all() and torch.isfinite(flat.grad).all()


def test_prototypes_are_placed_on_unit_rows_of_visible_items() -> None:
    torch.manual_seed(0)
    angles = torch.tensor([0.0, 0.01, 2.0, 2.01, 4.0, 4.01, 1.0, 3.0, 5.0])
    items = torch.zeros(N, M, D)
    items[..., 0], items[..., 1] = 5 * angles.cos()[:, None], 5 * angles.sin()[:, None]
    visible = torch.zeros(N, M, dtype=torch.bool)
    visible[:6] = True  # three tight pairs; the last three are hidden
    graph = build()
    graph.seed(items, visible)
    means = F.normalize(items[:6, 0]).view(3, 2, D).mean(1)
    assert torch.cdist(means, graph.prototypes[0]).min(1).values.max() < 1e-4


def test_too_few_visible_items_fall_back_on_all_of_them(items: Tensor) -> None:
    graph, visible = build(), torch.zeros(N, M, dtype=torch.bool)
    graph.seed(items, visible)
    assert torch.isfinite(graph.prototypes).all()
    assert torch.cdist(F.normalize(items[:, 0]), graph.prototypes[0]).min() < 1


def test_prototypes_without_k_means_stay_where_they_start(items: Tensor) -> None:
    graph = build(prototypes="xavier")
    before = graph.prototypes.clone()
    graph.seed(items, torch.ones(N, M, dtype=torch.bool))
    assert torch.equal(graph.prototypes, before)


@pytest.mark.parametrize("kind", get_args(Activation))
def test_activations(kind: Any) -> None:
    x = torch.tensor([-1.0, 2.0])
    expected = {"leaky": [-0.2, 2.0], "sigmoid": [0.26894, 0.88080]}
    assert activate(x, kind).tolist() == pytest.approx(expected[kind], abs=1e-5)
