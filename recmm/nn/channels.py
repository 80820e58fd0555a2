"""LightGCN over several channels, such as the modalities, in one product."""

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
