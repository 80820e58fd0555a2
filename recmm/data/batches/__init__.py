"""Batches for training and for ranking."""

from recmm.data.batches.types import Pairs, RankingBatch

__all__ = ["Pairs", "RankingBatch"]
