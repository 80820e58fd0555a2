"""k-NN graphs of items: against dense algebra, and what may not have neighbours."""

import pytest
import torch
from torch import Tensor

from recmm.graph import Graph
from recmm.missing.view import ModalityView
from recmm.nn import neighbours
from recmm.nn.knn_graph import comparable, knn_graph, modality_graphs, nearest_items, with_neighbours

N, D, K = 30, 6, 5


@pytest.fixture
def x() -> Tensor:
    return torch.randn(N, D, generator=torch.Generator().manual_seed(0)).double()


@pytest.fixture
def visible() -> Tensor:
    return torch.arange(N) % 3 > 0


def dense(graph: Graph) -> Tensor:
    matrix = torch.zeros(graph.shape, dtype=graph.values.dtype)
    return matrix.index_put((graph.rows, graph.columns), graph.values, accumulate=True)


def textbook(x: Tensor, visible: Tensor, k: int) -> Tensor:
    """The cosines, cut to k a row: rows and columns of hidden items are zero but for a one on the diagonal."""
    unit = x / x.norm(dim=1, keepdim=True)
    cosines = (unit @ unit.T).masked_fill(~(visible[:, None] & visible), -torch.inf)
    kept = torch.zeros_like(cosines).scatter(1, cosines.topk(k).indices, 1).bool() & (cosines > 0)
    return torch.where(kept, cosines, 0) + torch.diag((~visible).double())


def test_the_graph_in_dense_algebra(x: Tensor, visible: Tensor) -> None:
    graph, expected = knn_graph(x, visible, K), textbook(x, visible, K)
    torch.testing.assert_close(dense(graph), expected)
    scale = expected.sum(1).rsqrt()
    torch.testing.assert_close(dense(graph.symmetric()), scale[:, None] * expected * scale)
    y = torch.randn(N, 3).double()
    torch.testing.assert_close(graph(y), expected @ y)
    torch.testing.assert_close(graph.detach()(y), expected @ y)


def test_further_items_choose_among_the_visible_ones_and_change_nobody_elses_row(x: Tensor, visible: Tensor) -> None:
    graph, hidden = knn_graph(x, visible, K), (~visible).nonzero()[:, 0]
    unit = x / x.norm(dim=1, keepdim=True)
    found = nearest_items(unit, hidden, visible, K - 1)
    cosines = (unit @ unit.T).masked_fill(~visible, -torch.inf)[hidden]
    assert torch.equal(found.sort(1).values, cosines.topk(K - 1).indices.sort(1).values)
    joined, before = dense(with_neighbours(graph, x, hidden, found)), dense(graph)
    rows = torch.zeros_like(cosines).scatter(1, found, cosines.gather(1, found).clamp_min(0))
    torch.testing.assert_close(joined[hidden], rows + before[hidden])
    assert torch.equal(joined[visible], before[visible])
    # normalised by row sums, too, as nobody has them as neighbours
    after = dense(with_neighbours(graph, x, hidden, found).symmetric())
    torch.testing.assert_close(after[visible], dense(graph.symmetric())[visible])
    assert nearest_items(unit, hidden, torch.zeros_like(visible), K).shape == (len(hidden), 0)
    assert nearest_items(unit, hidden[:0], visible, K).shape == (0, K)


def test_cosines_are_never_all_there_at_once(x: Tensor, visible: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    expected, sizes, addmm = dense(knn_graph(x, visible, K)), [], torch.addmm

    def spied(*arguments: Tensor, alpha: float) -> Tensor:
        distances = addmm(*arguments, alpha=alpha)
        sizes.append(distances.numel())
        return distances

    monkeypatch.setattr(neighbours, "CHUNK", 60)
    monkeypatch.setattr(torch, "addmm", spied)
    torch.testing.assert_close(dense(knn_graph(x, visible, K)), expected)
    assert max(sizes) <= 60 and sum(sizes) == visible.sum() ** 2


def test_gradients_pass_through_the_cosines(x: Tensor, visible: Tensor) -> None:
    y = torch.randn(N, 2).double().requires_grad_()
    x.requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: knn_graph(a, visible, K).symmetric()(b), (x, y), atol=1e-5)
    dense(knn_graph(x, visible, K)).sum().backward()
    assert x.grad is not None and x.grad[visible].any(1).all() and not x.grad[~visible].any()


def test_rows_with_nothing_to_compare(x: Tensor) -> None:
    x[3] = 0
    x[4:10] = x[4]  # six of one kind, one more than k
    x[4:10] *= torch.arange(1, 7)[:, None]
    x[10:15] = x[10]  # five: each is among the k nearest of the others
    visible = torch.ones(N, dtype=torch.bool)
    visible[:2] = False
    expected = torch.ones(N, dtype=torch.bool)
    expected[:2] = expected[3:10] = False
    for rows in (x, x.float()):
        assert torch.equal(comparable(rows, visible, K), expected)
    graph = dense(knn_graph(x, expected, K))
    torch.testing.assert_close(graph[10:15, 10:15], torch.ones(5, 5).double())
    assert torch.equal(graph[~expected], torch.eye(N).double()[~expected])


@pytest.mark.parametrize("fill", ["zero", "mean"])
@pytest.mark.parametrize("n_visible", [0, 1, 3, 20])
def test_hidden_rows_are_alone_whatever_fills_them(x: Tensor, fill: str, n_visible: int) -> None:
    visible = torch.zeros(200, dtype=torch.bool)
    visible[torch.arange(n_visible) * 7] = True
    rows = torch.randn(200, 4) + 1
    rows[~visible] = rows[visible].mean(0) if fill == "mean" and n_visible else 0.0
    among = comparable(rows, visible, 10)
    assert torch.equal(among, visible)
    graph = dense(knn_graph(rows, among, 10).symmetric())
    assert torch.isfinite(graph).all()
    assert torch.equal(graph[~visible], torch.eye(200)[~visible])
    assert torch.equal(graph[:, ~visible], torch.eye(200)[:, ~visible])
    assert ((graph != 0).sum(1) <= 10).all()


def test_a_graph_of_every_modality(x: Tensor, visible: Tensor) -> None:
    view = ModalityView({"a": x, "b": x.flip(0)}, torch.stack([visible, ~visible], 1), "toy")
    found = modality_graphs(view, K)
    assert [among.tolist() for among in found.comparable] == [visible.tolist(), (~visible).tolist()]
    for graph, features, among in zip(found.graphs, (x, x.flip(0)), (visible, ~visible), strict=True):
        torch.testing.assert_close(dense(graph), dense(knn_graph(features, among, K).symmetric()))
