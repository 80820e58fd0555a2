"""Transport plans on made clouds: against POT's exact solution, against each other, and where numbers get extreme."""

import sys
from collections.abc import Callable
from pathlib import Path

import ot
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from recmm.errors import ConfigError, NonFiniteLossError
from recmm.nn.transport import Plan, TransportSettings, plan_from_state, problem, solve, spread

Clouds = tuple[Tensor, Tensor]
N = 160


def settings(method: str, **changes: object) -> TransportSettings:
    return TransportSettings(**{"method": method, "perplexity": 12.0, "n_neighbours": 48, "rank": 40} | changes)  # type: ignore[arg-type]


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def plain() -> Clouds:
    """Two linear views of one latent cloud."""
    latent = normal(N, 4)
    return latent @ normal(4, 8, seed=1), latent @ normal(4, 8, seed=2) + 0.3 * normal(N, 8, seed=3)


def far_apart() -> Clouds:
    x, y = plain()
    return x, y + 100.0


def clustered() -> Clouds:
    """Clusters of unequal size whose distance is 100 times their width, one item far off."""
    centres = 10 * normal(5, 8, seed=4)
    label = torch.multinomial(1 / torch.arange(1.0, 6.0), N, True, generator=torch.Generator().manual_seed(0))
    x, y = (centres[label] + 0.1 * normal(N, 8, seed=seed) for seed in (5, 6))
    x[0] *= 30
    return x, y


def repeated() -> Clouds:
    """Half of the items share one row, as where a mean was imputed."""
    x, y = (cloud.clone() for cloud in plain())
    x[: N // 2], y[N // 4 : 3 * N // 4] = x[0], y[-1]
    return x, y


CLOUDS = [plain, far_apart, clustered, repeated]


def matrix(plan: Plan) -> Tensor:
    return plan.apply(torch.eye(plan.n_items))


def exact(x: Tensor, y: Tensor, epsilon: float, start: Plan | None = None) -> Tensor:
    """POT's log-domain solution between all items, unit marginals; a start only spares it iterations."""
    x, y = x.double() - x.double().mean(0), y.double() - y.double().mean(0)
    ones = torch.ones(len(x), dtype=torch.float64)
    warm = (
        None
        if start is None or start.potentials is None
        else (start.potentials.f / epsilon, start.potentials.g / epsilon)
    )
    cost = torch.cdist(x, y).square()
    return ot.bregman.sinkhorn_log(ones, ones, cost, epsilon, 3_000, 1e-6, warn=False, warmstart=warm)


def perplexity(rows: Tensor) -> float:
    return float((torch.special.entr(rows).sum(1)).mean().exp())


# ---------------------------------------------------------------------- what every plan is


@pytest.mark.parametrize("method", ["dense", "sparse", "lowrank"])
@pytest.mark.parametrize("clouds", CLOUDS)
def test_marginals_of_every_method_on_every_cloud(method: str, clouds: Callable[[], Clouds]) -> None:
    plan = solve(*clouds(), settings(method))
    dense = matrix(plan)
    error = max(float((dense.sum(axis) - 1).abs().max()) for axis in (0, 1))
    assert dense.isfinite().all() and float(dense.min()) >= 0
    assert error <= 1e-3 and plan.marginal_error == pytest.approx(error, abs=1e-5)
    assert torch.allclose(plan.apply_transposed(torch.eye(N)), dense.T, atol=1e-6)
    assert plan.method == method


@pytest.mark.parametrize("clouds", CLOUDS)
@pytest.mark.parametrize("domain", ["kernel", "log"])
def test_dense_is_the_exact_solution(clouds: Callable[[], Clouds], domain: str) -> None:
    x, y = clouds()
    plan = solve(x, y, settings("dense", domain=domain))
    assert plan.epsilon > 0
    # without a start POT would need minutes where clusters are far apart
    start = plan if clouds is clustered else None
    assert (matrix(plan) - exact(x, y, plan.epsilon, start)).abs().sum(1).max() < 0.02


def test_sparse_with_all_candidates_is_the_exact_solution() -> None:
    x, y = plain()
    plan = solve(x, y, settings("sparse", n_neighbours=N))
    assert (matrix(plan) - exact(x, y, plan.epsilon)).abs().sum(1).mean() < 0.1  # what was dropped as negligible


@pytest.mark.parametrize("clouds", [plain, far_apart, clustered])
def test_sparse_generates_what_dense_generates(clouds: Callable[[], Clouds]) -> None:
    x, y = clouds()
    generated = [solve(x, y, settings(method)).apply(y) for method in ("dense", "sparse")]
    a, b = (rows - rows.mean(0) for rows in generated)
    assert F.cosine_similarity(a, b).mean() > 0.95


def test_lowrank_generates_nearly_what_dense_generates() -> None:
    x, y = plain()
    a, b = (solve(x, y, settings(method)).apply(y) for method in ("dense", "lowrank"))
    assert F.cosine_similarity(a - a.mean(0), b - b.mean(0)).mean() > 0.7


@pytest.mark.parametrize("method", ["dense", "sparse", "lowrank"])
@pytest.mark.parametrize("wanted", [6.0, 20.0])
def test_perplexity_is_what_was_asked_for(method: str, wanted: float) -> None:
    plan = solve(*plain(), settings(method, perplexity=wanted))
    assert plan.perplexity == pytest.approx(wanted, rel=0.1)
    assert perplexity(matrix(plan)) == pytest.approx(plan.perplexity, rel=0.05)


def test_equal_rows_count_once_in_the_perplexity() -> None:
    x, y = repeated()
    plan = solve(x, y, settings("dense"))
    _, group = torch.unique(y, dim=0, return_inverse=True)
    rows = torch.zeros(N, int(group.max()) + 1).index_add(1, group, matrix(plan))
    assert plan.n_distinct == rows.shape[1]
    assert perplexity(rows) == pytest.approx(plan.perplexity, rel=0.02) and plan.perplexity == pytest.approx(
        12, rel=0.1
    )
    equal = (x == x[0]).all(1)
    assert torch.allclose(plan.apply(y)[equal], plan.apply(y)[0], atol=1e-4)


# ---------------------------------------------------------------------- properties


@pytest.mark.parametrize("method", ["dense", "sparse"])
def test_a_copy_of_a_cloud_couples_with_itself_as_epsilon_falls(method: str) -> None:
    x, _ = plain()
    shares = [
        float(matrix(solve(x, x.clone(), settings(method, epsilon=e))).diagonal().mean()) for e in (0.1, 0.01, 1e-4)
    ]
    assert shares[0] < shares[1] < shares[2] and shares[2] > 0.999


@pytest.mark.parametrize("method", ["dense", "sparse"])
def test_a_permutation_of_the_items_permutes_the_plan(method: str) -> None:
    x, y = plain()
    order = torch.randperm(N, generator=torch.Generator().manual_seed(1))
    straight, permuted = (matrix(solve(a, b, settings(method))) for a, b in ((x, y), (x[order], y[order])))
    assert (permuted - straight[order][:, order]).abs().sum(1).mean() < 0.05


@pytest.mark.parametrize("method", ["dense", "sparse"])
def test_a_translation_changes_no_plan(method: str) -> None:
    x, y = plain()
    a, b = (matrix(solve(x, y + shift, settings(method))) for shift in (0.0, 7.0))
    assert (a - b).abs().sum(1).mean() < 0.02


@pytest.mark.parametrize("method", ["dense", "sparse"])
@pytest.mark.parametrize("clouds", CLOUDS)
def test_stable_where_the_bare_kernel_underflows(method: str, clouds: Callable[[], Clouds]) -> None:
    x, y = clouds()
    cost = torch.cdist(x, y).square()
    smallest = 0.002 * cost.mean()
    if clouds is far_apart:
        assert (-cost / smallest).exp().sum() == 0  # nothing at all is left of the kernel
    plan = solve(x, y, settings(method, epsilon=0.002))
    assert plan.marginal_error <= 1e-3 and plan.apply(y).isfinite().all()
    assert plan.epsilon == pytest.approx(float(smallest), rel=1e-3)


def test_a_bonus_holds_items_to_themselves() -> None:
    x, y = plain()
    for method in ("dense", "sparse"):
        kept = [
            float(matrix(solve(x, y, settings(method, epsilon=0.05, diagonal_bonus=kappa))).diagonal().mean())
            for kappa in (0.0, 0.2, 10.0)
        ]
        assert kept[0] < kept[1] < kept[2] and kept[2] > 0.99
    with pytest.raises(ConfigError, match="diagonal_bonus"):
        solve(x, y, settings("lowrank", diagonal_bonus=0.1))


@pytest.mark.parametrize("method", ["dense", "sparse", "lowrank"])
def test_a_warm_start_ends_where_a_cold_one_ends(method: str) -> None:
    x, y = plain()
    before = solve(x + 0.05 * normal(N, 8, seed=9), y, settings(method))
    cold, warm = solve(x, y, settings(method)), solve(x, y, settings(method), start=before)
    assert warm.perplexity == pytest.approx(cold.perplexity, rel=0.05)
    fixed = [solve(x, y, settings(method), start=start, epsilon=cold.epsilon) for start in (None, before)]
    assert fixed[0].epsilon == fixed[1].epsilon == pytest.approx(cold.epsilon, rel=1e-9)
    assert (matrix(fixed[0]) - matrix(fixed[1])).abs().sum(1).mean() < 0.02


@pytest.mark.parametrize("method", ["dense", "sparse", "lowrank"])
def test_deterministic_and_without_trace_in_global_randomness(method: str) -> None:
    x, y = plain()
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first = solve(x, y, settings(method))
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(4)
    assert torch.equal(matrix(first), matrix(solve(x, y, settings(method))))


# ---------------------------------------------------------------------- the plan as an object


@pytest.mark.parametrize("method", ["dense", "sparse", "lowrank"])
def test_a_plan_survives_its_file(method: str, tmp_path: Path) -> None:
    x, y = repeated()
    plan = solve(x, y, settings(method))
    torch.save(plan.state(), tmp_path / "plan.pt")
    read = plan_from_state(torch.load(tmp_path / "plan.pt", weights_only=True), "cpu")
    assert torch.equal(plan.apply(y), read.apply(y)) and torch.equal(plan.apply_transposed(x), read.apply_transposed(x))
    for name in ("method", "epsilon", "perplexity", "marginal_error"):
        assert getattr(plan, name) == getattr(read, name)
    continued = [matrix(solve(x, y, settings(method), start=start)) for start in (plan, read)]
    assert torch.equal(*continued)
    assert plan.to("cpu") is plan


@pytest.mark.parametrize("method", ["dense", "sparse", "lowrank"])
def test_gradients_pass_through_what_is_mapped(method: str) -> None:
    x, y = repeated()
    plan = solve(x.requires_grad_(), y, settings(method))
    rows = normal(N, 3, seed=7).requires_grad_()
    towards = normal(N, 3, seed=8)
    for forward, backward in ((plan.apply, plan.apply_transposed), (plan.apply_transposed, plan.apply)):
        (gradient,) = torch.autograd.grad((forward(rows) * towards).sum(), rows)
        assert torch.allclose(gradient, backward(towards), atol=1e-5)
    assert not plan.apply(y).requires_grad  # a plan is detached from the clouds that it couples


def test_spread() -> None:
    assert spread(torch.ones(5, 3) * 7.3) == pytest.approx(0, abs=1e-12) and spread(torch.zeros(4, 2)) == 0
    assert spread(torch.tensor([[1.0, 0.0], [-1.0, 0.0]])) == 1
    assert spread(torch.tensor([[1.0, 0.0], [0.0, 1.0]])) == pytest.approx(0.5)


# ---------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("method", "exact"),
        ("domain", "fourier"),
        ("epsilon", 0.0),
        ("epsilon", -1.0),
        ("epsilon", float("nan")),
        ("epsilon", float("inf")),
        ("epsilon", True),
        ("perplexity", 0.5),
        ("perplexity", float("nan")),
        ("n_neighbours", 0),
        ("n_neighbours", 20),
        ("n_neighbours", 64.5),
        ("rank", 0),
        ("max_iterations", 0),
        ("tolerance", 0.0),
        ("tolerance", 0.01),
        ("diagonal_bonus", -0.1),
        ("refresh", 0),
        ("refresh", "never"),
    ],
)
def test_settings_out_of_range(key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=rf"^model\.transport\.{key}\b"):
        TransportSettings(**{key: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("method", ["dense", "sparse", "lowrank"])
def test_a_perplexity_of_all_items_is_refused(method: str) -> None:
    with pytest.raises(ConfigError, match="perplexity"):
        solve(*plain(), settings(method, perplexity=float(N), n_neighbours=2 * N))


def test_a_rank_that_cannot_reach_the_perplexity_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"rank=13 .*at least 14"):
        solve(*plain(), settings("lowrank", rank=13))
    assert solve(*plain(), settings("lowrank", rank=13, epsilon=0.1)).marginal_error <= 1e-3


def test_clouds_that_do_not_fit() -> None:
    x, y = plain()
    for source, target in ((x, y[1:]), (x[0], y[0]), (x[:0], y[:0])):
        with pytest.raises(ConfigError, match="clouds"):
            solve(source, target, settings("dense"))
    broken = x.clone()
    broken[3, 1] = torch.nan
    with pytest.raises(NonFiniteLossError):
        solve(broken, y, settings("sparse"))
    with pytest.raises(ConfigError, match="epsilon"):
        solve(x, y, settings("dense"), epsilon=0.0)


@pytest.mark.parametrize("method", ["dense", "sparse", "lowrank"])
def test_a_modality_that_nobody_observed_couples_uniformly(method: str) -> None:
    x, y = plain()
    constant = torch.full_like(x, 0.1)
    for source, target in ((x, constant), (constant, y), (constant, constant)):
        plan = solve(source, target, settings(method))
        assert torch.allclose(plan.apply(y), y.mean(0).expand(N, -1), atol=1e-5)
        assert plan.perplexity == N and plan.marginal_error <= 1e-5
        assert solve(x, y, settings(method), start=plan).perplexity == pytest.approx(12, rel=0.1)


@pytest.mark.parametrize("method", ["dense", "sparse", "lowrank"])
def test_one_and_two_items(method: str) -> None:
    assert matrix(solve(torch.ones(1, 3), torch.zeros(1, 3), settings(method))).tolist() == [[1.0]]
    x, y = torch.tensor([[0.0], [1.0]]), torch.tensor([[0.0], [3.0]])
    with pytest.raises(ConfigError, match="perplexity"):
        solve(x, y, settings(method))
    plan = solve(x, y, settings(method, perplexity=1.2, rank=2))
    assert plan.marginal_error <= 1e-3 and matrix(plan)[0, 0] > 0.5


def test_the_default_is_chosen_by_the_number_of_items(monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules[solve.__module__]  # the package exports the function under the module's name
    monkeypatch.setattr(module, "DENSE_UP_TO", N)
    assert solve(*plain(), settings("auto")).method == "dense"
    monkeypatch.setattr(module, "DENSE_UP_TO", N - 1)
    assert solve(*plain(), settings("auto")).method == "sparse"


@pytest.mark.parametrize("method", ["dense", "sparse"])
def test_a_solve_that_is_cut_short_is_made_feasible_and_says_so(
    method: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    x, y = plain()
    monkeypatch.setattr(problem, "MOVED", 0.005)
    plan = solve(x, y, settings(method, epsilon=1e-4, max_iterations=1))
    assert "max_iterations" in caplog.text
    assert plan.marginal_error <= 1e-3 and plan.apply(y).isfinite().all()
