"""LightGCN over channels side by side."""

import torch

from recmm.graph import Graph
from recmm.nn.channels import propagate_channels


def test_equals_one_propagation_per_channel() -> None:
    graph = Graph(torch.tensor([0, 1, 2, 3, 4]), torch.tensor([2, 3, 0, 1, 1]), (5, 5), torch.rand(5))
    users, items = torch.randn(2, 4), torch.randn(3, 3, 4)
    together = propagate_channels(graph, users, items.flatten(1), 2).unflatten(1, (3, 4))
    for c in range(3):
        torch.testing.assert_close(together[:, c], graph.propagate(torch.cat([users, items[:, c]]), 2))
