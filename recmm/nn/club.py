"""CLUB: a sampled upper bound of mutual information that can be minimised (Cheng et al., ICML 2020)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from recmm.nn.self_fitting import SelfFitting, Stateful

Gaussian = tuple[Tensor, Tensor]
"""Mean and log-variance, [n, d] each, of n diagonal Gaussians."""


class ConditionalGaussian(nn.Module):
    """q(z | x) = N(mean(x), diag(exp(log_variance(x)))), two MLPs; the log-variance is bounded by a tanh.

    Args:
        x_dim, z_dim: widths of the condition and of the target.
        hidden: width of the hidden layers; half of ``z_dim`` if not given.
    """

    def __init__(self, x_dim: int, z_dim: int, hidden: int | None = None) -> None:
        super().__init__()
        hidden = hidden or max(z_dim // 2, 1)
        self.mean = nn.Sequential(nn.Linear(x_dim, hidden), nn.ReLU(), nn.Linear(hidden, z_dim))
        self.log_variance = nn.Sequential(nn.Linear(x_dim, hidden), nn.ReLU(), nn.Linear(hidden, z_dim), nn.Tanh())

    def forward(self, x: Tensor) -> Gaussian:
        """[n, x_dim] -> mean and log-variance, [n, z_dim] each."""
        return self.mean(x), self.log_variance(x)


def log_likelihood(q: Gaussian, z: Tensor) -> Tensor:
    """Twice the mean over rows of log q(z_i | x_i), without its constant; z [n, d] -> scalar."""
    mean, log_variance = q
    return -((mean - z).square() * (-log_variance).exp() + log_variance).sum(1).mean()


def club_bound(q: Gaussian, z: Tensor, permutation: Tensor) -> Tensor:
    """CLUB-sample: mean over rows of log q(z_i | x_i) - log q(z_pi(i) | x_i); z [n, d] -> scalar.

    An upper bound of I(x; z) if q is close to p(z | x); 0 under the identity permutation.
    """
    mean, log_variance = q
    difference = (mean - z[permutation]).square() - (mean - z).square()
    return (difference * (-log_variance).exp()).sum(1).mean() / 2


class Conditionals(SelfFitting):
    """Several q(z | x), the optimiser that fits them, and the bounds of information that they allow.

    Args:
        widths: width of the condition of each network.
        z_dim: width of the target.
        squash: a sigmoid on conditions and targets.
        frozen: bounds send no gradient into the networks, only into conditions and targets, and the method's
            optimiser leaves the networks alone.
        plateau: the learning rate falls when the likelihood no longer rises (ReduceLROnPlateau).
        steps, n_rows, lr: of one ``fit``: Adam steps, rows in each, learning rate.
    """

    def __init__(
        self,
        widths: Sequence[int],
        z_dim: int,
        *,
        squash: bool = True,
        frozen: bool = True,
        plateau: bool = False,
        steps: int = 10,
        n_rows: int = 2048,
        lr: float = 1e-4,
    ) -> None:
        super().__init__()
        self.networks = nn.ModuleList(ConditionalGaussian(width, z_dim) for width in widths)
        self.squash, self.fitted_apart, self.steps, self.n_rows = squash, frozen, steps, n_rows
        self.adam = torch.optim.Adam(self.networks.parameters(), lr=lr)
        self.plateau = ReduceLROnPlateau(self.adam) if plateau else None

    def fit(self, conditions: Sequence[Tensor], targets: Sequence[Tensor]) -> None:
        """Maximise each network's likelihood of its own rows, [n, width] and [n, z_dim], both without gradient.

        Every step draws its rows without replacement, from torch's global generator. A network without
        rows is left alone.
        """
        pairs = [p for p in zip(self.networks, conditions, targets, strict=True) if len(p[1])]
        if not pairs:
            return
        likelihoods = []
        for _ in range(self.steps):
            values = []
            for network, x, z in pairs:
                rows = torch.randperm(len(x), device=x.device)[: self.n_rows]
                values.append(log_likelihood(network(self._squashed(x[rows])), self._squashed(z[rows])))
            self.adam.zero_grad()
            (-torch.stack(values).sum()).backward()
            self.adam.step()
            likelihoods.append(torch.stack(values).detach().mean())
        self.adam.zero_grad()  # what stays in .grad could be stepped by another optimiser
        if self.plateau is not None:
            self.plateau.step(-float(torch.stack(likelihoods).mean()))

    def bounds(self, conditions: Sequence[Tensor], targets: Sequence[Tensor]) -> Tensor:
        """``club_bound`` of each network on its own rows; 0 with fewer than two, where nothing can be shuffled."""
        values = []
        for network, x, target in zip(self.networks, conditions, targets, strict=True):
            q, z = self._conditional(network, self._squashed(x)), self._squashed(target)
            enough = len(x) > 1
            values.append(club_bound(q, z, torch.randperm(len(z), device=z.device)) if enough else z.new_zeros(()))
        return torch.stack(values)

    def optimizers(self) -> dict[str, Stateful]:
        """Adam and, if there is one, its scheduler."""
        return {"adam": self.adam} | ({} if self.plateau is None else {"plateau": self.plateau})

    def _conditional(self, network: nn.Module, x: Tensor) -> Gaussian:
        if not self.fitted_apart:
            free: Gaussian = network(x)
            return free
        constants = {name: p.detach() for name, p in network.named_parameters()}
        frozen: Gaussian = torch.func.functional_call(network, constants, (x,))
        return frozen

    def _squashed(self, x: Tensor) -> Tensor:
        return x.sigmoid() if self.squash else x
