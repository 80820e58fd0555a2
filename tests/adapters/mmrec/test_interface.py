"""What model files import from MMRec does what they expect of it."""

import pytest
import torch
from torch import nn

from recmm.adapters.mmrec.init import xavier_normal_initialization, xavier_uniform_initialization
from recmm.adapters.mmrec.loss import BPRLoss, EmbLoss, L2Loss
from recmm.adapters.mmrec.similarity import (
    build_knn_neighbourhood,
    build_knn_normalized_graph,
    build_sim,
    compute_normalized_laplacian,
)


def test_losses() -> None:
    x, y = torch.tensor([[3.0, 4.0], [0.0, 0.0]]), torch.tensor([[1.0, 0.0]])
    assert BPRLoss()(torch.tensor([0.0, 200.0]), torch.tensor([0.0, 0.0])).item() == pytest.approx(0.346574, abs=1e-5)
    assert BPRLoss()(torch.tensor([-200.0]), torch.tensor([0.0])).item() == pytest.approx(23.02585, abs=1e-3)
    assert EmbLoss()(y, x).tolist() == [3.0] and EmbLoss()(x, y).tolist() == [6.0]  # by the rows of the last
    assert L2Loss()(x, y).tolist() == [13.0]


@pytest.mark.parametrize("initialise", [xavier_normal_initialization, xavier_uniform_initialization])
def test_initialisation_goes_through_a_module(initialise: object) -> None:
    module = nn.Sequential(nn.Embedding(50, 20), nn.Linear(50, 20), nn.Linear(50, 20, bias=False), nn.BatchNorm1d(20))
    module.apply(initialise)  # type: ignore[arg-type]
    assert all(module[n].weight.std().item() == pytest.approx((2 / 70) ** 0.5, rel=0.15) for n in range(3))
    assert not module[1].bias.any() and bool((module[3].weight == 1).all())


def test_graphs_of_nearest_neighbours() -> None:
    x = torch.tensor([[1.0, 0.0], [3.0, 4.0], [0.0, 2.0]])
    cosines = torch.tensor([[1.0, 0.6, 0.0], [0.6, 1.0, 0.8], [0.0, 0.8, 1.0]])
    torch.testing.assert_close(build_sim(x), cosines)
    assert build_sim(torch.tensor([[1.0], [0.0]]))[1].isnan().all()
    near = torch.tensor([[1.0, 0.6, 0.0], [0.0, 1.0, 0.8], [0.0, 0.8, 1.0]])
    torch.testing.assert_close(build_knn_neighbourhood(cosines, 2), near)
    scale = near.sum(1).rsqrt()
    symmetric = scale[:, None] * near * scale
    torch.testing.assert_close(compute_normalized_laplacian(near), symmetric)
    assert not compute_normalized_laplacian(torch.zeros(2, 2)).any()
    expected = {"sym": symmetric, "rw": near / near.sum(1, keepdim=True), "none": near}
    for kind, graph in expected.items():
        torch.testing.assert_close(build_knn_normalized_graph(cosines, 2, False, kind), graph)
        sparse = build_knn_normalized_graph(cosines, 2, True, kind)
        assert sparse.is_sparse and torch.allclose(sparse.to_dense(), graph)
    with pytest.raises(ValueError, match="choose sym, rw or none"):
        build_knn_normalized_graph(cosines, 2, True, "column")
