"""LightGCL (Cai et al., ICLR 2023): LightGCN with a contrast to a low-rank reconstruction of its graph."""

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from recmm.data.batches import Pairs
from recmm.data.catalog import Catalog
from recmm.graph import leading_spectrum, symmetric_adjacency, users_from_items
from recmm.losses import bpr_of, contrast, mean_log_sum_exp
from recmm.missing.view import ModalityView
from recmm.models.base import Embeddings, Recommender
from recmm.models.settings import MethodSettings, hp
from recmm.models.training import Training
from recmm.nn.id_table import IdInit, id_table

BOUND = 5.0
"""The released code clamps the similarity of a positive pair to +-5, which ends its gradient there."""


class LightGCL(Recommender):
    """L = L_bpr + lambda1 (L_s^users + L_s^items), over E = sum over l = 0..L of A^l E^0.

    The other view replaces every product with A by one with its truncated singular value decomposition A_q:
    G = E^0 + sum over l = 1..L of A_q E^(l-1). L_s^users is the mean over a batch's users of

        log sum over all users v of exp(g_u e_v / temperature) - g_u e_u / temperature

    and L_s^items the same for its positive items among all items. Both views are trained.

    The paper has cosines; released code, whose ``dot`` this is, clamps the second term to +-5. That code's items are
    the positive and the negative ones, and its sum of all squared parameters is ``training.weight_decay`` here. The
    paper's activations are in neither. Of the singular values 1 that connected components have, one counts for q.
    """

    class Settings(MethodSettings):
        """The authors' values but for lambda1, whose .2 drowns the ranking on small catalogues."""

        dim: int = hp(64, "width d of the embeddings; authors 64", ge=1)
        n_layers: int = hp(2, "L, propagation layers; authors 2, 1 on Tmall and Amazon", ge=1)
        rank: int = hp(5, "q, singular vectors of the reconstruction; authors 5", ge=1)
        lambda1: float = hp(0.01, "weight of the contrast; authors .2", ge=0)
        similarity: Literal["dot", "cosine"] = hp("cosine", "in the contrast: cosine (paper) | dot (released code)")
        temperature: float = hp(0.2, "of the contrast; authors .2, .1 to .5", gt=0)
        dropout: float = hp(0.0, "share of the graph's values that training leaves out; authors 0", ge=0, lt=1)
        init: IdInit = hp("xavier", "of the IDs: xavier (uniform; authors) | normal (standard deviation 0.1)")
        training: Training = hp(
            Training(weight_decay=2e-7), "authors: Adam, lr 1e-3, lambda2 1e-7 (half the decay), batches of 4096"
        )

    settings: Settings
    uses_modalities = False

    def __init__(self, catalog: Catalog, **values: Any) -> None:
        super().__init__(catalog, **values)
        s = self.settings
        self.adjacency = symmetric_adjacency(catalog)
        self.ego = id_table(catalog.n_users + catalog.n_items, s.dim, s.init)
        if s.lambda1:
            found = leading_spectrum(users_from_items(catalog), s.rank)
            root = found.values.sqrt()
            self.register_buffer("left", found.left * root, persistent=False)
            self.register_buffer("right", found.right * root, persistent=False)

    def represent(self, view: ModalityView) -> Embeddings:
        n_layers = self.settings.n_layers
        return self.of_nodes((n_layers + 1) * self.adjacency.propagate(self.ego, n_layers))

    def sums(self) -> tuple[Tensor, Tensor]:
        """The sums of layers 0 to L, which is E, and of layers 0 to L - 1, with the training's dropout."""
        rate, values = self.settings.dropout, self.adjacency.values
        layer = total = below = self.ego
        for _ in range(self.settings.n_layers):
            below, layer = total, self.adjacency(layer, F.dropout(values, rate) if rate else None)
            total = total + layer
        return total, below

    def reconstructed(self, nodes: Tensor) -> Tensor:
        """A_q ``nodes`` [n_users + n_items, d], never as a matrix."""
        left, right = self.get_buffer("left"), self.get_buffer("right")
        users, items = self.of_nodes(nodes)
        return torch.cat([left @ (right.T @ items), right @ (left.T @ users)])

    def losses(self, batch: Pairs, view: ModalityView) -> dict[str, Tensor]:
        nodes, below = self.sums()
        terms = {"bpr": bpr_of(*batch.gather(nodes, self.catalog.n_users).chunk(3))}
        if self.settings.lambda1:
            own, other = self.of_nodes(nodes), self.of_nodes(self.ego + self.reconstructed(below))
            of_users = self.contrast(other.users, own.users, batch.users)
            of_items = self.contrast(other.items, own.items, batch.positives)
            terms["contrast"] = self.settings.lambda1 * (of_users + of_items)
        return terms

    def contrast(self, other: Tensor, own: Tensor, anchors: Tensor) -> Tensor:
        """L_s of ``anchors`` int64 [B], from G and E of all nodes of a kind, [n, d]."""
        rows, temperature = other.index_select(0, anchors), self.settings.temperature
        if self.settings.similarity == "cosine":
            return contrast(rows, own, anchors, temperature, among="all", merged=True)
        positives = (rows * own.index_select(0, anchors)).sum(1) / temperature
        return mean_log_sum_exp(rows / temperature, own) - positives.clamp(-BOUND, BOUND).mean()
