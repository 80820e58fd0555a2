"""Parts of a single-branch network: what all modalities share, and interactions as one of them (SiBraR)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recmm.graph import Graph


class Branch(nn.Module):
    """f: dropout, hidden layers with ReLU, a linear layer, batch normalisation, which takes off any bias before it."""

    def __init__(self, hidden: int, n_hidden: int, dim: int, dropout: float) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Dropout(dropout)]
        for _ in range(n_hidden):
            layers += [nn.Linear(hidden, hidden), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(hidden, dim, bias=False))
        self.norm = nn.BatchNorm1d(dim)

    def forward(self, x: Tensor) -> Tensor:
        """[n, hidden] -> [n, dim]."""
        x, norm = self.layers(x), self.norm
        several = self.training and len(x) > 1  # a single row has no variance
        return F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias, several)


class History(nn.Module):
    """relu(W r + b) of rows of interactions, each of unit length.

    Args:
        rows: r, [n, width].
        hidden: width of the result.
    """

    def __init__(self, rows: Graph, hidden: int) -> None:
        super().__init__()
        lengths = rows.row_sums().rsqrt()  # all entries are 1
        self.rows = rows.with_values(lengths[rows.rows])
        self.weight = nn.Parameter(torch.empty(rows.shape[1], hidden))  # W^T
        nn.init.kaiming_uniform_(self.weight, nonlinearity="relu")  # as for inputs of unit length, whatever their width
        self.bias = nn.Parameter(torch.zeros(hidden))

    def forward(self) -> Tensor:
        """[n, hidden]."""
        return (self.rows(self.weight) + self.bias).relu()
