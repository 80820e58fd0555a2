"""Losses and regularisers, each under its true name."""

from recmm.losses.contrast import contrast
from recmm.losses.info_nce import chunked_info_nce, info_nce, mean_log_sum_exp, mutual_info_nce, pairwise_info_nce
from recmm.losses.invariance import gradient_variance, loss_variance
from recmm.losses.ranking import bpr, bpr_of
from recmm.losses.regularisers import frobenius_norm, mean_absolute, mean_square, squared_l2
from recmm.losses.uniformity import alignment, uniformity

__all__ = [
    "alignment",
    "bpr",
    "bpr_of",
    "chunked_info_nce",
    "contrast",
    "frobenius_norm",
    "gradient_variance",
    "info_nce",
    "loss_variance",
    "mean_absolute",
    "mean_log_sum_exp",
    "mean_square",
    "mutual_info_nce",
    "pairwise_info_nce",
    "squared_l2",
    "uniformity",
]
