"""One transport problem: two centred clouds, their cost, what is wanted of the plan."""

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from recmm.nn.transport.atoms import Atoms
from recmm.nn.transport.balance import PATIENCE, ROUGH, STRIDE, Found, Rounding, Solution, balance, rounding, search
from recmm.nn.transport.kernels import DenseKernel, Kernel, Pair
from recmm.nn.transport.plans import Plan, Potentials
from recmm.nn.transport.settings import TransportSettings

log = logging.getLogger(__name__)

SMALLEST = 1e-9
"""Smallest epsilon of a search, relative to the centred clouds' mean cost: below it doubles resolve no potentials."""
LARGEST = 1e3
"""Largest epsilon of a search, relative to the same: beyond it every plan is uniform."""
EDGE_CHUNK = 2**14
MOVED = 0.05
"""Share of the mass that rounding may move without a word."""


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """||x_i - y_j||^2 of rows [N, d] and [M, d]: [N, M]."""
    squares = x.square().sum(1)[:, None] + y.square().sum(1)
    return torch.addmm(squares, x, y.T, alpha=-2).clamp_min_(0)


class Start(NamedTuple):
    """Potentials of the atoms and the epsilon that they belong to."""

    potentials: Pair
    epsilon: float


@dataclass(frozen=True)
class Problem:
    """The atoms of two clouds, each cloud centred: a translation changes no coupling, it moves into the potentials.

    Attributes:
        source, target: which items make up an atom.
        x, y: float64 [K, d] and [L, d], the atoms' rows.
        spread: mean cost between the centred clouds, over pairs of items.
        bonus: what the cost of the diagonal is lowered by; where it is not zero every item is an atom.
        epsilon: the wanted one, in units of the cost; None: found from the perplexity.
        perplexity: the wanted one.
        start: where to begin, from an earlier plan.
    """

    source: Atoms
    target: Atoms
    x: Tensor
    y: Tensor
    spread: float
    bonus: float
    epsilon: float | None
    perplexity: float
    settings: TransportSettings
    start: Start | None

    def cost(self) -> Tensor:
        """C [K, L]."""
        cost = squared_distances(self.x, self.y)
        if self.bonus:
            cost.diagonal().sub_(self.bonus)
        return cost

    def cost_of(self, rows: Tensor, columns: Tensor) -> Tensor:
        """C_AB of the pairs (A, B), [n]."""
        pairs = zip(rows.split(EDGE_CHUNK), columns.split(EDGE_CHUNK), strict=True)
        cost = torch.cat([(self.x.index_select(0, i) - self.y.index_select(0, j)).square_().sum(1) for i, j in pairs])
        return cost - self.bonus * (rows == columns)

    def dense_kernel(self) -> DenseKernel:
        return DenseKernel(self.cost(), self.source.mass, self.target.mass, self.settings.domain)

    def sample(self, n: int, smallest_perplexity: float) -> "Problem":
        """The problem of n random items, always the same ones; rows as wide relative to n, but at least that wide."""
        items = torch.randperm(len(self.source.labels), generator=torch.Generator().manual_seed(0))[:n]
        points, sides = [], []
        for atoms, rows in ((self.source, self.x), (self.target, self.y)):
            used, labels = torch.unique(atoms.labels[items.to(rows.device)], return_inverse=True)
            points.append(rows[used])
            sides.append(Atoms(labels))
        share = len(items) / len(self.source.labels)
        wanted = max(min(max(self.perplexity * share, smallest_perplexity), len(points[1]) / 2), 1.0)
        return Problem(
            sides[0], sides[1], points[0], points[1], self.spread, self.bonus, None, wanted, self.settings, None
        )

    def begin(self) -> Start:
        """The start, or no potentials at a large epsilon."""
        return self.start or Start((torch.zeros_like(self.x[:, 0]), torch.zeros_like(self.y[:, 0])), self.spread)

    def settle(self, kernel: Kernel, start: Start, *, final: bool) -> Solution:
        """Potentials at the wanted epsilon or perplexity; to the settings' tolerance if ``final``, else roughly."""

        def rough(previous: Solution | None, epsilon: float) -> Solution:
            potentials = (previous.f, previous.g) if previous else start.potentials
            return balance(kernel, potentials, epsilon, ROUGH, min(PATIENCE, self.settings.max_iterations))

        found = self.search(rough, start.epsilon)
        if not final:
            return found
        return balance(kernel, (found.f, found.g), found.epsilon, self.settings.tolerance, self.settings.max_iterations)

    def search(self, solve: Callable[[Found | None, float], Found], epsilon: float) -> Found:
        """The result of ``solve`` at the wanted epsilon, or at the one that gives the wanted perplexity."""
        if self.epsilon is None:
            largest = LARGEST * (self.spread + self.bonus)
            return search(solve, epsilon, self.perplexity, smallest=SMALLEST * self.spread, largest=largest)
        result = None
        while epsilon > self.epsilon * 1.0001:  # potentials adapt in steps of epsilon: from large ones to the small one
            result = solve(result, epsilon)
            epsilon /= math.exp(STRIDE)
        return solve(result, self.epsilon)

    def rounding(self, kernel: Kernel, solution: Solution) -> Rounding:
        """What makes the plan feasible whose solve ended before its columns had their mass to the last digit."""
        correction = rounding(solution.coupling, kernel.row_mass, kernel.mass)
        moved = float(correction.b.sum() / kernel.mass.sum())
        if moved > MOVED:
            log.warning(
                "The solve of a transport plan ended at max_iterations=%d with %.0f %% of its mass at the wrong place; "
                "that part is spread over all pairs. Raise max_iterations, epsilon or perplexity of %s.",
                self.settings.max_iterations,
                100 * moved,
                self.settings.key,
            )
        return correction

    # ------------------------------------------------------------------ potentials of items, which outlive the atoms

    def of_items(self, solution: Solution) -> Potentials:
        """f_i = f_A - epsilon log mass_A, float64 [N] each."""
        parts = ((self.source, solution.f), (self.target, solution.g))
        return Potentials(*((p - solution.epsilon * a.mass.log())[a.labels] for a, p in parts))

    def start_from(self, plan: Plan) -> Start | None:
        """The potentials of an earlier plan of the same items, where they can still be of use."""
        if plan.potentials is None or not plan.epsilon or plan.n_items != len(self.source.labels):
            return None
        parts = ((self.source, plan.potentials.f), (self.target, plan.potentials.g))
        f, g = (p.to(self.x.device)[a.first()] + plan.epsilon * a.mass.log() for a, p in parts)
        # a cloud that has shrunk or grown by orders of magnitude makes them worthless
        return Start((f, g), plan.epsilon) if SMALLEST < plan.epsilon / self.spread < 1 else None
