"""LightGCN over several channels, such as the modalities, in one product, and for one side of the graph alone."""

import torch
from torch import Tensor

from recmm.graph import Graph


def propagate_channels(adjacency: Graph, users: Tensor, items: Tensor, n_layers: int) -> Tensor:
    """``Graph.propagate`` of C channels side by side, which start from the same users and from items of their own.

    Args:
        adjacency: of the user-item graph, [n_users + n_items, n_users + n_items].
        users: [n_users, d].
        items: [n_items, C * d].
        n_layers: L.

    Returns:
        [n_users + n_items, C * d].
    """
    n_channels = items.shape[1] // users.shape[1]
    return adjacency.propagate(torch.cat([users.repeat(1, n_channels), items]), n_layers)


def propagate_side(block: Graph, own: Tensor, other: Tensor, n_layers: int) -> Tensor:
    """The rows of the users, or of the items, in ``Graph.propagate`` on the user-item graph, at half its cost.

    A layer's rows are sums over rows of the other side, so that each layer is needed on one side alone.

    Args:
        block: the block of the adjacency that brings the other side to this one, [n_own, n_other].
        own: what this side starts from, [n_own, d].
        other: what the other side starts from, [n_other, d].
        n_layers: L.

    Returns:
        [n_own, d].
    """
    starts, graphs = (own, other), (block, block.transposed())
    y = starts[n_layers % 2]
    for layer in reversed(range(n_layers)):
        y = starts[layer % 2] + graphs[layer % 2](y)
    return y / (n_layers + 1)
