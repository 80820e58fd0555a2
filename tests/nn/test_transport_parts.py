"""The parts of a transport solve, and what they decide: atoms, neighbours, kernels, starts, anchors; real features."""

from collections.abc import Callable
from typing import Any

import ot
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from recmm.nn import neighbours
from recmm.nn.neighbours import nearest
from recmm.nn.transport import TransportSettings, solve
from recmm.nn.transport.atoms import Atoms, distinct, separate
from recmm.nn.transport.balance import balance, rounding
from recmm.nn.transport.kernels import DenseCoupling, DenseKernel, Kernel, SparseKernel


@pytest.fixture
def cloud() -> Callable[..., Tensor]:
    generator = torch.Generator().manual_seed(0)
    return lambda n, d, **kind: torch.randn(n, d, generator=generator, **kind)


# ---------------------------------------------------------------------- atoms


def test_atoms_by_hand() -> None:
    atoms = Atoms(torch.tensor([1, 0, 1, 2, 1]))
    x = torch.tensor([[3.0, 0], [7, 1], [6, 0], [5, 5], [0, 3]])
    assert atoms.mass.tolist() == [1, 3, 1]
    assert atoms.first().tolist() == [1, 0, 3]
    assert atoms.mean(x).tolist() == [[7, 1], [3, 1], [5, 5]]
    rows = torch.tensor([[1.0], [2], [3]])
    torch.testing.assert_close(atoms.to_items(rows), torch.tensor([[2.0], [1], [2], [3], [2]]))


def test_equal_rows_are_one_atom(cloud: Callable[..., Tensor]) -> None:
    x = cloud(6, 3)[[0, 1, 2, 1, 0, 3, 4, 5]]
    for scale in (1e-8, 1.0, 1e8):
        labels = distinct(scale * x).labels
        assert torch.equal(labels[:, None] == labels, (x[:, None] == x).all(2))
    assert len(distinct(x + 1e-3 * cloud(8, 3)).mass) == 8
    assert len(separate(x).mass) == 8 and distinct(torch.zeros(4, 2).double()).mass.tolist() == [4]


# ---------------------------------------------------------------------- neighbours


def sets(found: Tensor) -> list[set[int]]:
    return [set(row) for row in found.tolist()]


def brute_force(queries: Tensor, points: Tensor, k: int) -> list[set[int]]:
    return sets(torch.cdist(queries.double(), points.double()).topk(k, largest=False).indices)


def clusters(cloud: Callable[..., Tensor], n: int) -> Tensor:
    return (6 * cloud(n // 50, 8)).repeat_interleave(50, 0) + cloud(n, 8)


def test_nearest_is_exact_on_small_clouds(cloud: Callable[..., Tensor]) -> None:
    queries, points = cloud(70, 4), cloud(90, 4)
    assert sets(nearest(queries, points, 7)) == brute_force(queries, points, 7)
    assert sets(nearest(queries, points, 90)) == [set(range(90))] * 70


def test_nearest_of_many_points_finds_most(cloud: Callable[..., Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    points = clusters(cloud, 6_000)
    queries = points[::6] + 0.3 * cloud(1_000, 8)
    # sixteen cells for every query, as by default
    for name, value in (("EXACT", 500), ("CANDIDATES", 800), ("CELL", 50)):
        monkeypatch.setattr(neighbours, name, value)
    found, expected = sets(nearest(queries, points, 20)), brute_force(queries, points, 20)
    assert all(len(row) == 20 for row in found)
    assert sum(len(a & b) for a, b in zip(found, expected, strict=True)) / 20_000 > 0.8
    assert sets(nearest(queries[:9], points, 900))  # more than the candidates that are looked at otherwise


@pytest.mark.parametrize("limit", [10_000, 100])
def test_nearest_holds_few_distances(limit: int, cloud: Callable[..., Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    points = clusters(cloud, 1_000)
    for name, value in (("EXACT", limit), ("CANDIDATES", 300), ("CELL", 50)):
        monkeypatch.setattr(neighbours, name, value)
    expected, sizes, addmm = sets(nearest(points, points, 10)), [], torch.addmm

    def spied(*arguments: Tensor, alpha: float) -> Tensor:
        distances = addmm(*arguments, alpha=alpha)
        sizes.append(distances.numel())
        return distances

    monkeypatch.setattr(neighbours, "CHUNK", 5_000)
    monkeypatch.setattr(torch, "addmm", spied)
    assert sets(nearest(points, points, 10)) == expected
    assert max(sizes) <= 5_000


# ---------------------------------------------------------------------- kernels and balance


def kernels(cloud: Callable[..., Tensor]) -> list[Kernel]:
    """One problem of 12 x 9 with unequal masses: in both domains, and on a support that is everything."""
    cost = cloud(12, 9, dtype=torch.float64).square()
    rows, columns = torch.full((12,), 1.5, dtype=torch.float64), torch.arange(9, dtype=torch.float64) * 0.25 + 1
    i, j = torch.ones(12, 9).nonzero().unbind(1)
    sparse = SparseKernel(i, j, cost.flatten(), rows, columns)
    return [DenseKernel(cost, rows, columns), DenseKernel(cost, rows, columns, "log"), sparse]


def test_balance_of_every_kernel_equals_pot(cloud: Callable[..., Tensor]) -> None:
    for kernel in (every := kernels(cloud)):
        start = torch.zeros_like(kernel.row_mass), torch.zeros_like(kernel.mass)
        solution = balance(kernel, start, 0.1, 1e-9, 5_000)
        expected = ot.bregman.sinkhorn_log(kernel.row_mass, kernel.mass, every[0].cost, 0.1, 20_000, 1e-12, warn=False)
        torch.testing.assert_close(solution.coupling.times(torch.eye(9).double()), expected, atol=1e-7, rtol=1e-5)
        assert solution.error <= 1e-9
        rows = expected / kernel.row_mass[:, None]
        entropy = torch.special.entr(rows).sum(1) @ kernel.row_mass / kernel.row_mass.sum()
        assert solution.perplexity == pytest.approx(float(entropy.exp()), rel=1e-5)
        weights = cloud(1, 12, dtype=torch.float64)[0]
        torch.testing.assert_close(solution.coupling.column_squares(weights), weights @ expected.square())


def test_newton_steps_save_iterations() -> None:
    """Two blocks that exchange hardly anything: plain Sinkhorn needs many thousands of iterations."""
    x = torch.cat([torch.zeros(20, 1), torch.ones(20, 1)]).double() + torch.linspace(0, 0.2, 40).double()[:, None]
    y = torch.cat([torch.zeros(17, 1), torch.ones(23, 1)]).double() + torch.linspace(0, 0.2, 40).double()[:, None]
    kernel = DenseKernel(torch.cdist(x, y).square(), torch.ones(40).double(), torch.ones(40).double())
    assert balance(kernel, (torch.zeros(40).double(),) * 2, 0.02, 1e-6, 1_000).error <= 1e-6


def test_rounding_gives_both_marginals(cloud: Callable[..., Tensor]) -> None:
    matrix, rows, columns = cloud(5, 4).abs().double(), torch.full((5,), 4.0).double(), torch.full((4,), 5.0).double()
    found = rounding(DenseCoupling(matrix), rows, columns)
    rounded = found.rows[:, None] * matrix * found.columns + torch.outer(found.a, found.b)
    torch.testing.assert_close(rounded.sum(1), rows)
    torch.testing.assert_close(rounded.sum(0), columns)
    assert (rounded >= 0).all() and max(found.rows.max(), found.columns.max()) <= 1


# ---------------------------------------------------------------------- whole solves that the parts decide


def pair(n: int = 100) -> tuple[Tensor, Tensor]:
    x, noise = torch.randn(2, n, 6, generator=torch.Generator().manual_seed(1)).unbind(0)
    return x, x.roll(1, 1) * torch.linspace(0.5, 2, 6) + 0.5 * noise


def settings(method: str, **changed: Any) -> TransportSettings:
    return TransportSettings(**{"method": method, "perplexity": 8.0, "n_neighbours": 40, "rank": 60} | changed)


def likeness(a: Tensor, b: Tensor) -> float:
    """Mean cosine between rows of two projections, each less its mean."""
    return float(F.cosine_similarity(a - a.mean(0), b - b.mean(0)).mean())


def test_diagonal_bonus_equals_pot() -> None:
    x, y = pair(60)
    cost = torch.cdist(x.double(), y.double()).square()
    epsilon, ones = 0.1 * float(cost.mean()), torch.ones(60, dtype=torch.float64)
    lowered = cost - 0.3 * cost.mean() * torch.eye(60)
    expected = ot.bregman.sinkhorn_log(ones, ones, lowered, epsilon, 20_000, 1e-9, warn=False).float()
    plan = solve(x, y, settings("dense", tolerance=1e-6, diagonal_bonus=0.3), epsilon=epsilon)
    torch.testing.assert_close(plan.apply(torch.eye(60)), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1e3, 1e6])
@pytest.mark.parametrize("method", ["dense", "sparse"])
def test_start_of_another_scale(method: str, scale: float) -> None:
    x, y = pair()
    earlier = solve(scale * x, scale * y, settings(method))
    cold, warm = solve(x, y, settings(method)), solve(x, y, settings(method), start=earlier)
    assert max(plan.marginal_error for plan in (earlier, cold, warm)) <= 1e-3
    assert likeness(warm.apply(y), cold.apply(y)) > 0.99
    assert likeness(earlier.apply(y), cold.apply(y)) > 0.99


@pytest.mark.parametrize("method", ["dense", "sparse", "lowrank"])
def test_perplexity_that_few_distinct_rows_cannot_have(method: str) -> None:
    """Ten distinct rows: 20 is out of reach, and 1 is between rows of unequal mass; neither hangs."""
    x, y = (points[torch.arange(100) // (1 + 2 * i) % 10] for i, points in enumerate(pair(10)))
    wide = solve(x, y, settings(method, perplexity=20.0))
    assert wide.perplexity == pytest.approx(10, rel=0.05) and wide.marginal_error <= 1e-3
    narrow = solve(x, y, settings(method, perplexity=1.0, rank=100))
    assert narrow.perplexity < 4 and narrow.marginal_error <= 1e-3


def test_anchors_of_lowrank_lie_everywhere() -> None:
    """Two groups that vary in different directions: anchors in the first alone cannot tell the second's items apart."""
    x = torch.zeros(300, 3)
    x[150:, 0], x[:150, 1], x[150:, 2] = 20, torch.linspace(-5, 5, 150), torch.linspace(-5, 5, 150)
    moved = solve(x, x, settings("lowrank", perplexity=30.0, rank=100)).apply(x)
    for items, axis in ((slice(150), 1), (slice(150, None), 2)):
        assert float(torch.corrcoef(torch.stack([moved[items, axis], x[items, axis]]))[0, 1]) > 0.9


# ---------------------------------------------------------------------- real features
