"""BM3 (Zhou et al., WWW 2023): bootstrapped multimodal recommendation without negatives."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recmm.data.batches import Pairs
from recmm.data.catalog import Catalog
from recmm.graph import symmetric_adjacency
from recmm.losses import frobenius_norm
from recmm.missing.view import ModalityView
from recmm.models.base import Embeddings, Recommender
from recmm.models.settings import MethodSettings, hp
from recmm.models.training import Training
from recmm.nn.id_table import id_table
from recmm.nn.modality_input import Projection
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

    Dropout is drawn for the rows of the batch, in the released code for whole tables: an item that a batch holds twice
    gets two draws here.
    """

    class Settings(MethodSettings):
        """Defaults are the values that DGMRec's authors tuned for TikTok with modalities missing, except for the size
        of a batch. "Published" are the values of the paper's authors.
        """

        dim: int = hp(64, "width d of all embeddings", ge=1)
        n_layers: int = hp(
            1, "L, propagation layers; published 1 (Baby, Sports); DGMRec 1 (TikTok), 2 (the others)", ge=0
        )
        dropout: float = hp(
            0.3, "of the targets; published .5 (Baby, Sports), searched among .3 and .5; DGMRec .3", ge=0, lt=1
        )
        modal_weight: float = hp(2.0, "w, of the terms in which features take part; released code 2", ge=0)
        frobenius: float = hp(
            0.01,
            "l, of the (not squared) Frobenius norms of all users' and all items' embeddings / n_items, whatever the "
            "batch (EmbLoss on whole tables); published .1 (Baby), .01 (Sports)",
            ge=0,
        )
        trainable_features: bool = hp(
            True,
            "the features are trained too, as in the released code: as many parameters as the features have values, "
            "twice that for Adam's state, and every step updates all of them",
        )
        mask_modal_loss: bool = hp(
            True,
            "true: an item that lacks a modality has no terms with it, and the terms are still divided by the size of "
            "the batch, so that what it has keeps its weight | false: it takes part with what the imputer put there; "
            "released code",
        )
        training: Training = hp(
            Training(),
            "lr 1e-3 as in LightGCN, since our sources name none; DGMRec: batches of 4096 (TikTok), 2048 (the others)",
        )

    settings: Settings
    n_negatives = 0

    def __init__(self, catalog: Catalog, **values: Any) -> None:
        super().__init__(catalog, **values)
        s = self.settings
        self.adjacency = symmetric_adjacency(catalog)
        self.ego = id_table(catalog.n_users + catalog.n_items, s.dim)
        self.features = RawFeatures(catalog, trainable=s.trainable_features)
        self.projection = Projection(list(catalog.dims.values()), s.dim, init="normal")
        self.predictor = nn.Linear(s.dim, s.dim)
        nn.init.xavier_normal_(self.predictor.weight)
        nn.init.zeros_(self.predictor.bias)

    def encode(self) -> Embeddings:
        """U and I before the predictor."""
        users, items = self.of_nodes(self.adjacency.propagate(self.ego, self.settings.n_layers))
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
            "frobenius": self.settings.frobenius * frobenius_norm(items, users),
        }
        if self.settings.modal_weight:
            content = self.projection(self.features(view, batch.positives))  # f^m, [B, M, d]
            weights = self.settings.modal_weight * self.counted(view, batch.positives)  # [B, M]
            to_item = self.distances(content, i_target[:, None])
            to_itself = self.distances(content, self.target(content))
            terms["modality_to_item"] = (weights * to_item).sum(1).mean()
            terms["modality_to_itself"] = (weights * to_itself).sum(1).mean()
        return terms

    def target(self, x: Tensor) -> Tensor:
        """x without gradient and with dropout."""
        return F.dropout(x.detach(), self.settings.dropout)

    def distances(self, x: Tensor, targets: Tensor) -> Tensor:
        """1 - cos(predictor(x), target) row by row, [..., d] -> [...]; 1 where one of them is zero."""
        return 1 - (unit_rows(self.predictor(x)) * unit_rows(targets)).sum(-1)

    def counted(self, view: ModalityView, items: Tensor) -> Tensor:
        """1 where the terms of an item and a modality count, float [B, M]."""
        visible = view.mask[items].float()
        return visible if self.settings.mask_modal_loss else torch.ones_like(visible)
