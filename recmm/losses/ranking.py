"""Losses on the order of a positive and a negative item."""

import torch.nn.functional as F
from torch import Tensor


def bpr(positives: Tensor, negatives: Tensor) -> Tensor:
    """Mean over the batch of -log sigmoid(s_pos - s_neg) (Rendle et al., UAI 2009).

    Scores [B] give a scalar; scores [B, M] give [M], one loss per column.
    """
    return F.softplus(negatives - positives).mean(0)


def bpr_of(users: Tensor, positives: Tensor, negatives: Tensor) -> Tensor:
    """``bpr`` of the inner products of embeddings, [B, d] each -> scalar."""
    return bpr((users * positives).sum(1), (users * negatives).sum(1))
