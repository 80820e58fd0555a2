"""Gradients through a plan's solution, against finite differences of whole solves."""

import torch

from recmm.nn.transport import TransportSettings, attached, solve

N, D = 30, 5
SETTINGS = TransportSettings(method="dense", perplexity=10.0, tolerance=1e-5)


def test_value_is_the_plan_and_gradient_that_of_solving_again() -> None:
    generator = torch.Generator().manual_seed(0)
    x, y, w = (torch.randn(N, D, generator=generator) for _ in range(3))
    x.requires_grad_()
    plan = solve(x, y, SETTINGS)
    live = attached(plan, x, y)
    torch.testing.assert_close(live.apply(torch.eye(N)), plan.apply(torch.eye(N)), rtol=1e-4, atol=1e-6)
    (live.apply(y) * w).sum().backward()
    direction = torch.randn(N, D, generator=generator)
    with torch.no_grad():
        values = [
            (solve(x + sign * 1e-3 * direction, y, SETTINGS, epsilon=plan.epsilon).apply(y) * w).sum()
            for sign in (1, -1)
        ]
    assert x.grad is not None
    slope = float((values[0] - values[1]) / 2e-3)
    assert abs(float((x.grad * direction).sum()) - slope) < 0.1 * abs(slope)


def test_its_state_and_a_coincidence_of_points_are_harmless() -> None:
    x = torch.randn(N, D, generator=torch.Generator().manual_seed(0)).requires_grad_()
    live = attached(solve(x, x, SETTINGS), x, x)
    assert not live.state()["tensors"]["matrix"].requires_grad
    live.apply(x).square().sum().backward()
    assert x.grad is not None and x.grad.isfinite().all()


def test_a_uniform_plan_depends_on_nothing() -> None:
    x, y = torch.ones(N, D, requires_grad=True), torch.randn(N, D)
    plan = solve(x, y, SETTINGS)
    assert attached(plan, x, y) is plan
