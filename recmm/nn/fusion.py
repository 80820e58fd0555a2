"""Fusion of modality embeddings of which some are masked."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Pooling = Literal["mean", "concat"]


def nonempty_masks(n_modalities: int) -> Tensor:
    """All 2^M - 1 non-empty subsets of M modalities as rows of 0 and 1, float [2^M - 1, M]; the last row is full."""
    subsets = torch.arange(1, 2**n_modalities)
    return ((subsets[:, None] >> torch.arange(n_modalities)) & 1).float()


class MaskedFusion(nn.Module):
    """h of I3-MRec Eq. 10: masked modality embeddings -> pooling -> Linear -> Dropout -> Tanh.

    Starts as the mean over modalities: the weights are identities.

    Args:
        n_modalities, dim: M and the width d of each embedding and of the result.
        pooling: "mean" divides the sum of what a mask leaves by M, "concat" puts the modalities side by side, zeros for
            what is masked.
        dropout: probability, in training, between Linear and Tanh.
    """

    def __init__(self, n_modalities: int, dim: int, *, pooling: Pooling, dropout: float) -> None:
        super().__init__()
        self.pooling, self.dropout = pooling, dropout
        identity = torch.eye(dim)
        if pooling == "concat":
            identity = identity.repeat(1, n_modalities) / n_modalities
        self.weight = nn.Parameter(identity)

    def forward(self, embeddings: Tensor, masks: Tensor, *, drop: bool) -> Tensor:
        """Item representations under each mask.

        Args:
            embeddings: [n, M, d].
            masks: 0 or 1, [K, M].
            drop: whether dropout acts, with a draw of its own for every mask.

        Returns:
            [K, n, d].
        """
        kept = embeddings * masks[:, None, :, None]  # [K, n, M, d]
        pooled = kept.flatten(2) if self.pooling == "concat" else kept.mean(2)
        return torch.tanh(F.dropout(F.linear(pooled, self.weight), self.dropout, training=drop))
