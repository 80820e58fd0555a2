"""Entropic transport with the whole plan."""

import torch

from recmm.nn.transport.kernels import DenseCoupling
from recmm.nn.transport.plans import DensePlan
from recmm.nn.transport.problem import Problem


def solve_dense(problem: Problem) -> DensePlan:
    """The entropic plan itself; some five matrices between all atoms, in float64, are in memory at a time."""
    kernel = problem.dense_kernel()
    solution = problem.settle(kernel, problem.begin(), final=True)
    assert isinstance(solution.coupling, DenseCoupling)
    correction = problem.rounding(kernel, solution)
    matrix = correction.rows[:, None] * solution.coupling.matrix * correction.columns
    return DensePlan(
        problem.source,
        problem.target,
        (matrix + torch.outer(correction.a, correction.b)).float(),
        method="dense",
        epsilon=solution.epsilon,
        perplexity=solution.perplexity,
        potentials=problem.of_items(solution),
    )
