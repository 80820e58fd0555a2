"""MF-BPR (Rendle et al., UAI 2009): matrix factorisation trained on pairs. methods.md section 7.1."""

import torch
from torch import Tensor, nn

from recmm.data.batches import Pairs
from recmm.data.catalog import Catalog
from recmm.losses import bpr, frobenius_norm
from recmm.missing.view import ModalityView
from recmm.models.base import Embeddings, Recommender
from recmm.models.training import Training


class MFBPR(Recommender):
    """Score = inner product of a user and an item vector; no biases.

    Args:
        dim: width d of the vectors.
        frobenius: weight of the batch's (not squared) Frobenius norms divided by the batch size, called EmbLoss in
            public toolboxes (methods.md, B6a).
    """

    uses_modalities = False

    def __init__(
        self,
        catalog: Catalog,
        *,
        dim: int = 64,
        frobenius: float = 0.1,
        training: Training = Training(),
    ) -> None:
        super().__init__(catalog, training)
        self.frobenius = frobenius
        self.in_batch_losses = frobenius > 0  # norms of whole batches
        self.users = nn.Parameter(nn.init.xavier_normal_(torch.empty(catalog.n_users, dim)))
        self.items = nn.Parameter(nn.init.xavier_normal_(torch.empty(catalog.n_items, dim)))

    def represent(self, view: ModalityView) -> Embeddings:
        return Embeddings(self.users, self.items)

    def losses(self, batch: Pairs, view: ModalityView) -> dict[str, Tensor]:
        u, i, j = self.users[batch.users], self.items[batch.positives], self.items[batch.negatives]
        return {
            "bpr": bpr((u * i).sum(1), (u * j).sum(1)),
            "frobenius": self.frobenius * frobenius_norm(u, i, j),
        }
