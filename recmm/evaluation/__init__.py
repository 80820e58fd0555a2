"""Full ranking, metrics as exact sums, and strata."""

from recmm.evaluation.metrics import CUTOFFS, ListMetrics, RankingMetrics, per_user_metrics
from recmm.evaluation.ranking import Ranks, rank_positives, top_k
from recmm.evaluation.strata import stratify

__all__ = [
    "CUTOFFS",
    "ListMetrics",
    "RankingMetrics",
    "Ranks",
    "per_user_metrics",
    "rank_positives",
    "stratify",
    "top_k",
]
