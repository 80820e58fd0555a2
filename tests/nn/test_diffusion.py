"""Diffusion: its schedule, and the sampler where the best prediction of the noise is known."""

import math

import pytest
import torch
from torch import Tensor

from recmm.nn.diffusion import Diffusion, Predictor


def knowing(diffusion: Diffusion, x: Tensor) -> Predictor:
    """v of rows whose clean values are ``x``."""

    def predict(noisy: Tensor, steps: Tensor) -> Tensor:
        kept = diffusion.kept[steps].view(-1, 1)
        return kept.sqrt() * (noisy - kept.sqrt() * x) / (1 - kept).sqrt() - (1 - kept).sqrt() * x

    return predict


@pytest.mark.parametrize("n_steps", [20, 1000])
def test_the_schedule_falls_from_almost_everything_to_almost_nothing(n_steps: int) -> None:
    kept = Diffusion(n_steps).kept
    assert len(kept) == n_steps and (kept.diff() < 0).all()
    assert kept[0] == pytest.approx(math.exp(-(0.1 + 19.9 / (1 + math.exp(6))) / n_steps), abs=1e-6)
    assert kept[-1] == pytest.approx(math.exp(-10.05), rel=1e-2)  # the mean beta, by symmetry, is 10.05 / T


def test_noisy_rows_keep_their_variance() -> None:
    torch.manual_seed(0)
    diffusion = Diffusion(50)
    x, noise = torch.randn(2, 20_000)
    for step in (0, 20, 49):
        assert diffusion.noisy(x, noise, torch.full((len(x),), step)).var() == pytest.approx(1, abs=0.05)


def test_the_loss_of_one_who_knows_is_0_and_of_one_who_says_nothing_1() -> None:
    torch.manual_seed(0)
    diffusion, x = Diffusion(100), torch.randn(4000, 3)
    assert diffusion.loss(knowing(diffusion, x), x) < 1e-6
    assert diffusion.loss(lambda noisy, steps: torch.zeros_like(noisy), x).item() == pytest.approx(1, abs=0.05)
    assert diffusion.loss(lambda noisy, steps: noisy, x[:0]) == 0


@pytest.mark.parametrize("n_steps", [1, 10])
def test_the_sampler_finds_what_the_prediction_knows(n_steps: int) -> None:
    torch.manual_seed(0)
    diffusion, x = Diffusion(), torch.randn(5, 3)
    state = torch.get_rng_state()
    found = diffusion.sample(knowing(diffusion, x), torch.randn(5, 3), n_steps, 10.0)
    torch.testing.assert_close(found, x, atol=1e-3, rtol=1e-3)
    torch.set_rng_state(state)
    again = diffusion.sample(knowing(diffusion, x), torch.randn(5, 3), n_steps, 10.0)
    assert torch.equal(found, again)


def test_samples_of_a_normal_distribution_have_its_deviation() -> None:
    """x_t says of the noise sqrt(1 - a) x_t / (a s^2 + 1 - a), and of x, from N(0, s^2), sqrt(a) s^2 x_t / the same."""
    torch.manual_seed(0)
    diffusion, deviation = Diffusion(), 0.5

    def predict(noisy: Tensor, steps: Tensor) -> Tensor:
        kept = diffusion.kept[steps][:, None]
        return (kept * (1 - kept)).sqrt() * noisy * (1 - deviation**2) / (kept * deviation**2 + 1 - kept)

    found = diffusion.sample(predict, torch.randn(4000, 1), 100, 10.0)
    assert found.std() == pytest.approx(deviation, abs=0.05)


def test_estimates_are_clipped() -> None:
    diffusion = Diffusion()
    found = diffusion.sample(lambda noisy, steps: torch.zeros_like(noisy), torch.randn(50, 2), 10, 1.5)
    assert found.isfinite().all() and found.abs().max() <= 1.5 + 1e-5
