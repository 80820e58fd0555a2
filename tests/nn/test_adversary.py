"""Critics: what their penalty is, and whom their judgement trains."""

import pytest
import torch
from torch import nn

from recmm.nn.adversary import Critic, gradient_penalty


def test_the_penalty_of_a_linear_critic_is_that_of_its_weight() -> None:
    critic = nn.Linear(3, 1)
    real, fake = torch.randn(5, 3), torch.randn(5, 3)
    penalty = gradient_penalty(critic, real, fake)
    assert penalty.item() == pytest.approx((critic.weight.norm().item() - 1) ** 2, rel=1e-4)
    (gradient,) = torch.autograd.grad(penalty, critic.weight)
    length = critic.weight.norm()
    torch.testing.assert_close(gradient, 2 * (length - 1) * critic.weight / length)


def test_the_penalty_is_taken_between_the_rows() -> None:
    """D(x) = x^2 / 2 has the gradient x, so the penalty shows at which x it was taken."""
    mixed = []

    class Square(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            mixed.append(x.detach())
            return x.square() / 2

    penalty = gradient_penalty(Square(), torch.zeros(50, 1), torch.full((50, 1), 3.0))
    (x,) = mixed
    assert x.min() >= 0 and x.max() <= 3 and x.std() > 0.5
    assert penalty.item() == pytest.approx((x - 1).square().mean().item())


def test_a_judgement_has_the_critics_values_but_trains_the_judged_alone() -> None:
    critic, rows = Critic(7, 4, (0.3, 0.5)).eval(), torch.randn(3, 7, requires_grad=True)
    values = critic.as_judge(rows)
    assert torch.equal(values, critic(rows)) and values.min() >= 0 and values.max() <= 100
    values.sum().backward()
    assert rows.grad is not None and rows.grad.any()
    assert all(p.grad is None for p in critic.parameters())


def test_layers_get_narrower() -> None:
    widths = [layer.weight.shape for layer in Critic(7, 4, (0.3, 0.5)) if isinstance(layer, nn.Linear)]
    assert widths == [(4, 7), (2, 4), (1, 2)]
