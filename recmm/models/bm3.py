"""BM3 (Zhou et al., WWW 2023): bootstrapped multimodal recommendation without negatives. methods.md section 7.18."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recmm.data.batches import Pairs
from recmm.data.catalog import Catalog
from recmm.errors import ConfigError
from recmm.graph import symmetric_adjacency
from recmm.losses import frobenius_norm
from recmm.missing.view import ModalityView
from recmm.models.base import Embeddings, Recommender
from recmm.models.checks import check_lowest, check_modalities
from recmm.models.training import Training
from recmm.nn.modality_input import Projection
from recmm.nn.propagation import id_table, propagate
from recmm.nn.raw_features import RawFeatures
from recmm.nn.rows import unit_rows


class BM3(Recommender):
    """What a predictor makes of one view of a pair has to point where another view, held fixed, points.

    (u, i) of the ID graph: LightGCN, with the items' ego embeddings added once more. f^m = W_m x^m + b_m of the raw
    features. One linear predictor serves all of them. Targets are the same embeddings without gradient and with
    dropout; there is no second network. The loss of a pair is, with D(a, b) = 1 - cos(predictor(a), b):

        D(u, i') + D(i, u') + w sum over m of [D(f^m, i') + D(f^m, f^m')] + l (||U||_F + ||I||_F) / n_items

    A score is predictor(u) . predictor(i): features act through training alone, and what an evaluation hides changes
    nothing.

    The released code differs from what is done here by default in the terms of items that lack a modality
    (``mask_modal_loss=false``: they take part with what the imputer put there). Dropout is drawn for the rows of the
    batch and not for whole tables: an item that a batch holds twice gets two draws.

    Args:
        dim: width d of all embeddings.
        n_layers: L, propagation layers.
        dropout: of the targets.
        modal_weight: w, of the terms in which features take part.
        frobenius: l, of the (not squared) Frobenius norms of all users' and all items' embeddings: EmbLoss (methods.md,
            B6a) on whole tables, whatever the batch.
        trainable_features: the features are trained along (as released), see ``RawFeatures``; that takes as much memory
            again as they do, and twice that for Adam, and a step updates all of it.
        mask_modal_loss: an item that lacks a modality has no terms with it. What an item has keeps its weight: the
            terms are still divided by the size of the batch.
        training: optimiser and batches.

    Raises:
        ConfigError: for a value outside its range, or a catalogue without modalities.
    """

    n_negatives = 0

    def __init__(
        self,
        catalog: Catalog,
        *,
        dim: int = 64,
        n_layers: int = 1,
        dropout: float = 0.3,
        modal_weight: float = 2.0,
        frobenius: float = 0.01,
        trainable_features: bool = True,
        mask_modal_loss: bool = True,
        training: Training = Training(),
    ) -> None:
        _check(locals())
        super().__init__(catalog, training)
        self.n_layers, self.dropout, self.mask_modal_loss = n_layers, dropout, mask_modal_loss
        self.modal_weight, self.frobenius = modal_weight, frobenius
        self.adjacency = symmetric_adjacency(catalog)
        self.ego = id_table(catalog.n_users + catalog.n_items, dim)
        self.features = RawFeatures(catalog, trainable=trainable_features)
        self.projection = Projection(list(catalog.dims.values()), dim, init="normal")
        self.predictor = nn.Linear(dim, dim)
        nn.init.xavier_normal_(self.predictor.weight)
        nn.init.zeros_(self.predictor.bias)

    def encode(self) -> Embeddings:
        """U and I before the predictor."""
        users, items = self.of_nodes(propagate(self.adjacency, self.ego, self.n_layers))
        return Embeddings(users, items + self.of_nodes(self.ego).items)

    def represent(self, view: ModalityView) -> Embeddings:
        users, items = self.encode()
        return Embeddings(self.predictor(users), self.predictor(items))

    def losses(self, batch: Pairs, view: ModalityView) -> dict[str, Tensor]:
        users, items = self.encode()
        u, i = users.index_select(0, batch.users), items.index_select(0, batch.positives)
        u_target, i_target = self.target(u), self.target(i)
        terms = {
            "user_to_item": self.distances(u, i_target).mean(),
            "item_to_user": self.distances(i, u_target).mean(),
            "frobenius": self.frobenius * frobenius_norm(items, users),
        }
        if self.modal_weight:
            content = self.projection(self.features(view, batch.positives))  # f^m, [B, M, d]
            weights = self.modal_weight * self.counted(view, batch.positives)  # [B, M]
            to_item = self.distances(content, i_target[:, None])
            to_itself = self.distances(content, self.target(content))
            terms["modality_to_item"] = (weights * to_item).sum(1).mean()
            terms["modality_to_itself"] = (weights * to_itself).sum(1).mean()
        return terms

    def target(self, x: Tensor) -> Tensor:
        """x without gradient and with dropout."""
        return F.dropout(x.detach(), self.dropout)

    def distances(self, x: Tensor, targets: Tensor) -> Tensor:
        """1 - cos(predictor(x), target) row by row, [..., d] -> [...]; 1 where one of them is zero."""
        return 1 - (unit_rows(self.predictor(x)) * unit_rows(targets)).sum(-1)

    def counted(self, view: ModalityView, items: Tensor) -> Tensor:
        """1 where the terms of an item and a modality count, float [B, M]."""
        visible = view.mask[items].float()
        return visible if self.mask_modal_loss else torch.ones_like(visible)


def _check(values: dict[str, Any]) -> None:
    """Raises ConfigError for a keyword of BM3 that is out of range."""
    check_lowest(values, {"dim": 1, "n_layers": 0, "modal_weight": 0, "frobenius": 0})
    if not 0 <= values["dropout"] < 1:
        raise ConfigError(f"model.dropout must be in [0, 1); got {values['dropout']}.")
    check_modalities(values, "BM3")
