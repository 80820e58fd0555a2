"""Alignment and uniformity of embeddings on the sphere (Wang and Isola, ICML 2020)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def alignment(a: Tensor, b: Tensor) -> Tensor:
    """Mean over the rows of ||a - b||^2, of unit rows a and b; [n, d] of any length each -> scalar."""
    return (F.normalize(a, dim=1) - F.normalize(b, dim=1)).square().sum(1).mean()


def uniformity(x: Tensor) -> Tensor:
    """log of the mean over pairs of rows of exp(-2 ||x_a - x_b||^2), of unit rows; [n, d] of any length -> scalar.

    0 where all rows are equal, or where there is one alone, and negative the wider they are spread.
    """
    n = len(x)
    if n < 2:
        return x.new_zeros(())
    x = F.normalize(x, dim=1)
    logits = (4 * x) @ x.T - 4  # of unit rows, ||a - b||^2 = 2 - 2 a b
    own = torch.eye(n, dtype=torch.bool, device=x.device)
    return logits.masked_fill(own, -torch.inf).logsumexp((0, 1)) - math.log(n * (n - 1))
