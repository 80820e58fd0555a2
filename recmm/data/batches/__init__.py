"""Batches for training and for ranking."""

from recmm.data.batches.types import FurtherRanking, Pairs, RankingBatch

__all__ = ["FurtherRanking", "Pairs", "RankingBatch"]
