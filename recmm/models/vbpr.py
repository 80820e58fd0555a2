"""VBPR (He & McAuley, AAAI 2016), for any number of modalities. methods.md section 7.7."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recmm.data.batches import Pairs
from recmm.data.catalog import Catalog
from recmm.losses import bpr, frobenius_norm
from recmm.missing.view import ModalityView
from recmm.models.base import Embeddings, Recommender
from recmm.models.checks import check_lowest, check_modalities
from recmm.models.training import Training
from recmm.nn.propagation import id_table


class VBPR(Recommender):
    """Score = [gamma_u ‖ theta_u] . [gamma_i ‖ E f_i + b], f_i the raw features of all modalities side by side.

    Matrix factorisation with a second block of factors that items do not own but get from their frozen features. A
    step projects the items of its batch alone, an evaluation all of them. A hidden modality contributes what the
    imputer put there: with zeros and no other modality, the second block is b.

    The paper and the multimodal version in MMRec differ in
    - the bias beta_i of an item and beta' f_i of its features, which MMRec leaves out: ``biases`` (the paper's offset
      and user bias change neither a ranking nor its loss);
    - the regulariser: MMRec has ``frobenius``; the paper's squared norms are ``training.weight_decay``;
    - the features: the paper has images only (``dataset.modalities=[visual]``); MMRec puts text before images, an order
      that changes nothing.

    Args:
        dim: width of gamma_u and gamma_i.
        content_dim: width of theta_u and of the projected features.
        biases: the paper's beta_i + beta' f_i.
        frobenius: weight of the (not squared) Frobenius norms of the batch's [gamma_u ‖ theta_u] and of its items'
            [gamma_i ‖ E f_i + b], divided by the batch size: EmbLoss (methods.md, B6a).
        training: optimiser and batches.

    Raises:
        ConfigError: for a value outside its range, or a catalogue without modalities.
    """

    def __init__(
        self,
        catalog: Catalog,
        *,
        dim: int = 64,
        content_dim: int = 64,
        biases: bool = False,
        frobenius: float = 1.0,
        training: Training = Training(),
    ) -> None:
        _check(locals())
        super().__init__(catalog, training)
        self.width, self.frobenius = dim + content_dim, frobenius
        self.in_batch_losses = frobenius > 0  # norms of whole batches
        self.users = id_table(catalog.n_users, self.width)
        self.items = id_table(catalog.n_items, dim)
        self.projection = nn.Linear(sum(catalog.dims.values()), content_dim + biases)  # E; beta' is its last row
        nn.init.xavier_normal_(self.projection.weight)
        nn.init.zeros_(self.projection.bias)
        self.item_bias = nn.Parameter(torch.zeros(catalog.n_items)) if biases else None

    def content(self, view: ModalityView, rows: Tensor | slice) -> Tensor:
        """E f_i + b of some items, with ``biases`` beta' f_i as one more column: [n, content_dim (+ 1)].

        Modality by modality, so that no second copy of all features is made.
        """
        weights = self.projection.weight.split(list(self.catalog.dims.values()), 1)
        total: Tensor = self.projection.bias
        for m, weight in zip(self.catalog.modalities, weights, strict=True):
            total = total + F.linear(view.features[m][rows], weight)
        return total

    def factors(self, view: ModalityView, rows: Tensor | slice) -> tuple[Tensor, Tensor | None]:
        """[gamma_i ‖ E f_i + b] of some items, [n, dim + content_dim], and their biases [n], if there are any."""
        both = torch.cat([self.items[rows], self.content(view, rows)], 1)
        if self.item_bias is None:
            return both, None
        return both[:, :-1], both[:, -1] + self.item_bias[rows]

    def represent(self, view: ModalityView) -> Embeddings:
        items, biases = self.factors(view, slice(None))
        if biases is None:
            return Embeddings(self.users, items)
        ones = self.users.new_ones(self.catalog.n_users, 1)
        return Embeddings(torch.cat([self.users, ones], 1), torch.cat([items, biases[:, None]], 1))

    def losses(self, batch: Pairs, view: ModalityView) -> dict[str, Tensor]:
        users = self.users[batch.users]
        items, biases = self.factors(view, torch.cat([batch.positives, batch.negatives]))
        i, j = items.chunk(2)
        positives, negatives = (users * i).sum(1), (users * j).sum(1)
        if biases is not None:
            of_i, of_j = biases.chunk(2)
            positives, negatives = positives + of_i, negatives + of_j
        return {"bpr": bpr(positives, negatives), "frobenius": self.frobenius * frobenius_norm(users, i, j)}


def _check(values: dict[str, Any]) -> None:
    """Raises ConfigError for a keyword of VBPR that is out of range."""
    check_lowest(values, {"dim": 1, "content_dim": 1, "frobenius": 0})
    check_modalities(values, "VBPR")
