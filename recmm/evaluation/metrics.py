"""Metrics of one user from the ranks of its held-out items, and their means over users as exact sums."""

import torch
from torch import Tensor
from torchmetrics import Metric

from recmm.evaluation.ranking import Ranks

CUTOFFS = (5, 10, 20, 50)
"""Cut-offs K at which metrics are computed."""

_METRICS = ("recall", "precision", "ndcg", "hit", "map", "mrr", "ndcg_mmssl")
# Values are rounded to multiples of 2**-32: then float64 sums over up to two million users are exact, hence the same to
# the last bit for every chunk size, order of users and number of processes.
_GRID = 2.0**32


def per_user_metrics(ranks: Ranks, n_rows: int, cutoffs: tuple[int, ...] = CUTOFFS) -> dict[str, Tensor]:
    """Every metric at every cut-off, ``"recall@20"`` and so on -> float64 [n_rows], in multiples of 2**-32.

    With T the user's held-out items, the hits those of T whose rank is at most K, and gain(r) = 1 / log2(r + 1):

    * recall@K = hits / |T|, precision@K = hits / K, hit@K = 1 if there is a hit;
    * ndcg@K = sum of the hits' gains / sum of gain(1..min(|T|, K));
    * map@K = sum over hits of (number of hits up to this rank / rank) / min(|T|, K);
    * mrr@K = 1 / rank of the first item of T if that is at most K, else 0;
    * ndcg_mmssl@K = sum of the hits' gains / sum of gain(1..min(h, K)), h the hits at the largest of ``cutoffs`` (0 if
      there are none). This is what LATTICE and MMSSL report: missed items are not penalised, and the value depends on
      the largest cut-off (LATTICE 20, MMSSL 50).

    A row without a held-out item, which ``RankingBatch`` does not allow, gives NaN.

    Source: MMRec's evaluation (all but the last), LATTICE's and MMSSL's (``ndcg_mmssl``).
    """
    device = ranks.ranks.device
    order = torch.argsort((ranks.rows << 32) | ranks.ranks)
    rows, rank = ranks.rows[order], ranks.ranks[order]
    n_relevant = torch.bincount(rows, minlength=n_rows)
    hits_so_far = torch.arange(1, len(rows) + 1, device=device) - (n_relevant.cumsum(0) - n_relevant)[rows]
    best = torch.full((n_rows,), torch.iinfo(torch.int64).max, device=device)
    best = best.scatter_reduce(0, rows, rank, "amin").double()

    rank = rank.double()
    gain = 1 / torch.log2(rank + 1)
    precision_here = hits_so_far / rank
    is_hit = (rank[:, None] <= torch.tensor(cutoffs, device=device)).double()  # [P, len(cutoffs)]
    terms = torch.stack([is_hit, is_hit * gain[:, None], is_hit * precision_here[:, None]], dim=1)
    sums = torch.zeros(n_rows, *terms.shape[1:], dtype=torch.float64, device=device).index_add(0, rows, terms)
    hits, dcg, precision_sums = sums.unbind(1)  # [n_rows, len(cutoffs)] each

    longest = max(cutoffs)
    gains = 1 / torch.log2(torch.arange(1, longest + 1, dtype=torch.float64, device=device) + 1)
    ideal = torch.cat([gains.new_zeros(1), gains.cumsum(0)])  # ideal[n]: the DCG of n hits at ranks 1..n
    found = hits[:, cutoffs.index(longest)].long()

    values = {}
    for c, k in enumerate(cutoffs):
        n_ideal = n_relevant.clamp(max=k)
        values[f"recall@{k}"] = hits[:, c] / n_relevant
        values[f"precision@{k}"] = hits[:, c] / k
        values[f"ndcg@{k}"] = dcg[:, c] / ideal[n_ideal]
        values[f"hit@{k}"] = (best <= k).double()
        values[f"map@{k}"] = precision_sums[:, c] / n_ideal
        values[f"mrr@{k}"] = (best <= k) / best
        # Without a hit there is no DCG either: any positive normaliser gives the 0.
        values[f"ndcg_mmssl@{k}"] = dcg[:, c] / ideal[found.clamp(min=1, max=k)]
    return {name: torch.round(value * _GRID) / _GRID for name, value in values.items()}


class RankingMetrics(Metric):
    """Means of ``per_user_metrics`` over all users; float64 sums, exact across batches and processes."""

    full_state_update = False
    higher_is_better = True
    is_differentiable = False
    sums: Tensor
    n_users: Tensor

    def __init__(self, cutoffs: tuple[int, ...] = CUTOFFS) -> None:
        super().__init__()
        self.cutoffs = cutoffs
        self.names = [f"{metric}@{k}" for k in cutoffs for metric in _METRICS]
        self.add_state("sums", torch.zeros(len(self.names), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("n_users", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, ranks: Ranks, n_rows: int) -> None:
        values = per_user_metrics(ranks, n_rows, self.cutoffs)
        self.sums += torch.stack([values[name] for name in self.names]).sum(1)
        self.n_users += n_rows

    def compute(self) -> dict[str, Tensor]:
        """Metric name -> float64 scalar; NaN if nothing was ranked."""
        return dict(zip(self.names, self.sums / self.n_users, strict=True))


class ListMetrics(Metric):
    """Coverage, concentration, novelty and popularity of the recommended lists, at every cut-off K in ``CUTOFFS``.

    With x_i the number of lists (cut at K) that hold item i, n the catalogue's size and c_i the training interactions
    of item i:

    * coverage@K: share of the catalogue that stands in at least one list;
    * gini@K = sum_j (2 j - n - 1) x_(j) / (n sum_j x_j), x_(1) <= x_(2) <= ...: 0 if all items are recommended equally
      often, towards 1 if few take all (Gini index of recommendation frequency; Adomavicius and Kwon, TKDE 2012, use its
      complement);
    * novelty@K: mean self-information -log2 p_i in bits over all list entries, p_i = c_i / sum_j c_j the share of
      training interactions (Castells, Vargas and Wang, DDR 2011, "mean self-information"; an item without interactions
      counts as one with a single interaction, as its information would be infinite);
    * popularity@K: mean c_i over all list entries.

    The states are counts of items, hence exact across batches and processes.

    Args:
        item_counts: int64 [n_items], training interactions of each item.
    """

    full_state_update = False
    is_differentiable = False
    exposure: Tensor
    item_counts: Tensor

    def __init__(self, item_counts: Tensor) -> None:
        super().__init__()
        self.register_buffer("item_counts", item_counts.clone(), persistent=False)
        # Row c counts the places between the previous cut-off and this one, so each place is counted once.
        self.add_state("exposure", torch.zeros(len(CUTOFFS), len(item_counts), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, top_items: Tensor) -> None:
        """Add lists: int64 [B, k >= max(CUTOFFS)], best first, -1 where a list has ended (as ``top_k`` gives them)."""
        if top_items.shape[1] < CUTOFFS[-1]:
            raise ValueError(
                f"lists of {top_items.shape[1]} items cannot be judged at {CUTOFFS[-1]}: ask top_k for more"
            )
        n_items = len(self.item_counts)
        for c, (start, stop) in enumerate(zip((0, *CUTOFFS), CUTOFFS, strict=False)):
            # Shifted by one, so that the places after a list's end are counted in a slot of their own.
            shifted = top_items[:, start:stop].flatten() + 1
            self.exposure[c] += torch.bincount(shifted, minlength=n_items + 1)[1:]

    def compute(self) -> dict[str, Tensor]:
        """Metric name -> float64 scalar; NaN if no list was added (coverage 0)."""
        n_items = len(self.item_counts)
        counts = self.item_counts.double()
        information = -torch.log2(counts.clamp(min=1) / counts.sum())
        balance = 2 * torch.arange(1, n_items + 1, dtype=torch.float64, device=counts.device) - n_items - 1
        values = {}
        for k, exposure in zip(CUTOFFS, self.exposure.cumsum(0).double(), strict=True):
            total = exposure.sum()
            values[f"coverage@{k}"] = (exposure > 0).double().mean()
            values[f"gini@{k}"] = (balance * exposure.sort().values).sum() / (n_items * total)
            values[f"novelty@{k}"] = (information * exposure).sum() / total
            values[f"popularity@{k}"] = (counts * exposure).sum() / total
        return values
