"""Starting values of weights."""

import torch
from torch import Tensor, nn


def xavier_matrices(n: int, rows: int, columns: int) -> Tensor:
    """n Xavier-uniform matrices, each with a draw of its own: [n, rows, columns]."""
    weights = torch.empty(n, rows, columns)
    for weight in weights:
        nn.init.xavier_uniform_(weight)
    return weights
