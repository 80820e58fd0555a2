"""Denoising diffusion: the schedule of noise, the loss of a network that removes it, and DDIM's sampler."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

Predictor = Callable[[Tensor, Tensor], Tensor]
"""Noisy rows [n, ...] and their steps, int64 [n] from 0 -> v = sqrt(a_t) noise - sqrt(1 - a_t) x, [n, ...]."""


class Diffusion(nn.Module):
    """Rows x become noise in T steps: x_t = sqrt(a_t) x + sqrt(1 - a_t) noise, a_t = exp(-sum of beta_s over s <= t).

    The betas rise from .1 / T to 20 / T along a sigmoid over -6..6 (1e-4 to .02 for T = 1000), so that x_T is noise for
    any T. Nothing here is trained.

    The network predicts v (Salimans and Ho, ICLR 2022), from which noise and x follow. One that predicts the noise, as
    in Ho et al. (NeurIPS 2020), is almost right where a_t is small if it repeats its input, and needs many epochs to
    learn what a condition says there.

    Args:
        n_steps: T.
    """

    def __init__(self, n_steps: int = 1000) -> None:
        super().__init__()
        betas = (0.1 + 19.9 * torch.linspace(-6, 6, n_steps, dtype=torch.float64).sigmoid()) / n_steps
        self.register_buffer("kept", (-betas.cumsum(0)).exp().float(), persistent=False)
        self.kept: Tensor  # a_t

    def noisy(self, x: Tensor, noise: Tensor, steps: Tensor) -> Tensor:
        """x_t of rows [n, ...] at their steps, int64 [n] (Ho et al., NeurIPS 2020, Eq. 4)."""
        kept = _over_rows(self.kept[steps], x)
        return kept.sqrt() * x + (1 - kept).sqrt() * noise

    def loss(self, predict: Predictor, x: Tensor) -> Tensor:
        """Mean squared error of the predicted v at random steps, of rows [n, ...] -> scalar.

        Draws from torch's global generator. It is 0 without rows.
        """
        steps = torch.randint(len(self.kept), (len(x),), device=x.device)
        noise = torch.randn_like(x)
        kept = _over_rows(self.kept[steps], x)
        errors = (predict(self.noisy(x, noise, steps), steps) - (kept.sqrt() * noise - (1 - kept).sqrt() * x)).square()
        return errors.sum() / max(errors.numel(), 1)

    @torch.no_grad()
    def sample(self, predict: Predictor, noise: Tensor, n_steps: int, limit: Tensor | float) -> Tensor:
        """Rows made of noise [n, ...] without further chance (Song et al., ICLR 2021, Eq. 12 with sigma 0).

        Args:
            n_steps: evaluations of the network, at evenly spaced steps from the last to the first.
            limit: largest absolute value of an entry of x; each estimate of x is clipped there.
        """
        steps = torch.linspace(len(self.kept) - 1, 0, n_steps, device=noise.device).round().long()
        kept = self.kept[steps]
        later = torch.cat([kept[1:], kept.new_ones(1)])
        x = noise
        for step, now, then in zip(steps, kept, later, strict=True):
            v = predict(x, step.expand(len(x)))
            clean = (now.sqrt() * x - (1 - now).sqrt() * v).clamp(-limit, limit)
            x = then.sqrt() * clean + (1 - then).sqrt() * (x - now.sqrt() * clean) / (1 - now).sqrt()
        return x


def _over_rows(values: Tensor, x: Tensor) -> Tensor:
    """[n] -> [n, 1, ...], with as many dimensions as x."""
    return values.view(-1, *[1] * (x.ndim - 1))
