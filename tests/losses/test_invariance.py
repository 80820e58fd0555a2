"""Penalties on environments by hand and against autograd."""

import pytest
import torch

from recmm.losses import gradient_variance, loss_variance


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def test_variance_is_unbiased_and_zero_for_one_environment() -> None:
    assert loss_variance(torch.tensor([1.0, 3.0])).item() == pytest.approx(2)
    assert loss_variance(torch.tensor([5.0])).item() == 0
    assert gradient_variance(torch.tensor([5.0], requires_grad=True), torch.ones(2)).item() == 0


def test_gradient_variance_by_hand() -> None:
    shared = torch.tensor([1.0, 2.0], requires_grad=True)
    losses = torch.stack([shared.square().sum(), 3 * shared[0]])  # gradients (2a, 2b) and (3, 0)
    penalty = gradient_variance(losses, shared)
    assert penalty.item() == pytest.approx(2 * ((0.5**2) ** 2 + (2.0**2) ** 2))
    (gradient,) = torch.autograd.grad(penalty, shared)
    # d/da of (a - 3/2)^4 and d/db of b^4, times the two elements
    assert gradient.tolist() == pytest.approx([2 * 4 * (-0.5) ** 3, 2 * 4 * 2.0**3])
