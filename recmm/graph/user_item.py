"""Graphs of the training interactions: users are nodes 0..n_users-1 where users and items are nodes alike."""

import torch
from torch import Tensor

from recmm.data.catalog import Catalog
from recmm.graph.graph import Graph


def _sorted(rows: Tensor, columns: Tensor, n_columns: int) -> tuple[Tensor, Tensor]:
    """The same edges by row, then column."""
    order = torch.argsort(rows * n_columns + columns)
    return rows[order], columns[order]


def user_item_graph(catalog: Catalog, *, with_self: bool = False) -> Graph:
    """A of the training graph [n_users + n_items, n_users + n_items], 1 between a user and its items, both ways.

    Args:
        with_self: A + I instead.
    """
    users, items = catalog.train_users, catalog.n_users + catalog.train_items
    n_nodes = catalog.n_users + catalog.n_items
    own = torch.arange(n_nodes if with_self else 0)
    rows, columns = torch.cat([users, items, own]), torch.cat([items, users, own])
    return Graph(*_sorted(rows, columns, n_nodes), (n_nodes, n_nodes))


def symmetric_adjacency(catalog: Catalog) -> Graph:
    """D^-1/2 A D^-1/2 of the training graph (LightGCN Eq. 8).

    Nodes without training interactions have a zero row and column.
    """
    graph = user_item_graph(catalog)
    degrees = torch.cat([catalog.user_counts(), catalog.item_counts()]).double()
    return graph.with_values((degrees[graph.rows] * degrees[graph.columns]).rsqrt().float())


def mean_with_self(catalog: Catalog) -> Graph:
    """D^-1 (A + I) of the training graph, D the degrees of A + I: a node is the mean of its neighbours and itself.

    NGCF's and LATTICE's released code propagate along it.
    """
    return user_item_graph(catalog, with_self=True).mean()


def users_from_items(catalog: Catalog) -> Graph:
    """D_U^-1/2 R D_V^-1/2 [n_users, n_items], the block of ``symmetric_adjacency`` between users and items."""
    users, items = catalog.train_users, catalog.train_items
    values = (catalog.user_counts().double()[users] * catalog.item_counts().double()[items]).rsqrt().float()
    return Graph(users, items, (catalog.n_users, catalog.n_items), values)


def mean_over_items(catalog: Catalog) -> Graph:
    """D_U^-1 R [n_users, n_items]: a user is the mean of the items in its training history (CI2MG Eq. 1).

    Users without history have a zero row.
    """
    return Graph(catalog.train_users, catalog.train_items, (catalog.n_users, catalog.n_items)).mean()


def mean_over_users(catalog: Catalog) -> Graph:
    """D_V^-1 R^T [n_items, n_users]: an item is the mean of the users who have it in training (CI2MG Eq. 1).

    Items without training interactions have a zero row.
    """
    edges = _sorted(catalog.train_items, catalog.train_users, catalog.n_users)
    return Graph(*edges, (catalog.n_items, catalog.n_users)).mean()
