"""Batches for training and for ranking."""

from recmm.data.batches.types import FurtherRanking, Pairs, RankingBatch, first_occurrences

__all__ = ["FurtherRanking", "Pairs", "RankingBatch", "first_occurrences"]
