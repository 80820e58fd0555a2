"""CLUB: a sampled upper bound of mutual information that can be minimised (Cheng et al., ICML 2020; methods.md B14)."""

import torch
from torch import Tensor, nn


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

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance, [n, x_dim] -> [n, z_dim] each."""
        return self.mean(x), self.log_variance(x)


def log_likelihood(mean: Tensor, log_variance: Tensor, z: Tensor) -> Tensor:
    """Mean over rows of twice log N(z; mean, exp(log_variance)), without its constant; all [n, d] -> scalar."""
    return -((mean - z).square() * (-log_variance).exp() + log_variance).sum(1).mean()


def club_bound(mean: Tensor, log_variance: Tensor, z: Tensor, permutation: Tensor) -> Tensor:
    """CLUB-sample: mean over rows of log q(z_i | x_i) - log q(z_pi(i) | x_i); all [n, d] -> scalar.

    An upper bound of I(x; z) if q is close to p(z | x); 0 under the identity permutation.
    """
    shuffled = z[permutation]
    difference = (mean - shuffled).square() - (mean - z).square()
    return (difference * (-log_variance).exp()).sum(1).mean() / 2


def fit_conditionals(
    networks: list[ConditionalGaussian],
    conditions: list[Tensor],
    targets: list[Tensor],
    optimizer: torch.optim.Optimizer,
    *,
    steps: int,
    n_rows: int,
) -> float:
    """Maximise the likelihood of each network on its own (condition, target) rows; nothing else is trained.

    Every step draws ``n_rows`` rows without replacement for each network, from torch's global generator. A network with
    no rows is left alone.

    Args:
        conditions, targets: [n, x_dim] and [n, z_dim] for each network, without gradients; n may differ between networks.

    Returns:
        Mean over networks and steps of the log-likelihood, 0 if nothing could be fitted.
    """
    triples = [t for t in zip(networks, conditions, targets, strict=True) if len(t[1])]
    if not triples:
        return 0.0
    total = torch.zeros((), device=conditions[0].device)
    for _ in range(steps):
        values = []
        for network, x, z in triples:
            rows = torch.randperm(len(x), device=x.device)[:n_rows]
            values.append(log_likelihood(*network(x[rows]), z[rows]))
        optimizer.zero_grad()
        (-torch.stack(values).sum()).backward()
        optimizer.step()
        total += torch.stack(values).detach().mean()
    optimizer.zero_grad()  # what stays in .grad would be clipped or stepped by another optimiser
    return float(total) / steps
