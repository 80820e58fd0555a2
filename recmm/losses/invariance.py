"""Penalties on what differs between the environments of invariant learning."""

import torch
from torch import Tensor


def loss_variance(losses: Tensor) -> Tensor:
    """Unbiased variance of scalar losses [M] over environments (V-REx); 0 for a single one, where it is undefined."""
    return losses.var() if len(losses) > 1 else losses.new_zeros(())


def gradient_variance(losses: Tensor, shared: Tensor) -> Tensor:
    """|| Var_m(dL^m / d shared) ||^2 over environments, times the number of elements of ``shared``.

    The variance is taken per element and divides by M. Mean losses give gradients of the order 1 / elements, hence the
    factor. Differentiable: the gradients are built with their own graph. 0 for a single environment.
    """
    if len(losses) < 2:
        return losses.new_zeros(())
    gradients = torch.stack([torch.autograd.grad(loss, shared, create_graph=True)[0] for loss in losses])
    return gradients.var(0, correction=0).square().sum() * shared.numel()
