"""VBPR (He & McAuley, AAAI 2016), for any number of modalities."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recmm.data.batches import Pairs
from recmm.data.catalog import Catalog
from recmm.losses import bpr, frobenius_norm
from recmm.missing.view import ModalityView
from recmm.models.base import Embeddings, Recommender
from recmm.models.settings import MethodSettings, hp
from recmm.models.training import Training
from recmm.nn.id_table import id_table
from recmm.nn.rows import select


class VBPR(Recommender):
    """Score = [gamma_u ‖ theta_u] . [gamma_i ‖ E f_i + b], f_i the raw features of all modalities side by side.

    Matrix factorisation with a second block of factors that items do not own but get from their frozen features. A
    step projects the items of its batch alone, an evaluation all of them. A hidden modality contributes what the
    imputer put there: with zeros and no other modality, the second block is b.

    The multimodal version in MMRec differs from the paper in its biases and its regulariser (``Settings``). The paper's
    offset and user bias are left out here, as they change neither a ranking nor its loss. The paper has images only
    (``dataset.modalities=[visual]``). MMRec puts text before images; that order changes nothing.
    """

    class Settings(MethodSettings):
        """Defaults follow MMRec, with the values that DGMRec's authors tuned for TikTok with modalities missing, except
        for the size of a batch.
        """

        dim: int = hp(64, "width of gamma_u and gamma_i, the users' and items' own factors", ge=1)
        content_dim: int = hp(64, "width of theta_u, the users' content factors, and of the projected features", ge=1)
        biases: bool = hp(
            False, "a bias beta_i of every item and one of its features, beta' f_i; paper true, MMRec false"
        )
        frobenius: float = hp(
            1.0,
            "weight of the (not squared) Frobenius norms of the batch's [gamma_u, theta_u] and of its items' [gamma_i, "
            "E f_i + b] / batch size (EmbLoss); DGMRec 1 (TikTok, Clothing, Sports), 0 (Baby); MMRec's grid goes from "
            "2 to 1e-5; the paper has squared norms: training.weight_decay",
            ge=0,
        )
        training: Training = hp(
            Training(),
            "DGMRec: lr 1e-3 (TikTok), 5e-3 (Baby, Clothing, Sports); batches of 4096 (TikTok), 2048 (the others)",
        )

    settings: Settings

    def __init__(self, catalog: Catalog, **values: Any) -> None:
        super().__init__(catalog, **values)
        s = self.settings
        self.in_batch_losses = s.frobenius > 0  # norms of whole batches
        self.users = id_table(catalog.n_users, s.dim + s.content_dim)
        self.items = id_table(catalog.n_items, s.dim)
        self.projection = nn.Linear(sum(catalog.dims.values()), s.content_dim + s.biases)  # E; beta' is its last row
        nn.init.xavier_normal_(self.projection.weight)
        nn.init.zeros_(self.projection.bias)
        self.item_bias = nn.Parameter(torch.zeros(catalog.n_items)) if s.biases else None

    def content(self, view: ModalityView, rows: Tensor | slice) -> Tensor:
        """E f_i + b of some items, with ``biases`` beta' f_i as one more column: [n, content_dim (+ 1)].

        Modality by modality, so that no second copy of all features is made.
        """
        weights = self.projection.weight.split(list(self.catalog.dims.values()), 1)
        total: Tensor = self.projection.bias
        for m, weight in zip(self.catalog.modalities, weights, strict=True):
            total = total + F.linear(select(view.features[m], rows), weight)
        return total

    def factors(self, view: ModalityView, rows: Tensor | slice) -> tuple[Tensor, Tensor | None]:
        """[gamma_i ‖ E f_i + b] of some items, [n, dim + content_dim], and their biases [n], if there are any."""
        both = torch.cat([select(self.items, rows), self.content(view, rows)], 1)
        if self.item_bias is None:
            return both, None
        return both[:, :-1], both[:, -1] + select(self.item_bias, rows)

    def represent(self, view: ModalityView) -> Embeddings:
        items, biases = self.factors(view, slice(None))
        if biases is None:
            return Embeddings(self.users, items)
        ones = self.users.new_ones(self.catalog.n_users, 1)
        return Embeddings(torch.cat([self.users, ones], 1), torch.cat([items, biases[:, None]], 1))

    def losses(self, batch: Pairs, view: ModalityView) -> dict[str, Tensor]:
        users = self.users.index_select(0, batch.users)
        items, biases = self.factors(view, torch.cat([batch.positives, batch.negatives]))
        i, j = items.chunk(2)
        positives, negatives = (users * i).sum(1), (users * j).sum(1)
        if biases is not None:
            of_i, of_j = biases.chunk(2)
            positives, negatives = positives + of_i, negatives + of_j
        return {"bpr": bpr(positives, negatives), "frobenius": self.settings.frobenius * frobenius_norm(users, i, j)}
