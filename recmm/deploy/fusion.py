"""Weighted fusion of ranked lists by reciprocal ranks, with weights that a greedy selection finds on validation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import torch
from torch import Tensor

from recmm.evaluation.metrics import per_user_metrics
from recmm.evaluation.ranking import Ranks

SMOOTHING = 60.0
"""k of reciprocal rank fusion: an item at rank r gains 1 / (k + r). Source: Cormack et al., SIGIR 2009, k = 60."""
ROUNDS = 20
"""Steps of the greedy selection; a weight is a multiple of 1 / (number of steps taken)."""
_FAR = 1 << 31  # rank of a held-out item that stands in no list


@dataclass(frozen=True)
class Pool:
    """The items of all runs' lists for the users of one split, and where the held-out items stand among them.

    Attributes:
        users: int64 [U], the ids of the users, ascending.
        pairs: one row per user and listed item, sorted by both: user, item.
        gains: float64 [P, n_runs], 1 / (SMOOTHING + rank) in each run's list, 0 where the item is not in it.
        held_rows: int64 [H], the place in ``users`` of each held-out pair; ``held_items`` its item.
        held_pairs: int64 [H], the row of ``pairs`` of each held-out pair; -1 where no list has it.
        rivals: int64 [C, 2], for each held-out pair the rows of all pairs of its user: (held-out pair, row of pairs).
    """

    users: np.ndarray
    pairs: pl.DataFrame
    gains: np.ndarray
    held_rows: np.ndarray
    held_items: np.ndarray
    held_pairs: np.ndarray
    rivals: np.ndarray

    @classmethod
    def of(cls, lists: Sequence[pl.DataFrame], held_out: pl.DataFrame) -> "Pool":
        """Pool the lists of one split.

        Args:
            lists: of each run: user, item, position (1 is first).
            held_out: user, item.
        """
        gained = [
            table.select("user", "item", (1 / (SMOOTHING + pl.col("position").cast(pl.Float64))).alias(str(number)))
            for number, table in enumerate(lists)
        ]
        pooled = gained[0]
        for table in gained[1:]:
            pooled = pooled.join(table, on=["user", "item"], how="full", coalesce=True)
        gained_of_each = [pl.col(str(number)).fill_null(0.0) for number in range(len(lists))]
        pooled = pooled.with_columns(gained_of_each).sort("user", "item").with_row_index("pair")
        held = held_out.select("user", "item").sort("user", "item").with_row_index("held")
        places = held.join(pooled.select("user", "item", "pair"), on=["user", "item"], how="left").sort("held")
        rivals = held.select("held", "user").join(pooled.select("user", "pair"), on="user").select("held", "pair")
        users, rows = np.unique(held["user"].to_numpy(), return_inverse=True)
        return cls(
            users=users.astype(np.int64),
            pairs=pooled.select("user", "item"),
            gains=pooled.select(str(number) for number in range(len(lists))).to_numpy(),
            held_rows=rows.astype(np.int64),
            held_items=held["item"].to_numpy().astype(np.int64),
            held_pairs=places["pair"].cast(pl.Int64).fill_null(-1).to_numpy(),
            rivals=rivals.to_numpy().astype(np.int64),
        )

    def metrics(self, weights: np.ndarray) -> dict[str, Tensor]:
        """Metrics per user of the fused lists, float64 [U] each; see ``per_user_metrics``."""
        scores = self.gains @ weights
        own = np.where(self.held_pairs >= 0, scores[self.held_pairs], 0.0)
        held, pair = self.rivals.T
        ahead = (scores[pair] > own[held]) | ((scores[pair] == own[held]) & (pair < self.held_pairs[held]))
        ranks = np.where(own > 0, 1 + np.bincount(held[ahead], minlength=len(own)), _FAR)
        rows, items = torch.from_numpy(self.held_rows), torch.from_numpy(self.held_items)
        n_users = len(self.users)
        return per_user_metrics(
            Ranks(rows, items, torch.from_numpy(ranks), torch.full((n_users,), _FAR)),
            n_users,
        )

    def fused(self, weights: np.ndarray, k: int) -> pl.DataFrame:
        """The first ``k`` items of each user's fused list: user, position (1 is first), item, score."""
        scored = self.pairs.with_columns(score=pl.Series(self.gains @ weights)).filter(pl.col("score") > 0)
        ordered = scored.sort("user", "score", "item", descending=[False, True, False])
        placed = ordered.with_columns(position=pl.int_range(1, pl.len() + 1).over("user"))
        return placed.filter(pl.col("position") <= k).select("user", "position", "item", "score")


def choose_weights(n_runs: int, quality: Callable[[np.ndarray], float], rounds: int = ROUNDS) -> np.ndarray:
    """Greedy selection with replacement: in each step the run is added that makes the ensemble best.

    Source: Caruana et al., "Ensemble selection from libraries of models", ICML 2004. Of all steps the best ensemble
    counts, the earliest of equal ones; so it is never worse on validation than the best run alone.

    Returns:
        float64 [n_runs], the share of the steps in which each run was added; they sum to 1.
    """
    counts, best, best_quality = np.zeros(n_runs), np.zeros(n_runs), -np.inf
    for step in range(1, rounds + 1):
        candidates = [(counts + one) / step for one in np.eye(n_runs)]
        qualities = [quality(weights) for weights in candidates]
        chosen = int(np.argmax(qualities))
        counts[chosen] += 1
        if qualities[chosen] > best_quality:
            best, best_quality = candidates[chosen], qualities[chosen]
    return best
