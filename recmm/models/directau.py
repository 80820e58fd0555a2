"""DirectAU (Wang et al., KDD 2022): alignment of a user and an item, uniformity of the users and of the items."""

from typing import Any, Literal

import torch.nn.functional as F
from torch import Tensor

from recmm.data.batches import Pairs, first_occurrences
from recmm.data.catalog import Catalog
from recmm.graph import symmetric_adjacency
from recmm.losses import alignment, uniformity
from recmm.missing.view import ModalityView
from recmm.models.base import Embeddings, Recommender
from recmm.models.settings import MethodSettings, hp
from recmm.models.training import Training
from recmm.nn.id_table import IdInit, id_table


class DirectAU(Recommender):
    """L = mean over pairs of ||u - i||^2 + gamma (unif(users) + unif(items)) / 2, of unit embeddings; no negatives.

    unif(X) is the log of the mean of exp(-2 ||x - x'||^2) over the pairs of rows of a batch. The embeddings are those
    of LightGCN, or with ``n_layers=0`` of matrix factorisation.

    The released code takes a user that a batch holds twice as two, which attract the mean to exp(0); ``unique=false``
    does so too. It scores by the inner products of embeddings that are not normalised.
    """

    class Settings(MethodSettings):
        dim: int = hp(64, "width d of the embeddings; authors 64", ge=1)
        n_layers: int = hp(2, "propagation layers of the encoder; 0: matrix factorisation; authors 0, or 2 to 3", ge=0)
        gamma: float = hp(1.0, "weight of the uniformity; authors .5 on Beauty, 5 on Gowalla, 1 on Yelp2018", ge=0)
        unique: bool = hp(True, "true: a batch's users and items count once each | false: as often as they occur")
        scoring: Literal["dot", "cosine"] = hp("dot", "scores: dot, inner products (released code) | cosine")
        init: IdInit = hp("xavier", "of the IDs: xavier (uniform) | normal (standard deviation 0.1)")
        training: Training = hp(
            Training(weight_decay=1e-6), "authors: Adam, lr 1e-3, weight decay 1e-6, batches of 256 and 1024"
        )

    settings: Settings
    uses_modalities = False
    n_negatives = 0
    in_batch_losses = True

    def __init__(self, catalog: Catalog, **values: Any) -> None:
        super().__init__(catalog, **values)
        self.adjacency = symmetric_adjacency(catalog)
        self.ego = id_table(catalog.n_users + catalog.n_items, self.settings.dim, self.settings.init)

    def represent(self, view: ModalityView) -> Embeddings:
        nodes = self.adjacency.propagate(self.ego, self.settings.n_layers)
        return self.of_nodes(F.normalize(nodes, dim=1) if self.settings.scoring == "cosine" else nodes)

    def losses(self, batch: Pairs, view: ModalityView) -> dict[str, Tensor]:
        x, ids = self.represent(view), (batch.users, batch.positives)
        u, i = (rows.index_select(0, own) for rows, own in zip(x, ids, strict=True))
        terms = {"alignment": alignment(u, i)}
        if self.settings.gamma:
            spread = [uniformity(self.counted(rows, own)) for rows, own in zip((u, i), ids, strict=True)]
            terms["uniformity"] = self.settings.gamma * (spread[0] + spread[1]) / 2
        return terms

    def counted(self, rows: Tensor, ids: Tensor) -> Tensor:
        """The rows whose uniformity is measured."""
        return rows[first_occurrences(ids, int(ids.max()) + 1)] if self.settings.unique else rows
