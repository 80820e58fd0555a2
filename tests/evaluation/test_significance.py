"""Paired tests against SciPy and by hand, and the crossed bootstrap against variances that are known."""

import math
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from recmm.evaluation.significance import (
    bootstrap_interval,
    crossed_axes,
    holm,
    mcnemar_test,
    paired_t_test,
    permutation_test,
    seed_test,
    wilcoxon_test,
)

Test = Callable[[np.ndarray, np.ndarray], float]
TESTS = [permutation_test, mcnemar_test, paired_t_test, wilcoxon_test, seed_test]


def pairs(n: int, shift: float = 0.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    a = rng.random(n)
    return a, a + rng.normal(shift, 1, n)


def scipy_permutation(a: np.ndarray, b: np.ndarray) -> float:
    """All sign flips: SciPy's permutation of the two labels within each pair."""
    return stats.permutation_test(
        (a, b), lambda x, y, axis: np.mean(x - y, axis=axis), permutation_type="samples", n_resamples=np.inf
    ).pvalue


@pytest.mark.parametrize("seed", range(3))
def test_permutation_enumerates_few_pairs_as_scipy_does(seed: int) -> None:
    a, b = pairs(9, shift=0.6, seed=seed)
    assert permutation_test(a, b) == pytest.approx(scipy_permutation(a, b), abs=1e-12)


def test_permutation_counts_equal_sums_as_equal() -> None:
    """Thirds, as averages over three seeds are, whose sums differ in the last bit by the order of adding."""
    a, b = np.array([1, 2, 1, 2, 3, 0, 1, 1]) / 3, np.array([0, 1, 2, 0, 1, 1, 0, 0]) / 3
    whole = permutation_test(3 * a, 3 * b)
    assert permutation_test(a, b) == whole == pytest.approx(scipy_permutation(3 * a, 3 * b), abs=1e-12)


def test_permutation_by_hand() -> None:
    # Differences 1, 2, 3: of the 8 signs only +++ and --- reach a sum of 6.
    assert permutation_test(np.array([1.0, 2, 3]), np.zeros(3)) == 2 / 8
    # Users without a difference leave it there, however many.
    assert permutation_test(np.array([1.0, 2, 3] + 500 * [7.0]), np.array([0.0, 0, 0] + 500 * [7.0])) == 2 / 8


def test_permutation_draws_where_there_are_many() -> None:
    a, b = pairs(400, shift=0.1, seed=4)
    p = permutation_test(a, b)
    assert p == permutation_test(a, b) != permutation_test(a, b, seed=1)
    assert p == permutation_test(b, a)
    expected = stats.ttest_rel(a, b).pvalue  # the same but for normality, of no weight at 400
    assert abs(p - expected) < 4 * math.sqrt(expected * (1 - expected) / 10_000)
    assert 0.01 < p < 0.5


def test_permutation_is_never_zero_and_cannot_be_smaller_than_its_draws_allow() -> None:
    assert permutation_test(np.ones(300), np.zeros(300), n_resamples=99) == 1 / 100


def test_permutation_keeps_its_level() -> None:
    p_values = [permutation_test(*pairs(30, seed=seed), n_resamples=199) for seed in range(400)]
    assert abs(np.mean(np.array(p_values) <= 0.1) - 0.1) < 4 * math.sqrt(0.1 * 0.9 / 400)


def test_permutation_over_all_users_of_tiktok_takes_little_memory() -> None:
    a, b = pairs(9000)
    tracemalloc.start()
    permutation_test(a, b)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 80 * 2**20  # all signs at once, as float64: 720 MB


def test_mcnemar_is_the_binomial_test_on_users_of_whom_one_method_is_right() -> None:
    a = np.array(10 * [1] + 3 * [0] + 20 * [1] + 30 * [0])
    b = np.array(10 * [0] + 3 * [1] + 20 * [1] + 30 * [0])
    assert mcnemar_test(a, b) == mcnemar_test(b, a) == pytest.approx(stats.binomtest(10, 13).pvalue)
    assert mcnemar_test(np.array([1, 1, 1]), np.zeros(3)) == pytest.approx(2 / 8)
    # On binary values the signs are all there is: the permutation test says the same.
    assert permutation_test(a, b) == pytest.approx(mcnemar_test(a, b))


def test_mcnemar_refuses_averages() -> None:
    with pytest.raises(ValueError, match="0 and 1 only"):
        mcnemar_test(np.array([1, 2 / 3]), np.array([1, 0]))


@pytest.mark.parametrize("n", [8, 60])
def test_the_tests_of_the_papers_are_those_of_scipy(n: int) -> None:
    a, b = pairs(n, shift=0.3)
    assert paired_t_test(a, b) == pytest.approx(stats.ttest_rel(a, b).pvalue)
    assert wilcoxon_test(a, b) == pytest.approx(stats.wilcoxon(a, b).pvalue)


def test_wilcoxon_drops_users_without_a_difference() -> None:
    a, b = pairs(12, shift=0.5)
    padded = np.concatenate([a, np.ones(5)]), np.concatenate([b, np.ones(5)])
    assert wilcoxon_test(*padded) == wilcoxon_test(a, b)


@pytest.mark.parametrize("test", TESTS)
def test_without_any_difference_p_is_one(test: Test) -> None:
    values = np.array([0, 1, 1, 0, 1, 0, 0])
    assert test(values, values) == 1.0


@pytest.mark.parametrize("test", TESTS)
@pytest.mark.parametrize(
    ("a", "b"), [([0, 1], [0, 1, 1]), ([], []), ([[0, 1]], [[0, 1]]), ([0, math.nan], [0, 1]), ([0, 1], [math.inf, 0])]
)
def test_what_cannot_be_paired_is_refused(test: Test, a: list[float], b: list[float]) -> None:
    with pytest.raises(ValueError, match=r"Expected two equally long lists|finite values only"):
        test(np.array(a), np.array(b))


def test_a_t_test_needs_two_users() -> None:
    with pytest.raises(ValueError, match="two or more"):
        paired_t_test(np.array([1.0]), np.array([0.0]))


def test_a_test_over_seeds_needs_six_pairs() -> None:
    a, b = np.arange(1.0, 7), np.zeros(6)
    assert seed_test(a, b) == pytest.approx(2 / 2**6)
    for n, smallest in ((3, ".25"), (5, ".0625")):
        with pytest.raises(ValueError, match=rf"needs 6 or more pairs of runs: with {n} .* is 0\{smallest},"):
            seed_test(a[:n], b[:n])


@pytest.mark.parametrize(
    ("p_values", "adjusted"),
    [
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),  # .005 x 4, .01 x 3, .03 x 2, and .04 x 1 lifted to .06
        ([0.5, 0.9, 0.4], [1.0, 1.0, 1.0]),
        ([0.04], [0.04]),
        ([0.02, 0.02], [0.04, 0.04]),
        ([], []),
    ],
)
def test_holm_by_hand(p_values: list[float], adjusted: list[float]) -> None:
    assert holm(p_values) == pytest.approx(adjusted)


def test_holm_refuses_what_is_no_probability() -> None:
    for wrong in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match=r"lie in \[0, 1\]"):
            holm([0.5, wrong])


Z = stats.norm.ppf(0.975)


def width(values: np.ndarray, **settings: float) -> float:
    low, high = bootstrap_interval(values, **settings)
    return high - low


def test_the_interval_over_users_alone_is_that_of_the_mean() -> None:
    values = np.random.default_rng(0).normal(3, 2, (800, 1, 1))
    low, high = bootstrap_interval(values)
    error = values.std() / math.sqrt(800)
    assert (low, high) == pytest.approx((values.mean() - Z * error, values.mean() + Z * error), abs=0.15 * error)
    assert width(values, level=0.5) == pytest.approx(2 * stats.norm.ppf(0.75) * error, rel=0.1)
    assert crossed_axes(values.shape) == ("users",)


def test_the_interval_crosses_all_three_axes() -> None:
    """Additive effects: the bootstrap's variance of the mean is the sum of the axes' empirical variances over n."""
    rng = np.random.default_rng(1)
    users, seeds, masks = (rng.normal(0, spread, n) for spread, n in ((3, 200), (1, 30), (2, 40)))
    values = users[:, None, None] + seeds[:, None] + masks
    error = math.sqrt(sum(x.var() / len(x) for x in (users, seeds, masks)))
    assert crossed_axes(values.shape) == ("users", "seeds", "mask seeds")
    assert width(values, n_resamples=8000) == pytest.approx(2 * Z * error, rel=0.06)
    naive = values.std() / math.sqrt(values.size)
    assert width(values) > 10 * 2 * Z * naive  # what treating all cells as independent would claim


def test_interactions_weigh_as_owen_says() -> None:
    """Independent cells of variance 1: a cell's weight W_u W_m has mean 1, E[W_u^2] = 2 - 1/n_users and
    E[W_m^2] = 2 - 1/n_masks, so the expected variance is (product of both - 1) / cells, 3 times the truth."""
    rng = np.random.default_rng(2)
    n_users, n_masks = 60, 50
    variances = []
    for repetition in range(20):
        values = rng.normal(0, 1, (n_users, 1, n_masks))
        variances.append((width(values, n_resamples=500, seed=repetition) / (2 * Z)) ** 2)
    expected = ((2 - 1 / n_users) * (2 - 1 / n_masks) - 1) / (n_users * n_masks)
    assert np.mean(variances) == pytest.approx(expected, rel=0.1)


def test_an_axis_with_fewer_than_three_levels_is_averaged_over() -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(0, 1, (50, 3, 2)) + 100 * np.array([0, 1])
    assert crossed_axes((50, 3, 2)) == ("users", "seeds")
    assert crossed_axes((50, 2, 3)) == ("users", "mask seeds")
    averaged = bootstrap_interval(values.mean(axis=2, keepdims=True))
    assert bootstrap_interval(values) == pytest.approx(averaged)


def test_the_interval_is_the_same_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(4).normal(0, 1, (40, 1, 1))
    whole = bootstrap_interval(values)
    monkeypatch.setattr("recmm.evaluation.significance._CHUNK_BYTES", 8 * 40 * 7)  # 7 resamples at a time
    assert bootstrap_interval(values) == pytest.approx(whole)
    a, b = pairs(300, shift=0.1)
    in_chunks = permutation_test(a, b)
    monkeypatch.undo()
    assert abs(in_chunks - permutation_test(a, b)) < 0.03


@pytest.mark.parametrize(
    "values", [np.zeros((5, 2)), np.zeros((1, 3, 3)), np.zeros((5, 0, 3)), np.full((5, 1, 1), np.nan)]
)
def test_the_bootstrap_refuses_other_values(values: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"Expected values|finite values only"):
        bootstrap_interval(values)
