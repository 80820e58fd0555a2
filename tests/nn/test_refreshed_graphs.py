"""Graphs that items without a modality join by generated features: against dense algebra; what is kept of them."""

import pytest
import torch
from torch import Tensor

from recmm.graph import Graph
from recmm.missing.view import ModalityView
from recmm.nn.knn_graph import modality_cosines, modality_graphs
from recmm.nn.refreshed_graphs import RefreshedGraphs

N, D, K = 14, 5, 4
MASK = torch.stack([torch.arange(N) % 3 > 0, torch.arange(N) % 5 > 0], 1)


def completed(seed: int, digest: str = "a") -> ModalityView:
    """The same visible features, other generated ones."""
    visible = torch.randn(2, N, D, generator=torch.Generator().manual_seed(0))
    generated = torch.randn(2, N, D, generator=torch.Generator().manual_seed(seed))
    x = torch.where(MASK.T[:, :, None], visible, generated)
    return ModalityView({"a": x[0], "b": x[1]}, MASK, digest)


def dense(graph: Graph) -> Tensor:
    return graph(torch.eye(N))


def textbook(x: Tensor, visible: Tensor, share: float) -> Tensor:
    """Item by item; the neighbours of all are visible, and d_i is the sum of i's cosines."""
    unit = x / x.norm(dim=1, keepdim=True)
    kept = torch.zeros(N, N)
    for i in range(N):
        cosines = (unit @ unit[i]).masked_fill(~visible, -2)
        others = cosines.topk(K if visible[i] else K - 1).indices
        kept[i, others] = cosines[others].clamp_min(0)
        kept[i, i] = 1
    d = kept.sum(1)
    s = kept / (d[:, None] * d).sqrt()
    s[~visible] = share * s[~visible] + (1 - share) * torch.eye(N)[~visible]
    return s


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_the_graphs_in_dense_algebra(share: float) -> None:
    view = completed(1)
    for x, visible, graph in zip(
        view.features.values(), MASK.T, RefreshedGraphs(K, share)(view, modality_cosines(view, K)), strict=True
    ):
        torch.testing.assert_close(dense(graph), textbook(x, visible, share))


@pytest.mark.parametrize(("share", "refreshed"), [(0.0, True), (0.4, False)])
def test_without_a_share_they_are_those_of_visible_features(share: float, refreshed: bool) -> None:
    view = completed(1)
    graphs = RefreshedGraphs(K, share)(view, modality_cosines(view, K), refreshed=refreshed)
    for graph, first in zip(graphs, modality_graphs(view, K).graphs, strict=True):
        assert torch.equal(dense(graph), dense(first))


def test_neighbours_stay_until_the_next_search_and_belong_to_their_view() -> None:
    first, later = completed(1), completed(2)
    visible = modality_cosines(first, K)
    block, fresh = RefreshedGraphs(K, 0.4), RefreshedGraphs(K, 0.4)
    block.search(first, visible)

    def places(graphs: list[Graph]) -> list[Tensor]:
        return [dense(graph.unweighted()) for graph in graphs]

    def agree(a: list[Tensor], b: list[Tensor]) -> bool:
        return all(map(torch.equal, a, b))

    kept, own = places(block(later, visible)), places(fresh(later, visible))
    assert not agree(kept, own) and agree(kept, places(block(first, visible)))
    assert not agree(
        [dense(x) for x in block(first, visible)], [dense(x) for x in block(later, visible)]
    )  # its cosines
    other = block(completed(2, "b"), visible)
    assert agree(places(other), own) and block.digest == "a"
    twin = RefreshedGraphs(K, 0.4)
    twin.load_state_dict(block.state_dict())
    assert agree(places(twin(later, visible)), kept)
    block.search(later, visible)
    assert agree(places(block(later, visible)), own)


def test_nothing_visible_and_nothing_missing() -> None:
    for mask in (torch.zeros(N, 1, dtype=torch.bool), torch.ones(N, 1, dtype=torch.bool)):
        view = ModalityView({"a": completed(1).features["a"]}, mask, "one")
        block = RefreshedGraphs(K, 0.5)
        visible = modality_cosines(view, K)
        block.search(view, visible)
        assert torch.equal(dense(block(view, visible)[0]), dense(modality_graphs(view, K).graphs[0]))
