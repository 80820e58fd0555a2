"""Entropic transport through a few anchors: a plan in two factors."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from recmm.nn.transport.balance import PATIENCE, ROUGH, Solution, balance, rounding
from recmm.nn.transport.kernels import DenseCoupling, DenseKernel
from recmm.nn.transport.plans import FactoredPlan
from recmm.nn.transport.problem import Problem, squared_distances

SAMPLE = 512
"""Least number of items of the dense plan whose matched pairs are the anchors."""
ROWS = 1_024
"""Rows on which the perplexity is measured."""


class _Product:
    """T = L R^T, with L [K, r] and R [L, r]."""

    def __init__(self, left: Tensor, right: Tensor) -> None:
        self.left, self.right = left, right

    def times(self, v: Tensor) -> Tensor:
        return self.left @ (self.right.T @ v)

    def transposed_times(self, u: Tensor) -> Tensor:
        return self.right @ (self.left.T @ u)


@dataclass(frozen=True)
class _Factors:
    """The couplings of both clouds with the anchors, and what a search wants to know of them."""

    source: Solution
    target: Solution
    product: _Product
    epsilon: float
    perplexity: float
    error: float


def solve_lowrank(problem: Problem) -> FactoredPlan:
    """T = P_x diag(r / N) P_y^T: both clouds are coupled with r anchors of equal mass, which couples them.

    A factored coupling (Forrow et al., AISTATS 2019) with fixed anchors: the midpoints of pairs that a dense plan of a
    sample matches. P_x and P_y are entropic plans between a cloud and the anchors; nothing larger than N x r is
    formed. Epsilon is theirs, hence not comparable with that of the other methods; the perplexity is measured on a
    fixed sample of rows. An anchor that holds few items wants whole ones: the last per cent of the marginals is then
    not worth its iterations, and is spread over all pairs (``rounding``).

    What POT offers for the whole problem was tried first. ``lowrank_sinkhorn`` (Scetbon et al., 2021) does not leave
    the uniform plan from a random start (2,000 TikTok items, rank 128, reg=0: perplexity 1,999.9 after 6.6 s), and its
    k-means start needs scikit-learn; ``ot.factored`` iterates on the bare kernel, and anchors that move collapse into
    one while epsilon is large. So POT's Sinkhorn serves for P_x and P_y.
    """
    part = problem.sample(max(SAMPLE, problem.settings.rank), 1.0)
    matched = part.settle(part.dense_kernel(), part.begin(), final=False)
    midpoints = (part.x + _matrix(matched) @ part.y / part.source.mass[:, None]) / 2
    # atoms are sorted by their rows: the first ones would all lie at one end of the cloud
    chosen = torch.randperm(len(midpoints), generator=torch.Generator().manual_seed(0))[: problem.settings.rank]
    anchors = midpoints[chosen.to(midpoints.device)]
    mass = anchors.new_full((len(anchors),), len(problem.source.labels) / len(anchors))
    clouds = ((problem.x, problem.source), (problem.y, problem.target))
    kernels = [DenseKernel(squared_distances(points, anchors), atoms.mass, mass) for points, atoms in clouds]
    rows = problem.source.labels[:: -(-len(problem.source.labels) // ROWS)]
    limit = min(PATIENCE, problem.settings.max_iterations)

    def couple(start: _Factors | None, epsilon: float, tolerance: float = ROUGH) -> _Factors:
        if start is None:
            starts = [(torch.zeros_like(kernel.row_mass), torch.zeros_like(mass)) for kernel in kernels]
        else:
            starts = [(side.f, side.g) for side in (start.source, start.target)]
        source, target = (balance(k, s, epsilon, tolerance, limit) for k, s in zip(kernels, starts, strict=True))
        product = _Product(_matrix(source), _matrix(target) / mass)
        perplexity = _perplexity(product.left[rows] / problem.source.mass[rows, None], product.right)
        return _Factors(source, target, product, epsilon, perplexity, max(source.error, target.error))

    found = problem.search(couple, problem.spread)
    final = couple(found, found.epsilon, problem.settings.tolerance)
    correction = rounding(final.product, problem.source.mass, problem.target.mass)
    return FactoredPlan(
        problem.source,
        problem.target,
        torch.cat([correction.rows[:, None] * final.product.left, correction.a[:, None]], 1).float(),
        torch.cat([correction.columns[:, None] * final.product.right, correction.b[:, None]], 1).float(),
        method="lowrank",
        epsilon=final.epsilon,
        perplexity=final.perplexity,
        potentials=None,
    )


def _matrix(solution: Solution) -> Tensor:
    assert isinstance(solution.coupling, DenseCoupling)
    return solution.coupling.matrix


def _perplexity(left: Tensor, right: Tensor) -> float:
    """exp of the mean entropy of the rows of left right^T."""
    entropies = [torch.special.entr(part @ right.T).sum(1) for part in left.split(256)]
    return math.exp(float(torch.cat(entropies).mean()))
