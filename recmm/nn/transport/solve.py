"""The one entry: two clouds and settings in, a plan out."""

from dataclasses import replace

import torch
from torch import Tensor

from recmm.errors import ConfigError, NonFiniteLossError
from recmm.nn.transport.atoms import distinct, separate
from recmm.nn.transport.dense import solve_dense
from recmm.nn.transport.lowrank import solve_lowrank
from recmm.nn.transport.plans import FactoredPlan, Plan
from recmm.nn.transport.problem import Problem
from recmm.nn.transport.settings import TransportSettings
from recmm.nn.transport.sparse import solve_sparse

DENSE_UP_TO = 500
"""Items from which on ``auto`` is sparse. On Last.fm-2K (1,425 items, three pairs, one thread) a first solve takes 19 s
dense and 6 s sparse, and T y of the two have cosines of .997 to 1."""
CONSTANT = 1e-10
"""Variance relative to the mean square below which a cloud is one point; float32 rounding stays below it."""


@torch.no_grad()
def solve(
    source: Tensor,
    target: Tensor,
    settings: TransportSettings,
    start: Plan | None = None,
    epsilon: float | None = None,
) -> Plan:
    """The entropic coupling of two clouds of the same N items (CI2MG Eq. 6-8).

    T minimises <T, C> + epsilon sum T log T over matrices with unit row and column sums, C_ij = ||x_i - y_j||^2; T y
    is the barycentric projection of the source into the target's space.

    What the paper leaves open: epsilon and the scale of C (Eq. 6 has none), the number of iterations, the marginals'
    mass and what "1_m" of Eq. 8 counts (read as items, as T is N x N there), whether an item prefers itself, whether
    gradients pass (here none do). The choices matter: on 2,000 TikTok items at initialisation, epsilon = 0.05 mean(C)
    gives rows of perplexity 1,991, that is nearly one generated vector for all; and from 0.01 mean(C) on the kernel
    underflows in float32 while the rows still hold about 1,970 items, because the clouds' centres are far apart. So
    clouds are centred (a translation changes no coupling), kernels hold their potentials, and by default the perplexity
    is chosen instead of epsilon.

    A pure function: no gradient, no global random state. A cloud whose rows are all equal (a modality that nobody
    observed) has the uniform plan, of perplexity N, whatever the method and the bonus; so has N = 1.

    Args:
        source, target: float [N, d].
        start: a plan of the same items from earlier on; its potentials and its epsilon are where the solve begins.
        epsilon: an absolute one, of an earlier plan; given, neither ``settings.epsilon`` nor the perplexity count.

    Raises:
        ConfigError: settings that this N does not allow; clouds of different shape.
        NonFiniteLossError: NaN or infinite rows.
    """
    if source.dim() != 2 or source.shape != target.shape or not len(source):
        raise ConfigError(f"transport: two clouds [N, d] are needed, not {list(source.shape)}, {list(target.shape)}.")
    if not (source.isfinite().all() and target.isfinite().all()):
        raise NonFiniteLossError("The embeddings that transport couples are NaN or infinite. Lower model.training.lr.")
    if epsilon is not None and not 0 < epsilon < float("inf"):
        raise ConfigError(f"transport: epsilon={epsilon!r} of an earlier plan; expected a positive number.")
    n = len(source)
    method = settings.method
    if method == "auto":
        method = "dense" if n <= DENSE_UP_TO else "sparse"
    if n == 1 or _constant(source) or _constant(target):
        return _uniform(source, method)
    problem = _problem(source, target, settings, start, epsilon)
    _check(problem, method, n)
    return {"dense": solve_dense, "sparse": solve_sparse, "lowrank": solve_lowrank}[method](problem)


def spread(x: Tensor) -> float:
    """1 - ||mean row||^2 / mean ||row||^2 of x [N, d], in [0, 1]: 0 where all rows are one vector."""
    x = x.detach().double()
    total = x.square().sum(1).mean()
    return float(((x - x.mean(0)).square().sum(1).mean() / total.clamp_min(torch.finfo(total.dtype).tiny)).clamp(0, 1))


def _constant(x: Tensor) -> bool:
    return spread(x) <= CONSTANT


def _uniform(source: Tensor, method: str) -> FactoredPlan:
    n, atoms = len(source), separate(source)
    one = torch.ones(n, 1, device=source.device)
    return FactoredPlan(atoms, atoms, one, one / n, method=method, epsilon=0.0, perplexity=float(n), potentials=None)


def _problem(
    source: Tensor, target: Tensor, settings: TransportSettings, start: Plan | None, epsilon: float | None
) -> Problem:
    x, y = source.double(), target.double()
    shift = float((x.mean(0) - y.mean(0)).square().sum())
    x, y = x - x.mean(0), y - y.mean(0)
    spread_of_cost = float(x.square().sum(1).mean() + y.square().sum(1).mean())
    mean_cost = spread_of_cost + shift
    if epsilon is None and settings.epsilon is not None:
        epsilon = settings.epsilon * mean_cost
    group = separate if settings.diagonal_bonus else distinct
    rows, columns = group(x), group(y)
    problem = Problem(
        rows,
        columns,
        x[rows.first()],
        y[columns.first()],
        spread_of_cost,
        settings.diagonal_bonus * mean_cost,
        epsilon,
        settings.perplexity,
        settings,
        None,
    )
    return problem if start is None else replace(problem, start=problem.start_from(start))


def _check(problem: Problem, method: str, n: int) -> None:
    settings = problem.settings
    if problem.epsilon is None and settings.perplexity >= n:
        raise ConfigError(
            f"{settings.key}.perplexity={settings.perplexity:g} is not below the number of items, {n}: lower it."
        )
    if method == "lowrank":
        if problem.epsilon is None and settings.rank < n / settings.perplexity:
            raise ConfigError(
                f"{settings.key}.rank={settings.rank} cannot reach perplexity={settings.perplexity:g} on {n:,} items: "
                f"rows of a plan of rank r hold at least N / r of them. Set rank to at least "
                f"{-(-n // settings.perplexity):.0f}, raise perplexity, or choose method=sparse."
            )
        if settings.diagonal_bonus:
            raise ConfigError(
                f"{settings.key}.diagonal_bonus does not go with method=lowrank: the diagonal has full rank."
            )
