"""Wasserstein critics: a network, its gradient penalty, and what it says to those that it judges."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call


class Critic(nn.Sequential):
    """Rows [n, width] -> [n, 1] in 0..100, through hidden layers of LeakyReLU, batch normalisation and dropout.

    The batch is what it normalises by, so n is 2 at least; it keeps no running statistics. Weights are Kaiming-normal.

    Args:
        width: of a row.
        hidden: width of the first hidden layer; every further one has half of the one before.
        dropouts: of each hidden layer.
    """

    def __init__(self, width: int, hidden: int, dropouts: Sequence[float]) -> None:
        layers: list[nn.Module] = []
        for rate in dropouts:
            norm = nn.BatchNorm1d(hidden, track_running_stats=False)
            layers += [nn.Linear(width, hidden), nn.LeakyReLU(), norm, nn.Dropout(rate)]
            width, hidden = hidden, max(hidden // 2, 1)
        super().__init__(*layers, nn.Linear(width, 1))
        for layer in self:
            if isinstance(layer, nn.Linear):
                nn.init.kaiming_normal_(layer.weight)
                nn.init.zeros_(layer.bias)

    def forward(self, rows: Tensor) -> Tensor:
        return 100 * super().forward(rows).sigmoid()

    def as_judge(self, rows: Tensor) -> Tensor:
        """The same values, whose gradient reaches ``rows`` alone."""
        values: Tensor = functional_call(self, {name: p.detach() for name, p in self.named_parameters()}, (rows,))
        return values


def gradient_penalty(critic: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """Mean of (||gradient of the critic at a row||_2 - 1)^2 over random mixtures of rows (WGAN-GP, Gulrajani et al.,
    NeurIPS 2017, Eq. 3); [n, width] each -> scalar.
    """
    share = torch.rand(len(real), 1, device=real.device)
    mixed = (share * real + (1 - share) * fake).requires_grad_()
    (gradient,) = torch.autograd.grad(critic(mixed).sum(), mixed, create_graph=True)
    return (torch.linalg.vector_norm(gradient, dim=1) - 1).square().mean()
