"""LightGCN over channels side by side."""

import pytest
import torch

from recmm.graph import Graph
from recmm.nn.channels import propagate_channels, propagate_side


def test_equals_one_propagation_per_channel() -> None:
    graph = Graph(torch.tensor([0, 1, 2, 3, 4]), torch.tensor([2, 3, 0, 1, 1]), (5, 5), torch.rand(5))
    users, items = torch.randn(2, 4), torch.randn(3, 3, 4)
    together = propagate_channels(graph, users, items.flatten(1), 2).unflatten(1, (3, 4))
    for c in range(3):
        torch.testing.assert_close(together[:, c], graph.propagate(torch.cat([users, items[:, c]]), 2))


@pytest.mark.parametrize("n_layers", range(5))
def test_each_side_alone_is_a_part_of_the_whole(n_layers: int) -> None:
    users, items = torch.tensor([0, 0, 1, 2, 2]), torch.tensor([0, 2, 2, 1, 3])  # 3 users, 4 items
    values = torch.rand(5)
    ends = torch.cat([users, 3 + items]), torch.cat([3 + items, users])
    x = torch.randn(7, 2)
    whole = Graph(*ends, (7, 7), values.repeat(2)).propagate(x, n_layers)
    block = Graph(users, items, (3, 4), values)
    torch.testing.assert_close(propagate_side(block, x[:3], x[3:], n_layers), whole[:3])
    torch.testing.assert_close(propagate_side(block.transposed(), x[3:], x[:3], n_layers), whole[3:])
