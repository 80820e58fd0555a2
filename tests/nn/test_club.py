"""CLUB: the bound, its estimator's training, and who receives gradients."""

import math

import pytest
import torch
from torch import Tensor

from recmm.nn.club import ConditionalGaussian, Conditionals, club_bound, log_likelihood

DIM = 4


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def correlated(correlation: float, n: int = 2000) -> tuple[Tensor, Tensor]:
    """A standard normal x [n, 1] and four noisy copies of it, z [n, 4]."""
    x = torch.randn(n, 1)
    return x, correlation * x + math.sqrt(1 - correlation**2) * torch.randn(n, DIM)


@pytest.mark.parametrize("correlation", [0.0, 0.7])
def test_bound_lies_above_the_mutual_information(correlation: float) -> None:
    x, z = correlated(correlation)
    estimator = Conditionals([1], DIM, squash=False, steps=400, n_rows=500, lr=1e-2)
    estimator.fit([x], [z])
    bound = estimator.bounds([x], [z])[0].item()
    signal_to_noise = DIM * correlation**2 / (1 - correlation**2)
    information = math.log1p(signal_to_noise) / 2
    assert bound == pytest.approx(signal_to_noise, rel=0.2, abs=0.1)  # the bound's value with the true conditional
    if correlation:
        assert bound > information


def test_identity_permutation_gives_zero() -> None:
    q, z = ConditionalGaussian(3, 4)(torch.randn(6, 3)), torch.randn(6, 4)
    assert club_bound(q, z, torch.arange(6)).item() == 0


def test_bound_is_the_difference_of_gaussian_log_densities() -> None:
    mean, log_variance = q = ConditionalGaussian(3, 4)(torch.randn(6, 3))
    z, permutation = torch.randn(6, 4), torch.tensor([1, 2, 3, 4, 5, 0])
    density = torch.distributions.Normal(mean, (log_variance / 2).exp())
    expected = (density.log_prob(z) - density.log_prob(z[permutation])).sum(1).mean()
    assert torch.allclose(club_bound(q, z, permutation), expected, atol=1e-5)
    constant = 4 / 2 * math.log(2 * math.pi)
    assert torch.allclose(log_likelihood(q, z) / 2 - constant, density.log_prob(z).sum(1).mean(), atol=1e-5)


@pytest.mark.parametrize("frozen", [True, False])
def test_frozen_networks_pass_gradient_to_condition_and_target_only(frozen: bool) -> None:
    estimator = Conditionals([3], 16, frozen=frozen)
    x, z = torch.randn(8, 3, requires_grad=True), torch.randn(8, 16, requires_grad=True)
    estimator.bounds([x], [z]).sum().backward()
    assert x.grad is not None and x.grad.any() and z.grad is not None and z.grad.any()
    gradients = [p.grad for p in estimator.parameters()]
    assert all(g is None for g in gradients) if frozen else all(g is not None and g.any() for g in gradients)


def test_estimates_without_enough_rows_are_zero() -> None:
    estimator = Conditionals([3, 3], 4)
    conditions, targets = [torch.randn(1, 3), torch.randn(5, 3)], [torch.randn(1, 4), torch.randn(5, 4)]
    few, enough = estimator.bounds(conditions, targets)
    assert few == 0
    assert enough != 0


def test_fit_trains_what_has_rows_and_leaves_no_gradient() -> None:
    estimator = Conditionals([3, 3], 16)
    before = [[p.clone() for p in network.parameters()] for network in estimator.networks]
    estimator.fit([torch.randn(0, 3), torch.randn(20, 3)], [torch.randn(0, 16), torch.randn(20, 16)])
    changed = [
        [not torch.equal(p, old) for p, old in zip(network.parameters(), olds, strict=True)]
        for network, olds in zip(estimator.networks, before, strict=True)
    ]
    assert not any(changed[0])
    assert all(changed[1])
    assert all(p.grad is None for p in estimator.parameters())
    estimator.fit([torch.randn(0, 3)] * 2, [torch.randn(0, 16)] * 2)  # nothing to learn from is no error


def test_likelihood_rises() -> None:
    x, z = correlated(0.7, n=300)
    estimator = Conditionals([1], DIM, squash=False, lr=1e-2)
    before = log_likelihood(estimator.networks[0](x), z)
    estimator.fit([x], [z])
    assert log_likelihood(estimator.networks[0](x), z) > before


def test_squash_applies_to_both_sides() -> None:
    squashing = Conditionals([3], 4)
    plain = Conditionals([3], 4, squash=False)
    plain.load_state_dict(squashing.state_dict())
    x, z = torch.randn(5, 3), torch.randn(5, 4)

    def bounds(estimator: Conditionals, x: Tensor, z: Tensor) -> Tensor:
        torch.manual_seed(1)
        return estimator.bounds([x], [z])

    expected = bounds(plain, x.sigmoid(), z.sigmoid())
    assert torch.equal(bounds(squashing, x, z), expected)
    assert not torch.equal(bounds(plain, x, z), expected)


def test_plateau_lowers_the_rate_and_survives_a_state_dict() -> None:
    x, z = torch.zeros(4, 3), torch.zeros(4, 4)
    estimator = Conditionals([3], 4, plateau=True, steps=1, lr=1e-4)
    assert set(Conditionals([3], 4).optimizers()) == {"adam"}
    for network in estimator.networks:
        for p in network.parameters():
            p.requires_grad_(False).zero_()  # a likelihood that cannot rise
    last = estimator.networks[0].mean[-1].bias.requires_grad_()  # type: ignore[index, union-attr]
    for _ in range(13):
        with torch.no_grad():
            last.zero_()
        estimator.fit([x], [z])
    parts = estimator.optimizers()
    assert parts["adam"].param_groups[0]["lr"] == pytest.approx(1e-5)
    restored = Conditionals([3], 4, plateau=True, steps=1, lr=1e-4)
    for name, part in restored.optimizers().items():
        part.load_state_dict(parts[name].state_dict())
    assert restored.adam.param_groups[0]["lr"] == pytest.approx(1e-5)
    assert restored.plateau is not None and restored.plateau.last_epoch == 13
