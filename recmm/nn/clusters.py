"""k-means, for prototypes (CI2MG)."""

import torch
from torch import Tensor


@torch.no_grad()
def kmeans(points: Tensor, n_clusters: int, *, n_iterations: int = 10, noise: float = 0.05) -> Tensor:
    """Centres [n_clusters, d] of ``points`` [n, d]: k-means++ seeding, then Lloyd's iterations.

    Draws from torch's global generator. Where the points have fewer distinct values than clusters are asked for, the
    centres in excess are points displaced by normal noise, so that no two prototypes stay twins under training.

    Args:
        noise: standard deviation of that displacement, relative to the root mean square of the points' entries.

    Raises:
        ValueError: without a single point.
    """
    if not len(points):
        raise ValueError("k-means needs at least one point.")
    centres = points.new_empty(n_clusters, points.shape[1])
    nearest = points.new_full((len(points),), torch.inf)
    scale = points.square().mean().sqrt().clamp_min(1e-6)
    for k in range(n_clusters):
        spread_out = nearest.isinf().all() or nearest.max() > 1e-6 * scale.square()
        weights = nearest if spread_out and not nearest.isinf().any() else torch.ones_like(nearest)
        centres[k] = points[torch.multinomial(weights, 1)[0]]
        if not spread_out:
            centres[k] += noise * scale * torch.randn_like(centres[k])
        nearest = torch.minimum(nearest, (points - centres[k]).square().sum(1))
    for _ in range(n_iterations):
        members = torch.cdist(points, centres).argmin(1)
        sums = torch.zeros_like(centres).index_add_(0, members, points)
        counts = torch.bincount(members, minlength=n_clusters)[:, None]
        centres = torch.where(counts > 0, sums / counts.clamp_min(1), centres)  # an empty cluster stays where it is
    return centres
