"""Activations by the names that configurations use."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Activation = Literal["leaky", "sigmoid", "tanh", "none"]


def activate(x: Tensor, kind: Activation) -> Tensor:
    """LeakyReLU with slope 0.2, sigmoid, tanh, or x itself."""
    if kind == "leaky":
        return F.leaky_relu(x, 0.2)
    return {"sigmoid": torch.sigmoid, "tanh": torch.tanh}[kind](x) if kind != "none" else x
