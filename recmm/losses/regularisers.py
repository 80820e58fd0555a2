"""Norms of embeddings as loss terms. Public code calls all of them "reg loss"; each has its own name here."""

import torch
from torch import Tensor


def squared_l2(*embeddings: Tensor, batch_size: float | None = None) -> Tensor:
    """Half the sum of squares of all ``embeddings`` ([B, d] each), divided by the batch size.

    Args:
        batch_size: the divisor; the rows of the first tensor if not given.
    """
    total = torch.stack([x.square().sum() for x in embeddings]).sum()
    return total / (2 * (batch_size or len(embeddings[0])))


def frobenius_norm(*embeddings: Tensor) -> Tensor:
    """Sum of the Frobenius norms (not squared) of ``embeddings`` ([B, d] each), divided by B."""
    return torch.stack([torch.linalg.matrix_norm(x) for x in embeddings]).sum() / len(embeddings[0])


def mean_square(*embeddings: Tensor) -> Tensor:
    """Sum over ``embeddings`` of the mean of their squared elements."""
    return torch.stack([x.square().mean() for x in embeddings]).sum()


def mean_absolute(*embeddings: Tensor) -> Tensor:
    """Sum over ``embeddings`` of the mean of their elements' absolute values."""
    return torch.stack([x.abs().mean() for x in embeddings]).sum()
