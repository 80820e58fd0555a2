"""Hypergraph convolution around prototypes, against formulas that form every matrix."""

from typing import Any, get_args

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from recmm.nn.activations import Activation, activate
from recmm.nn.hypergraph import ClusterHypergraph, Degree, HyperWeight, Incidence

N, M, D, K = 9, 2, 4, 3


def build(**kwargs: Any) -> ClusterHypergraph:
    torch.manual_seed(0)
    return ClusterHypergraph(M, D, K, kwargs.pop("n_layers", 2), **kwargs)


@pytest.fixture
def items() -> Tensor:
    return torch.randn(N, M, D, generator=torch.Generator().manual_seed(1))


def inverse(degrees: Tensor) -> Tensor:
    """An item on no hyperedge, which "relu" allows, takes part in nothing."""
    return torch.where(degrees == 0, 0, 1 / degrees)


def naive(graph: ClusterHypergraph, items: Tensor, m: int, incidence: str, degree: str, weight: str) -> Tensor:
    """Eq. 5 with N x N matrices, for one modality."""
    q = items[:, m]
    cosine = torch.stack([torch.stack([F.cosine_similarity(row, e, dim=0) for e in graph.prototypes[m]]) for row in q])
    h = {
        "softmax": (cosine / 0.1).softmax(1),
        "relu": cosine.clamp_min(0),
        "shift01": (1 + cosine) / 2,
        "signed": cosine,
    }[incidence]
    size = h.abs() if degree == "abs" else h
    b = torch.diag(inverse(size.sum(0)))
    if weight == "diag":
        w = torch.diag(F.softplus(graph.weight[m, :, 0]))
        d = torch.diag(inverse((size @ w).sum(1)))
    else:
        w = graph.weight[m] if weight == "full" else torch.eye(K)
        d = torch.diag(inverse(size.sum(1)))
    operator = d @ h @ w @ b @ h.T
    for _ in range(2):
        q = operator @ q
        q = F.leaky_relu(q @ graph.weight[m] if weight == "theta" else q, 0.2)
    return q


@pytest.mark.parametrize("incidence", get_args(Incidence))
@pytest.mark.parametrize("degree", get_args(Degree))
@pytest.mark.parametrize("weight", get_args(HyperWeight))
def test_equals_the_formula_with_every_matrix_formed(incidence: Any, degree: Any, weight: Any, items: Tensor) -> None:
    graph = build(incidence=incidence, degree=degree, weight=weight)
    with torch.no_grad():
        graph.weight += 0.1 * torch.randn_like(graph.weight)
    out = graph(items)
    for m in range(M):
        torch.testing.assert_close(out[:, m], naive(graph, items, m, incidence, degree, weight), rtol=1e-3, atol=1e-4)


def test_rows_of_the_softmax_incidence_sum_to_one(items: Tensor) -> None:
    h = build().incidence(items)
    assert h.shape == (M, N, K)
    torch.testing.assert_close(h.sum(2), torch.ones(M, N))


def test_one_prototype_gives_every_item_the_mean(items: Tensor) -> None:
    torch.manual_seed(0)
    graph = ClusterHypergraph(M, D, 1, 1, act="none")
    torch.testing.assert_close(graph(items), items.mean(0, keepdim=True).expand_as(items))


def test_residual_adds_the_input_of_each_layer(items: Tensor) -> None:
    plain, residual = build(n_layers=1), build(n_layers=1, residual=True)
    torch.testing.assert_close(residual(items), items + plain(items))


def test_masked_sources_give_nothing_but_receive(items: Tensor) -> None:
    graph, sources = build(), torch.ones(N, M)
    sources[3, 0] = 0
    changed = items.clone()
    with torch.no_grad():
        changed[3, 0] *= 7  # the same direction, hence the same incidence
    assert torch.allclose(graph(items, sources), graph(changed, sources), atol=1e-6)
    assert not torch.allclose(graph(items), graph(changed), atol=1e-3)
    assert graph(items, sources)[3, 0].any()


@pytest.mark.parametrize("sources", [None, torch.zeros(N, M)])
@pytest.mark.parametrize("incidence", get_args(Incidence))
def test_degenerate_input_stays_finite(incidence: Any, sources: Tensor | None) -> None:
    graph = build(incidence=incidence)
    for flat in (torch.zeros(N, M, D), torch.ones(N, M, D)):
        out = graph(flat.requires_grad_(), sources)
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


def test_which_prototypes_are_trained(items: Tensor) -> None:
    before = build(prototypes="xavier").prototypes.clone()
    graph = build(prototypes="xavier")
    graph.seed(items, torch.ones(N, M, dtype=torch.bool))
    assert torch.equal(graph.prototypes, before)  # nothing to place
    assert "prototypes" in dict(build(prototypes="kmeans").named_parameters())
    fixed = build(prototypes="kmeans_fixed")
    assert "prototypes" not in dict(fixed.named_parameters()) and "prototypes" in fixed.state_dict()


@pytest.mark.parametrize("kind", get_args(Activation))
def test_activations(kind: Any) -> None:
    x = torch.tensor([-1.0, 2.0])
    expected = {"leaky": [-0.2, 2.0], "sigmoid": [0.26894, 0.88080], "tanh": [-0.76159, 0.96403], "none": [-1.0, 2.0]}
    assert activate(x, kind).tolist() == pytest.approx(expected[kind], abs=1e-5)
