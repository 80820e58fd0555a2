"""Graphs of the training interactions against dense algebra."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from recmm.data.catalog import Catalog
from recmm.graph import (
    mean_over_items,
    mean_over_users,
    mean_with_self,
    symmetric_adjacency,
    user_item_graph,
    users_from_items,
)


@pytest.fixture
def catalog() -> Catalog:
    """4 users x 5 items; user 3 and item 4 have no training interaction."""
    users, items = torch.tensor([0, 0, 1, 2, 2, 2]), torch.tensor([0, 1, 1, 0, 2, 3])
    return Catalog(4, 5, {}, users, items, [str(u) for u in range(4)], [str(i) for i in range(5)])


def dense_adjacency(catalog: Catalog) -> np.ndarray:
    shape = (catalog.n_users, catalog.n_items)
    train = sp.csr_matrix((np.ones(len(catalog.train_users)), (catalog.train_users, catalog.train_items)), shape)
    adjacency = sp.bmat([[None, train], [train.T, None]]).toarray()
    degree = adjacency.sum(1)
    scale = np.where(degree > 0, 1 / np.sqrt(np.maximum(degree, 1)), 0)
    return scale[:, None] * adjacency * scale


def test_product_equals_the_dense_one(catalog: Catalog) -> None:
    product, expected = symmetric_adjacency(catalog), dense_adjacency(catalog)
    x = torch.randn(9, 3)
    assert torch.allclose(product(x), torch.from_numpy(expected).float() @ x, atol=1e-6)


def test_nodes_without_interactions_receive_and_send_nothing(catalog: Catalog) -> None:
    dense = symmetric_adjacency(catalog)(torch.eye(9))
    for node in (3, 4 + 4):
        assert not dense[node].any()
        assert not dense[:, node].any()
    assert torch.isfinite(dense).all()


def test_backward_is_exact_to_the_second_order(catalog: Catalog) -> None:
    product = symmetric_adjacency(catalog).double()
    x = torch.randn(9, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(product, (x,))
    assert torch.autograd.gradgradcheck(lambda y: product(y).square(), (x,))


def test_the_graph_stays_out_of_checkpoints(catalog: Catalog) -> None:
    assert not symmetric_adjacency(catalog).state_dict()


def test_the_unweighted_graph_holds_every_interaction_both_ways(catalog: Catalog) -> None:
    expected = torch.from_numpy(dense_adjacency(catalog) > 0).float()
    assert torch.equal(user_item_graph(catalog)(torch.eye(9)), expected)
    assert torch.equal(user_item_graph(catalog, with_self=True)(torch.eye(9)), expected + torch.eye(9))


def test_means_over_neighbours_by_hand(catalog: Catalog) -> None:
    items = torch.arange(5.0)[:, None]
    assert mean_over_items(catalog)(items).flatten().tolist() == pytest.approx([0.5, 1, 5 / 3, 0])  # user 3 has no item
    users = torch.tensor([[0.0], [1.0], [2.0], [3.0]])
    assert mean_over_users(catalog)(users).flatten().tolist() == [1, 0.5, 2, 2, 0]  # item 4 has no user


def test_means_with_the_node_itself(catalog: Catalog) -> None:
    adjacency = (dense_adjacency(catalog) > 0) + np.eye(9)
    expected = torch.from_numpy(adjacency / adjacency.sum(1, keepdims=True)).float()
    assert torch.allclose(mean_with_self(catalog)(torch.eye(9)), expected)


def test_users_from_items_is_the_block_of_the_symmetric_adjacency(catalog: Catalog) -> None:
    expected = torch.from_numpy(dense_adjacency(catalog)[:4, 4:]).float()
    assert torch.allclose(users_from_items(catalog)(torch.eye(5)), expected)


# ---------------------------------------------------------------------- random subgraphs


def without(catalog: Catalog, dropped: torch.Tensor) -> torch.Tensor:
    """The dense adjacency of the catalogue without these edges."""
    kept = torch.ones(len(catalog.train_users), dtype=torch.bool).index_fill(0, dropped, False)
    part = Catalog(4, 5, {}, catalog.train_users[kept], catalog.train_items[kept], catalog.user_ids, catalog.item_ids)
    return torch.from_numpy(dense_adjacency(part)).float()


def test_a_subgraph_without_edges_has_degrees_of_its_own(catalog: Catalog) -> None:
    graph = user_item_graph(catalog)
    whole = graph.drop_edges(0.0).symmetric()(torch.eye(9))
    assert torch.allclose(whole, symmetric_adjacency(catalog)(torch.eye(9)))
    torch.manual_seed(3)
    dropped = torch.randperm(6)[:2]
    torch.manual_seed(3)
    result = graph.drop_edges(0.3).symmetric()(torch.eye(9))  # round(0.3 * 6) = 2
    assert torch.allclose(result, without(catalog, dropped))
    assert ((result > 0).sum() == 8) and torch.isfinite(result).all()


def test_a_subgraph_without_nodes_has_none_of_their_edges(catalog: Catalog) -> None:
    torch.manual_seed(4)
    users = torch.randperm(4)[:1]  # round(0.3 * 4)
    items = torch.randperm(5)[:2]  # round(0.3 * 5) = 2, half to even
    lost = torch.isin(catalog.train_users, users) | torch.isin(catalog.train_items, items)
    torch.manual_seed(4)
    result = user_item_graph(catalog).drop_nodes(0.3, (4, 5)).symmetric()(torch.eye(9))
    assert torch.allclose(result, without(catalog, lost.nonzero()[:, 0]))


def test_subgraphs_differ_and_have_an_exact_backward(catalog: Catalog) -> None:
    drawn = [user_item_graph(catalog).double().drop_edges(0.5).symmetric() for _ in range(20)]
    assert len({tuple(graph.values.tolist()) for graph in drawn}) > 5
    x = torch.randn(9, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(drawn[0], (x,))
