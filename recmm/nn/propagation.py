"""Linear propagation on a graph, and the embeddings that it starts from."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

IdInit = Literal["xavier", "normal"]


def id_table(n_nodes: int, dim: int, init: IdInit = "xavier") -> nn.Parameter:
    """Trainable embeddings [n_nodes, dim]: Xavier-uniform, or normal with standard deviation 0.1."""
    table = torch.empty(n_nodes, dim)
    return nn.Parameter(nn.init.xavier_uniform_(table) if init == "xavier" else nn.init.normal_(table, std=0.1))


def propagate(product: Callable[[Tensor], Tensor], x: Tensor, n_layers: int) -> Tensor:
    """Mean over l = 0..n_layers of A^l x (LightGCN Eq. 7-8).

    Args:
        product: x -> A x, such as a ``Graph``.
        x: [N, d]; several representations may travel side by side in d, which is cheaper than one product each.
    """
    total, layer = x, x
    for _ in range(n_layers):
        layer = product(layer)
        total = total + layer
    return total / (n_layers + 1)
