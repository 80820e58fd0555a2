"""Activations by the names that configurations use."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Activation = Literal["leaky", "sigmoid"]


def activate(x: Tensor, kind: Activation) -> Tensor:
    """LeakyReLU with slope 0.2, or sigmoid."""
    return F.leaky_relu(x, 0.2) if kind == "leaky" else torch.sigmoid(x)
