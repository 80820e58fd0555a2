"""Metrics of groups of pairs, by properties of their item or user: averages over pairs, with the size of each group."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from torch import Tensor

from recmm.evaluation.metrics import CUTOFFS

_ACTIVITY_QUANTILES = (0.25, 0.5, 0.75)


def stratify(
    ranks: pl.DataFrame,
    mask: np.ndarray | Tensor,
    modalities: Sequence[str],
    item_counts: np.ndarray | Tensor,
    user_counts: np.ndarray | Tensor,
    *,
    split: str = "test",
) -> pl.DataFrame:
    """Average the pairs of one split within strata.

    The averages are micro-averages: every pair weighs the same, unlike in the means over users of ``RankingMetrics``.
    For a single pair recall@K is 1 if its rank is at most K, and ndcg@K is 1 / log2(rank + 1) if it is, else 0.

    Groups and their strata:

    * ``all``: every pair (``all``), for comparison;
    * ``modalities``: those of the item that are visible in this phase, ``"visual+acoustic"``, ``"visual"``, ...,
      ``"none"``;
    * ``item``: ``warm`` (with a training interaction) or ``cold``;
    * ``user_activity``: quartiles, over the pairs' users, of the user's training interactions, named by their range
      (``"3-5"``). Users with equal counts stay together, so there may be fewer than four.

    Args:
        ranks: columns user, item, split, rank (dense ids, rank 1 is first); rows of other splits are left out.
        mask: bool [n_items, M], what is visible in the phase of ``split``.
        modalities: the M names, in the mask's order.
        item_counts, user_counts: int [n_items], [n_users], training interactions.

    Returns:
        One row per stratum and metric: group, stratum, metric, value (Float64), n (pairs, Int64). Empty strata have no
        row.
    """
    pairs = ranks.filter(pl.col("split") == split)
    users, items = pairs["user"].to_numpy(), pairs["item"].to_numpy()
    groups = {
        "all": (np.zeros(len(pairs), dtype=np.int64), ["all"]),
        "modalities": _by_modalities(np.asarray(mask)[items], modalities),
        "item": ((np.asarray(item_counts)[items] == 0).astype(np.int64), ["warm", "cold"]),
        "user_activity": _by_activity(np.asarray(user_counts), users),
    }
    rank = pl.col("rank")
    gain = 1 / (rank.cast(pl.Float64) + 1).log(2)
    values = [(rank <= k).cast(pl.Float64).mean().alias(f"recall@{k}") for k in CUTOFFS]
    values += [pl.when(rank <= k).then(gain).otherwise(0.0).mean().alias(f"ndcg@{k}") for k in CUTOFFS]
    tables = [
        pairs.select("rank", stratum=pl.Series(codes, dtype=pl.Int64))
        .group_by("stratum")
        .agg(*values, n=pl.len().cast(pl.Int64))
        .sort("stratum")
        .with_columns(group=pl.lit(group), stratum=pl.lit(pl.Series(names, dtype=pl.String)).gather(pl.col("stratum")))
        .unpivot(index=["group", "stratum", "n"], variable_name="metric", value_name="value")
        for group, (codes, names) in groups.items()
    ]
    return pl.concat(tables).select("group", "stratum", "metric", "value", "n")


def _by_modalities(visible: np.ndarray, modalities: Sequence[str]) -> tuple[np.ndarray, list[str]]:
    """Stratum code of each pair and the strata's names, the fullest item first."""
    bits = range(len(modalities))
    patterns = sorted(range(1 << len(modalities)), key=lambda pattern: (-pattern.bit_count(), pattern))
    names = ["+".join(modalities[m] for m in bits if pattern >> m & 1) or "none" for pattern in patterns]
    place = np.argsort(patterns)
    return place[visible.astype(np.int64) @ (1 << np.arange(len(modalities), dtype=np.int64))], names


def _by_activity(user_counts: np.ndarray, users: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Stratum code of each pair and the strata's names, the least active users first."""
    counts = user_counts[np.unique(users)]
    if not len(counts):
        return np.empty(0, dtype=np.int64), []
    upper = np.unique([*np.quantile(counts, _ACTIVITY_QUANTILES, method="lower"), counts.max()])
    lower = [counts.min(), *(upper[:-1] + 1)]
    names = [str(a) if a == b else f"{a}-{b}" for a, b in zip(lower, upper, strict=True)]
    return np.searchsorted(upper, user_counts[users]), names
