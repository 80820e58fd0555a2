"""The best method under each condition against each of the others: differences, intervals and paired tests."""

import functools
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from recmm.errors import RunError
from recmm.evaluation.significance import (
    bootstrap_interval,
    crossed_axes,
    holm,
    is_binary,
    mcnemar_test,
    paired_t_test,
    permutation_test,
    seed_test,
    wilcoxon_test,
)
from recmm.report.comparison.refusals import PerUser, refuse_damaged, refuse_mixed_data, refuse_mixed_masks
from recmm.report.records.folders import read_per_user
from recmm.report.records.runs import GROUP_KEYS
from recmm.report.results.results import in_every_condition

LEVEL = 0.05

_OVER_USERS: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "permutation": permutation_test,
    "mcnemar": mcnemar_test,
    "t": paired_t_test,
    "wilcoxon": wilcoxon_test,
}
TESTS = ("default", *_OVER_USERS, "seeds")
"""`default`: McNemar's where values are binary and there is one run each, else `permutation`.
`t` and `wilcoxon` are the tests that the papers name."""

_TESTED = {
    "low": pl.Float64,
    "high": pl.Float64,
    "crossed": pl.String,
    "best": pl.Boolean,
    "difference": pl.Float64,
    "difference_low": pl.Float64,
    "difference_high": pl.Float64,
    "difference_crossed": pl.String,
    "test": pl.String,
    "p": pl.Float64,
    "p_holm": pl.Float64,
    "star": pl.Boolean,
}


def summarise(frame: pl.DataFrame, metric: str) -> pl.DataFrame:
    """Mean and spread of one column, such as test/recall@20, over the runs of each setting.

    Returns:
        One row per setting (`GROUP_KEYS`), in order of appearance: the keys, uses_modalities, mean, std (over runs,
        ddof=1; null for a single run), n (runs that have a value), n_seeds, n_mask_seeds (0: no mask plays a role).

    Raises:
        RunError: no run has this metric.
    """
    if metric not in frame.columns or not frame[metric].count():
        raise RunError(f"None of these runs has the metric {metric}: name one such as test/recall@20.")
    return (
        frame.filter(pl.col(metric).is_not_null())
        .group_by(GROUP_KEYS, maintain_order=True)
        .agg(
            pl.col("uses_modalities").first(),
            mean=pl.col(metric).mean(),
            std=pl.col(metric).std(ddof=1),
            n=pl.len(),
            n_seeds=pl.col("seed").n_unique(),
            n_mask_seeds=pl.col("mask_seed").drop_nulls().n_unique(),
        )
    )


def compare(frame: pl.DataFrame, metric: str, *, split: str = "test", test: str = "default") -> pl.DataFrame:
    """Compare all methods under each condition of each dataset: the best one against each of the others.

    The values per user are averaged over the seeds and the mask seeds that both methods have run, paired over users,
    and tested. p values are corrected by Holm's method over all tests of one dataset, condition and metric.
    Feature-free methods take part under every condition. ``seeds`` tests the runs' means instead, paired by seed.

    Args:
        frame: one row per run, as in ``Runs.frame``.
        metric: one of those per user, without its split: recall@20.
        split: test or val.
        test: one of `TESTS`.

    Returns:
        One row per dataset, condition and variant, the best mean first: the columns of `summarise` and

        * low, high: 95 % bootstrap interval of the mean; crossed: what it was resampled over ("users x seeds x mask
          seeds", or fewer, see `crossed_axes`); null unless every seed was run with every mask seed;
        * best: whether its mean is the highest under this condition;
        * difference: the best one's mean minus this one's, over the same masks; difference_low, difference_high,
          difference_crossed: its interval, null unless both have run the same complete grid of seeds and masks;
        * test, p, p_holm: the test that was made, its p and the corrected one; null in the best one's row;
        * star: p_holm < .05; for the best one, that this holds against all others.

    Raises:
        RunError: runs on one dataset differ in data, split or protocol, runs of one condition in the masks of a mask
            seed; two methods share no masks; no run has this metric; a test over seeds has too few of them.
    """
    if test not in TESTS:
        raise RunError(f"There is no test {test}: choose one of {', '.join(TESTS)}.")
    refuse_mixed_data(frame)
    frame = in_every_condition(frame)
    name = f"{split}/{metric}"
    summary = summarise(frame, name)
    per_user = functools.cache(lambda folder: read_per_user(Path(folder), metric, split))
    tested = []
    for family in frame.filter(pl.col(name).is_not_null()).partition_by("dataset", "condition", maintain_order=True):
        refuse_mixed_masks(family)
        refuse_damaged(family, per_user)
        variants = family.partition_by("variant", as_dict=True)
        rows = summary.join(family.select(GROUP_KEYS).unique(), on=GROUP_KEYS, how="semi", nulls_equal=True)
        rows = rows.sort("mean", descending=True, maintain_order=True)
        grids = [_Grid.read(variants[(variant,)], per_user) for variant in rows["variant"]]
        results = _test_family(grids, test)
        tested.append(pl.concat([rows, pl.DataFrame(results, schema=_TESTED)], how="horizontal"))
    return pl.concat(tested)


def compare_with_control(real: pl.DataFrame, control: pl.DataFrame, metric: str) -> dict[str, Any]:
    """Compare one method with its real features and under a control, on test, as ``compare`` compares two methods.

    Args:
        real: the rows, as in ``Runs.frame``, of one method under one condition with real features.
        control: those of the same method on the same data under one control, with the same seeds.
        metric: one of those per user, without its split: recall@20.

    Returns:
        The columns difference (real minus control), difference_low, difference_high, difference_crossed, test and p of
        ``compare``.

    Raises:
        RunError: the metrics of a run cannot be read or belong to other users.
    """
    per_user = functools.cache(lambda folder: read_per_user(Path(folder), metric, "test"))
    refuse_damaged(pl.concat([real, control]), per_user)
    ours, theirs = _Grid.read(real, per_user), _Grid.read(control, per_user)
    return _paired(ours, ours.masks, theirs, theirs.masks, "default")


@dataclass(frozen=True)
class _Grid:
    """The runs of one variant under one condition.

    Attributes:
        variant: its name.
        cells: (seed, masks digest; None for a feature-free method) -> float64 [n_users], averaged over the runs of the
            cell if there are several.
        n_runs: masks digest -> number of runs.
    """

    variant: str
    cells: dict[tuple[int, str | None], np.ndarray]
    n_runs: Counter[str | None]

    @classmethod
    def read(cls, rows: pl.DataFrame, per_user: PerUser) -> "_Grid":
        found = defaultdict(list)
        for row in rows.iter_rows(named=True):
            found[row["seed"], row["masks_digest"] if row["uses_modalities"] else None].append(per_user(row["folder"]))
        n_runs: Counter[str | None] = Counter()
        for (_, mask), values in found.items():
            n_runs[mask] += len(values)
        return cls(rows["variant"][0], {cell: np.mean(values, axis=0) for cell, values in found.items()}, n_runs)

    @property
    def seeds(self) -> list[int]:
        return sorted({seed for seed, _ in self.cells})

    @property
    def masks(self) -> list[str | None]:
        return list(self.n_runs)

    @property
    def feature_free(self) -> bool:
        return self.masks == [None]

    def averaged(self, masks: list[str | None]) -> np.ndarray:
        """float64 [n_users]: the mean over the seeds of each mask, then over the masks; all masks weigh the same."""
        by_mask = [[values for (_, m), values in self.cells.items() if m == mask] for mask in masks]
        return np.mean([np.mean(values, axis=0) for values in by_mask], axis=0)

    def complete(self, seeds: list[int], masks: list[str | None]) -> np.ndarray | None:
        """float64 [n_users, n_seeds, n_masks], or None where a cell is empty."""
        if any(cell not in self.cells for cell in product(seeds, masks)):
            return None
        return np.stack([np.stack([self.cells[seed, mask] for mask in masks], axis=-1) for seed in seeds], axis=1)


def _test_family(grids: list[_Grid], test: str) -> list[dict[str, Any]]:
    """One row of `_TESTED` for each method. The first is the best. Holm's correction is over all tests made here."""
    best, *rest = grids
    rows = [_compared(best, other, test) for other in rest]
    for row, p in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row |= {"p_holm": p, "star": p < LEVEL, "best": False}
    rows.insert(0, {"best": True, "star": bool(rows) and all(row["star"] for row in rows)})
    for row, grid in zip(rows, grids, strict=True):
        low, high, crossed = _interval(grid.complete(grid.seeds, grid.masks))
        row |= {"low": low, "high": high, "crossed": crossed}
    return rows


def _compared(best: _Grid, other: _Grid, test: str) -> dict[str, Any]:
    """Over the masks that both were run with. A feature-free method is compared over all masks of the other one."""
    shared = [mask for mask in best.masks if mask in other.masks]
    ours, theirs = (best.masks, other.masks) if best.feature_free or other.feature_free else (shared, shared)
    if not ours:
        raise RunError(
            f"{best.variant} and {other.variant} were run under different masks (no mask digest in common): run both "
            "with the same missing.seed, or leave one out."
        )
    return _paired(best, ours, other, theirs, test)


def _paired(best: _Grid, ours: list[str | None], other: _Grid, theirs: list[str | None], test: str) -> dict[str, Any]:
    """The difference of two methods, each averaged over its masks, with its interval and test."""
    a, b = best.averaged(ours), other.averaged(theirs)
    if test == "default":
        one_each = sum(best.n_runs[mask] for mask in ours) == sum(other.n_runs[mask] for mask in theirs) == 1
        test = "mcnemar" if one_each and is_binary(a) and is_binary(b) else "permutation"
    try:
        p = _p_over_seeds(best, ours, other, theirs) if test == "seeds" else _OVER_USERS[test](a, b)
    except ValueError as error:
        raise RunError(f"{best.variant} and {other.variant} cannot be tested ({test}): {error}") from error
    low, high, crossed = _interval(_differences(best, ours, other, theirs))
    return {
        "difference": float(np.mean(a) - np.mean(b)),
        "difference_low": low,
        "difference_high": high,
        "difference_crossed": crossed,
        "test": test,
        "p": p,
    }


def _p_over_seeds(best: _Grid, ours: list[str | None], other: _Grid, theirs: list[str | None]) -> float:
    """The p value of a test on means over users and masks, paired by seed. Seeds that lack a mask are left out."""
    a, b = (
        {seed: grid.complete([seed], masks) for seed in grid.seeds} for grid, masks in ((best, ours), (other, theirs))
    )
    pairs = [(x.mean(), y.mean()) for seed, x in a.items() if x is not None and (y := b.get(seed)) is not None]
    return seed_test(*np.array(pairs, dtype=np.float64).reshape(-1, 2).T)


def _differences(best: _Grid, ours: list[str | None], other: _Grid, theirs: list[str | None]) -> np.ndarray | None:
    """float64 [n_users, n_seeds, n_masks], or None unless both were run with the same seeds and these masks."""
    if best.seeds != other.seeds:
        return None
    a, b = best.complete(best.seeds, ours), other.complete(other.seeds, theirs)
    return None if a is None or b is None else a - b


def _interval(values: np.ndarray | None) -> tuple[float | None, float | None, str | None]:
    """Bounds of the bootstrap interval and the axes that it is crossed over; None for each where there is no grid."""
    if values is None:
        return None, None, None
    return *bootstrap_interval(values, level=1 - LEVEL), " x ".join(crossed_axes(values.shape))
