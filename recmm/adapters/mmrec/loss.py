"""What a model file imports as ``common.loss``."""

import torch
from torch import Tensor, nn


class BPRLoss(nn.Module):
    """Mean of -log(gamma + sigmoid(positive - negative)) over scores [B] (Rendle et al., UAI 2009)."""

    def __init__(self, gamma: float = 1e-10) -> None:
        super().__init__()
        self.gamma = gamma

    def forward(self, pos_score: Tensor, neg_score: Tensor) -> Tensor:
        return -torch.log(self.gamma + torch.sigmoid(pos_score - neg_score)).mean()


class EmbLoss(nn.Module):
    """Sum of the (not squared) norms of all arguments, divided by the rows of the last one: [1]."""

    def __init__(self, norm: float = 2) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, *embeddings: Tensor) -> Tensor:
        norms = torch.stack([torch.linalg.vector_norm(x, ord=self.norm) for x in embeddings])
        return norms.sum().reshape(1) / len(embeddings[-1])


class L2Loss(nn.Module):
    """Half the sum of squares of all arguments: [1]."""

    def forward(self, *embeddings: Tensor) -> Tensor:
        return torch.stack([x.square().sum() for x in embeddings]).sum().reshape(1) / 2
