"""Entropic transport on a sparse support: every item couples with its candidate neighbours only."""

import torch
from torch import Tensor

from recmm.nn.neighbours import nearest
from recmm.nn.transport.balance import Solution
from recmm.nn.transport.kernels import SparseCoupling, SparseKernel
from recmm.nn.transport.plans import SparsePlan
from recmm.nn.transport.problem import Problem, Start

SAMPLE = (256, 1_024)
"""Least and most items of the dense problem from which potentials are extrapolated; between them a quarter of all."""
COARSEST = 8.0
"""Perplexity below which the sample's plan would be a permutation, whose potentials say little of other items."""
FROM_ABOVE = 8.0
"""From how many times an earlier plan's epsilon a solve comes down."""
NEGLIGIBLE = 0.3
"""Entries below this share of what a uniform row and a uniform column would hold are dropped."""
JITTER = 0.1
"""Size, in units of epsilon, of the noise on the reduced cost by which equal candidates are shared out."""


def solve_sparse(problem: Problem) -> SparsePlan:
    """The entropic plan on a support that holds what the dense plan would hold.

    The entries that matter in row i are those of lowest C_ij - g_j, not of lowest C_ij: between clouds of different
    shape the nearest neighbours are a few hubs. So potentials come first, from a dense plan of a sample, extended to
    all atoms by the soft c-transform. The support is the ``n_neighbours`` of lowest reduced cost in each row and in
    each column, and the pairs of atoms that some item joins, the diagonal. Entries that turn out to hold next to
    nothing are dropped at the end, because every training step pays for every entry.
    """
    coarse = _coarse(problem)
    rows, columns = _support(problem, coarse)
    kernel = SparseKernel(rows, columns, problem.cost_of(rows, columns), problem.source.mass, problem.target.mass)
    # the sample's potentials are too rough for a small epsilon, and earlier ones worse if the clouds have moved since
    begin = problem.spread if problem.start is None else min(problem.start.epsilon * FROM_ABOVE, problem.spread)
    solution = problem.settle(kernel, coarse._replace(epsilon=begin), final=False)
    kept = _kept(problem, kernel, solution)
    kernel = SparseKernel(kernel.rows[kept], kernel.columns[kept], kernel.cost[kept], kernel.row_mass, kernel.mass)
    solution = problem.settle(kernel, Start((solution.f, solution.g), solution.epsilon), final=True)
    assert isinstance(solution.coupling, SparseCoupling)
    correction = problem.rounding(kernel, solution)
    values = correction.rows[kernel.rows] * solution.coupling.values * correction.columns[kernel.columns]
    return SparsePlan(
        problem.source,
        problem.target,
        kernel.rows,
        kernel.columns,
        values.float(),
        correction.a.float(),
        correction.b.float(),
        method="sparse",
        epsilon=solution.epsilon,
        perplexity=solution.perplexity,
        potentials=problem.of_items(solution),
    )


def _coarse(problem: Problem) -> Start:
    """Potentials of all atoms, from a dense plan of a sample in which a row is about as wide, relative to N."""
    least, most = SAMPLE
    part = problem.sample(min(max(len(problem.source.labels) // 4, least), most), COARSEST)
    solution = part.settle(part.dense_kernel(), part.begin(), final=False)
    f = _extended(problem.x, part.y, solution.g, solution.epsilon)
    g = _extended(problem.y, part.x, solution.f, solution.epsilon)
    return Start((f, g), solution.epsilon)


def _extended(points: Tensor, sample: Tensor, potential: Tensor, epsilon: float) -> Tensor:
    """The soft c-transform -epsilon log sum_s exp((potential_s - ||point - s||^2) / epsilon) of all points, [N]."""
    squares = sample.square().sum(1)
    parts = []
    for part in points.split(4096):
        cost = torch.addmm(squares, part, sample.T, alpha=-2).add_(part.square().sum(1, keepdim=True))
        parts.append(-epsilon * torch.logsumexp((potential - cost).div_(epsilon), 1))
    return torch.cat(parts)


def _support(problem: Problem, start: Start) -> tuple[Tensor, Tensor]:
    """Rows and columns [n_entries], sorted: the candidates of both directions and the diagonal."""
    n_rows, n_columns, k = len(problem.x), len(problem.y), problem.settings.n_neighbours
    (f, g), epsilon = start
    columns = nearest(_query(problem.x), _lifted(problem.y, problem.x, g, epsilon), min(k, n_columns))
    rows = nearest(_query(problem.y), _lifted(problem.x, problem.y, f, epsilon), min(k, n_rows))
    by_row = torch.arange(n_rows, device=rows.device)[:, None] * n_columns + columns
    by_column = rows * n_columns + torch.arange(n_columns, device=rows.device)[:, None]
    keys = torch.unique(torch.cat([by_row.flatten(), by_column.flatten(), _diagonal(problem)]))
    return keys // n_columns, keys % n_columns


def _diagonal(problem: Problem) -> Tensor:
    """int64: row * n_columns + column of the pairs of atoms that an item joins: these alone can carry a plan."""
    return problem.source.labels * len(problem.y) + problem.target.labels


def _query(points: Tensor) -> Tensor:
    """float32 [N, d + 1]: what ``_lifted`` points are compared with."""
    return torch.cat([points, torch.zeros_like(points[:, :1])], 1).float()


def _lifted(points: Tensor, others: Tensor, potential: Tensor, epsilon: float) -> Tensor:
    """float32 [N, d + 1]: one more coordinate makes the reduced cost C - g, up to a constant, a squared distance.

    A little noise makes every query choose its own among equal points. Otherwise all queries would choose the same
    ones, and the mass of the rest would find no row (items with one and the same user are equal in two-hop means).
    """
    height = (potential.max() - potential).sqrt()[:, None]
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(points.shape, generator=generator, dtype=points.dtype).to(points.device)
    length = others.square().sum(1).mean().sqrt()
    return torch.cat([points + JITTER * epsilon / (2 * length) * noise, height], 1).float()


def _kept(problem: Problem, kernel: SparseKernel, solution: Solution) -> Tensor:
    """bool [n_entries]: the diagonal, and what matters in its row or in its column."""
    assert isinstance(solution.coupling, SparseCoupling)
    of_row = solution.coupling.values / kernel.row_mass[kernel.rows] * kernel.row_starts.diff()[kernel.rows]
    of_column = solution.coupling.values / kernel.mass[kernel.columns] * kernel.column_starts.diff()[kernel.columns]
    diagonal = torch.isin(kernel.rows * len(problem.y) + kernel.columns, _diagonal(problem))
    return (torch.maximum(of_row, of_column) > NEGLIGIBLE) | diagonal
