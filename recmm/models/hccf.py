"""HCCF (Xia et al., SIGIR 2022): propagation on the graph and through learnt hyperedges, contrasted with each other."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recmm.data.batches import Pairs
from recmm.data.catalog import Catalog
from recmm.graph import symmetric_adjacency
from recmm.losses import bpr_of, contrast, squared_l2
from recmm.missing.view import ModalityView
from recmm.models.base import Embeddings, Recommender
from recmm.models.settings import MethodSettings, hp
from recmm.models.training import Training
from recmm.nn.id_table import IdInit, id_table
from recmm.nn.initialisation import xavier_matrices


class HCCF(Recommender):
    """Final = sum over l = 0..L of E_l,  E_l = G_l + Y_l; a score is an inner product.

        G_l = A E_{l-1}, LightGCN's layer
        Y_l = H (H^T E_{l-1}),  H = E_0 W, of users and of items apart; the K columns of H are hyperedges
        L = L_bpr + contrast sum_l [InfoNCE(G_l, Y_l) of users + InfoNCE(G_l, Y_l) of items] + all_l2 ||parameters||^2

    In the contrast G_l is a target without gradient. It compares within a batch, each of whose users and positive items
    counts once. The two factors are never multiplied, so that no matrix of nodes by nodes is made.

    This is the authors' second release, in PyTorch. Kept out is what it has dropped of the paper and of the first one:
    an activation after every product, three layers between hyperedges, a residual connection, a hinge loss, and one
    more weight matrix in the contrast. Both draw the dropout of (u, i) and of (i, u) apart; here an edge falls both
    ways.
    """

    class Settings(MethodSettings):
        """The released settings are contrast .2, temperature .1, all_l2 0 and no dropout for Yelp, and all_l2 1e-6 with
        contrast .5 for MovieLens and .2 for Amazon.
        """

        dim: int = hp(64, "width d of the embeddings; released code 32", ge=1)
        n_layers: int = hp(2, "L, layers; released code 2", ge=0)
        n_hyperedges: int = hp(128, "K, hyperedges of the users, and of the items; released code 128", ge=1)
        dropout: float = hp(
            0.0,
            "of the edges and of the entries of H, drawn for every layer and step, the others divided by 1 - dropout; "
            "released code 0 (Yelp) or .5",
            ge=0,
            lt=1,
        )
        contrast: float = hp(0.2, "weight of the contrast; released code .2 or .5", ge=0)
        temperature: float = hp(0.1, "of the contrast; released code .1", gt=0)
        all_l2: float = hp(1e-6, "weight of the sum of squares of all parameters; released code 0 or 1e-6", ge=0)
        init: IdInit = hp("xavier", "of the IDs: xavier (uniform; released code) | normal (standard deviation 0.1)")
        training: Training = hp(
            Training(batch_size=4096),
            "released code: Adam, lr 1e-3, batches of 4096, every pair once an epoch; its decay of .96 per epoch is "
            "lr_decay .13",
        )

    settings: Settings
    uses_modalities = False

    def __init__(self, catalog: Catalog, **values: Any) -> None:
        super().__init__(catalog, **values)
        s = self.settings
        self.in_batch_losses = s.contrast > 0
        self.adjacency = symmetric_adjacency(catalog)
        self.ego = id_table(catalog.n_users + catalog.n_items, s.dim, s.init)
        if s.n_layers:
            self.hyper = nn.Parameter(xavier_matrices(2, s.dim, s.n_hyperedges))  # W of users, W of items

    def layers(self) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """The final embeddings of all nodes [n_users + n_items, d], and G_l and Y_l of every layer."""
        e: Tensor = self.ego
        total, pairs = e, []
        hyperedges = (
            [x @ w for x, w in zip(self.of_nodes(e), self.hyper, strict=True)] if self.settings.n_layers else []
        )
        for _ in range(self.settings.n_layers):
            along_graph, along_hyperedges = self.adjacent(e), self.hyper_adjacent(e, hyperedges)
            pairs.append((along_graph, along_hyperedges))
            e = along_graph + along_hyperedges
            total = total + e
        return total, pairs

    def adjacent(self, e: Tensor) -> Tensor:
        """G of the layer after ``e`` [n_users + n_items, d]."""
        rate = self.settings.dropout if self.training else 0
        return (self.adjacency.drop_edges(rate, rescale=True) if rate else self.adjacency)(e)

    def hyper_adjacent(self, e: Tensor, hyperedges: list[Tensor]) -> Tensor:
        """Y of the layer after ``e`` [n_users + n_items, d], with H of users and of items [n, K]."""
        found = []
        for x, h in zip(self.of_nodes(e), hyperedges, strict=True):
            kept = F.dropout(h, self.settings.dropout, self.training)
            found.append(kept @ (kept.T @ x))
        return torch.cat(found)

    def represent(self, view: ModalityView) -> Embeddings:
        return self.of_nodes(self.layers()[0])

    def losses(self, batch: Pairs, view: ModalityView) -> dict[str, Tensor]:
        s = self.settings
        nodes, pairs = self.layers()
        u, i, j = batch.gather(nodes, self.catalog.n_users).chunk(3)
        terms = {"bpr": bpr_of(u, i, j)}
        if s.contrast and s.n_layers:
            terms["contrast"] = s.contrast * torch.stack([self.contrasted(*pair, batch) for pair in pairs]).sum()
        if s.all_l2:
            terms["all_l2"] = 2 * s.all_l2 * squared_l2(*self.parameters(), batch_size=1)
        return terms

    def contrasted(self, along_graph: Tensor, along_hyperedges: Tensor, batch: Pairs) -> Tensor:
        """InfoNCE(G_l, Y_l) of the batch's users and of its positive items."""
        total, offset = along_graph.new_zeros(()), 0
        for ids, n in ((batch.users, self.catalog.n_users), (batch.positives, self.catalog.n_items)):
            target, own = (x.index_select(0, offset + ids) for x in (along_graph.detach(), along_hyperedges))
            total, offset = total + contrast(target, own, ids, self.settings.temperature, unique=True), offset + n
        return total
