"""Sparse graphs: products with exact gradients, attention over edges, random subgraphs, normalisations."""

from recmm.graph.edge_softmax import edge_softmax
from recmm.graph.graph import Graph, maximum, weighted_sum
from recmm.graph.sparse import row_starts
from recmm.graph.spectral import Spectrum, leading_spectrum
from recmm.graph.user_item import (
    mean_over_items,
    mean_over_users,
    mean_with_self,
    symmetric_adjacency,
    user_item_graph,
    users_from_items,
)

__all__ = [
    "Graph",
    "Spectrum",
    "edge_softmax",
    "leading_spectrum",
    "maximum",
    "mean_over_items",
    "mean_over_users",
    "mean_with_self",
    "row_starts",
    "symmetric_adjacency",
    "user_item_graph",
    "users_from_items",
    "weighted_sum",
]
