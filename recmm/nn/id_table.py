"""Trainable embeddings of users and items by their id."""

from typing import Literal

import torch
from torch import nn

IdInit = Literal["xavier", "normal"]


def id_table(n_nodes: int, dim: int, init: IdInit = "xavier") -> nn.Parameter:
    """Trainable embeddings [n_nodes, dim]: Xavier-uniform, or normal with standard deviation 0.1."""
    table = torch.empty(n_nodes, dim)
    return nn.Parameter(nn.init.xavier_uniform_(table) if init == "xavier" else nn.init.normal_(table, std=0.1))
