"""MF-BPR (Rendle et al., UAI 2009): matrix factorisation trained on pairs."""

from typing import Any

import torch
from torch import Tensor, nn

from recmm.data.batches import Pairs
from recmm.data.catalog import Catalog
from recmm.losses import bpr_of, frobenius_norm
from recmm.missing.view import ModalityView
from recmm.models.base import Embeddings, Recommender
from recmm.models.settings import MethodSettings, hp
from recmm.models.training import Training


class MFBPR(Recommender):
    """Score = inner product of a user and an item vector, without biases.

        L = mean over the batch of -log sigmoid(u . i - u . j) + frobenius (||U||_F + ||I||_F + ||J||_F) / B

    U, I and J [B, d] are the vectors of a batch's users, positive and negative items.
    """

    class Settings(MethodSettings):
        dim: int = hp(64, "width d of the vectors", ge=1)
        frobenius: float = hp(
            0.1,
            "weight of the batch's (not squared) Frobenius norms / batch size, called EmbLoss in public toolboxes, "
            "whose grids go from 2 to 1e-5",
            ge=0,
        )
        training: Training = hp(Training(), "public toolboxes: Adam, lr 1e-3, batches of 2048")

    settings: Settings
    uses_modalities = False

    def __init__(self, catalog: Catalog, **values: Any) -> None:
        super().__init__(catalog, **values)
        dim = self.settings.dim
        self.in_batch_losses = self.settings.frobenius > 0  # norms of whole batches
        self.users = nn.Parameter(nn.init.xavier_normal_(torch.empty(catalog.n_users, dim)))
        self.items = nn.Parameter(nn.init.xavier_normal_(torch.empty(catalog.n_items, dim)))

    def represent(self, view: ModalityView) -> Embeddings:
        return Embeddings(self.users, self.items)

    def losses(self, batch: Pairs, view: ModalityView) -> dict[str, Tensor]:
        u = self.users.index_select(0, batch.users)
        i, j = self.items.index_select(0, torch.cat([batch.positives, batch.negatives])).chunk(2)
        return {
            "bpr": bpr_of(u, i, j),
            "frobenius": self.settings.frobenius * frobenius_norm(u, i, j),
        }
