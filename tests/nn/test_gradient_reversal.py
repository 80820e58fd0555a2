"""Gradient reversal: the same values forth, the negative multiple back."""

import torch

from recmm.nn.gradient_reversal import reverse_gradient


def test_values_stay_and_gradients_turn() -> None:
    x = torch.tensor([1.0, -2.0], requires_grad=True)
    reversed_x = reverse_gradient(x, 0.5)
    assert torch.equal(reversed_x, x)
    (reversed_x * torch.tensor([3.0, 4.0])).sum().backward()
    assert x.grad is not None and x.grad.tolist() == [-1.5, -2.0]
