"""Softmax over a node's edges, on both paths."""

from importlib.util import find_spec

import pytest
import torch
from torch import Tensor

from recmm.graph import edge_softmax

NODES = torch.tensor([2, 0, 2, 2, 3, 0])  # node 1 has no edge, node 3 a single one


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def naive(scores: Tensor) -> Tensor:
    weights = torch.empty_like(scores)
    for node in NODES.unique():
        weights[node == NODES] = scores[node == NODES].softmax(0)
    return weights


@pytest.mark.parametrize("shape", [(6,), (6, 2)])
@pytest.mark.parametrize("backend", ["native", "auto"])
def test_equals_a_softmax_per_node(shape: tuple[int, ...], backend: str) -> None:
    scores = torch.randn(shape)
    weights = edge_softmax(scores, NODES, 5, backend=backend)  # type: ignore[arg-type]
    assert torch.allclose(weights, naive(scores), atol=1e-6)


def test_extreme_scores_stay_finite_and_gradients_are_exact() -> None:
    weights = edge_softmax(torch.tensor([1e4, -1e4, 1e4, -1e4, 1e4, -1e4]), NODES, 5, backend="native")
    assert weights.tolist() == pytest.approx([0.5, 0.5, 0.5, 0, 1, 0.5])
    scores = torch.randn(6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda s: edge_softmax(s, NODES, 5, backend="native"), (scores,))


@pytest.mark.skipif(find_spec("torch_scatter") is not None, reason="torch-scatter is installed")
def test_asking_for_an_absent_package_is_an_error() -> None:
    with pytest.raises(ImportError, match="torch_scatter"):
        edge_softmax(torch.randn(6), NODES, 5, backend="scatter")


@pytest.mark.scatter
@pytest.mark.parametrize("shape", [(6,), (6, 2)])
def test_both_paths_agree_in_values_and_gradients(shape: tuple[int, ...]) -> None:
    pytest.importorskip("torch_scatter")
    scores = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    towards = torch.randn(shape, dtype=torch.float64)
    results = []
    for backend in ("native", "scatter"):
        weights = edge_softmax(scores, NODES, 5, backend=backend)  # type: ignore[arg-type]
        results.append((weights, *torch.autograd.grad((weights * towards).sum(), scores)))
    for native, scatter in zip(*results, strict=True):
        assert torch.allclose(native, scatter)
