"""Gradient reversal: adversarial training within one backward pass (Ganin & Lempitsky, ICML 2015)."""

from typing import Any

import torch
from torch import Tensor


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, alpha: float) -> Tensor:
        ctx.alpha = alpha
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return -ctx.alpha * grads[0], None


def reverse_gradient(x: Tensor, alpha: float) -> Tensor:
    """x itself, with its gradient times -alpha: what comes after is fitted, what comes before works against it."""
    return _Reversal.apply(x, alpha)
