"""Significance tests between two methods, and confidence intervals for one.

A test over users takes the trained models as fixed: it says whether the difference generalises to other users. The
variation over training seeds and over missing masks is covered by the crossed bootstrap, and by a test over seeds if
there are enough of them.
"""

from collections.abc import Sequence

import numpy as np
from scipy import stats

MIN_SEEDS = 6
"""Fewest pairs for a test over seeds: with 5, the smallest two-sided p of a signed-rank test is .0625."""

MIN_LEVELS = 3
"""Fewest seeds, or mask seeds, that a bootstrap resamples: the spread of n values is underestimated by (n-1)/n."""

AXES = ("users", "seeds", "mask seeds")
_CHUNK_BYTES = 32 * 2**20


def permutation_test(a: np.ndarray, b: np.ndarray, *, n_resamples: int = 10_000, seed: int = 0) -> float:
    """Two-sided p of the paired permutation test on the mean difference.

    Under the null hypothesis each user's difference has either sign with equal probability. Users without a difference
    are dropped. If there are at most ``n_resamples`` combinations of signs, all are enumerated; else ``n_resamples``
    are drawn, and p is (count + 1) / (n + 1), which is never 0 (Phipson and Smyth, 2010).

    Args:
        a, b: [n_users], one value per user in the same order.

    Raises:
        ValueError: other shapes, no user, or values that are not finite.
    """
    differences = _differences(a, b)
    differences = differences[differences != 0]
    n = len(differences)
    threshold = (
        abs(differences.sum()) - 1e-12 * np.abs(differences).sum()
    )  # sums that differ by rounding count as equal
    if 2**n <= n_resamples:
        signs = 1.0 - 2 * (np.arange(2**n)[:, None] >> np.arange(n) & 1)
        return float(np.mean(np.abs(signs @ differences) >= threshold))
    sums = _randomly_signed_sums(differences, n_resamples, np.random.default_rng(seed))
    return float((np.sum(np.abs(sums) >= threshold) + 1) / (n_resamples + 1))


def _randomly_signed_sums(values: np.ndarray, n_sums: int, rng: np.random.Generator) -> np.ndarray:
    """float64 [n_sums]; a random byte is the signs of 8 values, whose 256 possible sums are looked up."""
    eights = np.pad(values, (0, -len(values) % 8)).reshape(-1, 8)
    signs = 1.0 - 2 * np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1)
    lookup, columns = eights @ signs.T, np.arange(len(eights))
    rows = max(1, _CHUNK_BYTES // (8 * len(eights)))
    sums = np.empty(n_sums)
    for start in range(0, n_sums, rows):
        part = sums[start : start + rows]
        part[:] = lookup[columns, rng.integers(256, size=(len(part), len(eights)), dtype=np.uint8)].sum(axis=1)
    return sums


def mcnemar_test(a: np.ndarray, b: np.ndarray) -> float:
    """Two-sided p of McNemar's exact test: the binomial test on the users for whom only one method is right.

    Args:
        a, b: [n_users], 0 or 1 per user, such as Recall where every user has a single held-out item.

    Raises:
        ValueError: values other than 0 and 1 (averages over several runs, say); other shapes, no user.
    """
    differences = _differences(a, b)
    if not (is_binary(a) and is_binary(b)):
        raise ValueError("McNemar's test takes values of 0 and 1 only, of one run each; use the permutation test.")
    better, worse = int((differences > 0).sum()), int((differences < 0).sum())
    return float(stats.binomtest(better, better + worse).pvalue) if better + worse else 1.0


def is_binary(values: np.ndarray) -> bool:
    """Whether all values are 0 or 1."""
    return bool(np.isin(values, (0, 1)).all())


def paired_t_test(a: np.ndarray, b: np.ndarray) -> float:
    """Two-sided p of Student's paired t-test over users, the test that the papers' tables name.

    1 where all differences are zero.

    Raises:
        ValueError: other shapes than two equal [n_users], fewer than two users, or values that are not finite.
    """
    differences = _differences(a, b)
    if len(differences) < 2:
        raise ValueError("A paired t-test needs two or more users.")
    return float(stats.ttest_rel(a, b).pvalue) if differences.any() else 1.0


def wilcoxon_test(a: np.ndarray, b: np.ndarray) -> float:
    """Two-sided p of Wilcoxon's signed-rank test over users, as papers use it; on binary values it is a sign test.

    Zero differences are dropped (Wilcoxon's own treatment); 1 where all are zero. Exact where few pairs permit it,
    else the normal approximation.

    Raises:
        ValueError: other shapes than two equal [n_users], no user, or values that are not finite.
    """
    differences = _differences(a, b)
    differences = differences[differences != 0]
    return float(stats.wilcoxon(differences).pvalue) if len(differences) else 1.0


def seed_test(a: np.ndarray, b: np.ndarray) -> float:
    """Two-sided p of Wilcoxon's signed-rank test over seeds.

    Args:
        a, b: [n_seeds], the metric of one run per seed, paired.

    Raises:
        ValueError: fewer than 6 pairs; other shapes, or values that are not finite.
    """
    n = len(_differences(a, b))
    if n < MIN_SEEDS:
        raise ValueError(
            f"A test over seeds needs {MIN_SEEDS} or more pairs of runs: with {n} the smallest possible two-sided p is "
            f"{2.0 ** (1 - n):g}, so that nothing could be significant at .05."
        )
    return wilcoxon_test(a, b)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p values of one family, in the order given (Holm, 1979): the k-th smallest of m times m - k + 1.

    Raises:
        ValueError: a value is not in [0, 1].
    """
    p = np.asarray(p_values, dtype=np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError("p values lie in [0, 1].")
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1)
    return [float(value) for value in adjusted]


def crossed_axes(shape: tuple[int, int, int]) -> tuple[str, ...]:
    """Which of users, seeds and mask seeds `bootstrap_interval` resamples in values of this shape.

    Users always; seeds and mask seeds if there are 3 or more. An interval that leaves an axis out is too narrow: it
    treats the seeds or masks that were run as the only possible ones.
    """
    return tuple(axis for axis, n in zip(AXES, shape, strict=True) if axis == "users" or n >= MIN_LEVELS)


def bootstrap_interval(
    values: np.ndarray, *, level: float = 0.95, n_resamples: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Percentile interval for the mean, from the pigeonhole bootstrap crossed over users, seeds and mask seeds.

    Each axis is resampled on its own, and a cell weighs as much as the product of its user's, seed's and mask seed's
    counts (Owen, 2007). The interval then accounts for other users, seeds and masks. An axis with fewer than 3 levels
    is averaged over instead; `crossed_axes` says which axes are resampled.

    Args:
        values: float [n_users, n_seeds, n_mask_seeds], every cell filled.

    Raises:
        ValueError: another number of axes, fewer than two users, an empty axis, or values that are not finite.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != len(AXES) or values.shape[0] < 2 or not values.size:
        raise ValueError(f"Expected values [n_users >= 2, n_seeds, n_mask_seeds], found the shape {values.shape}.")
    if not np.isfinite(values).all():
        raise ValueError("The bootstrap takes finite values only, one for every user, seed and mask seed.")
    rng = np.random.default_rng(seed)
    crossed = crossed_axes(values.shape)
    rows = max(1, _CHUNK_BYTES // (8 * len(values)))
    means = []
    for start in range(0, n_resamples, rows):
        n = min(rows, n_resamples - start)
        users, seeds, masks = (
            _shares(rng, n, size) if axis in crossed else np.full((n, size), 1 / size)
            for axis, size in zip(AXES, values.shape, strict=True)
        )
        over_users = (users @ values.reshape(len(values), -1)).reshape(n, *values.shape[1:])
        means.append(np.einsum("nsm,ns,nm->n", over_users, seeds, masks))
    low, high = np.quantile(np.concatenate(means), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _shares(rng: np.random.Generator, n_resamples: int, size: int) -> np.ndarray:
    """float64 [n_resamples, size]: how often each level was drawn with replacement, over ``size``."""
    drawn = rng.integers(size, size=(n_resamples, size)) + size * np.arange(n_resamples)[:, None]
    return np.bincount(drawn.ravel(), minlength=n_resamples * size).reshape(n_resamples, size) / size


def _differences(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if a.ndim != 1 or a.shape != b.shape or not len(a):
        raise ValueError(f"Expected two equally long lists of paired values, found the shapes {a.shape} and {b.shape}.")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("Paired tests take finite values only, one for every user and method.")
    return a - b
