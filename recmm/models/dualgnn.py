"""DualGNN (Wang et al., IEEE Transactions on Multimedia 2021): graphs of users and items, and a graph of users."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from recmm.data.batches import Pairs
from recmm.data.catalog import Catalog
from recmm.data.dataset import Interactions
from recmm.graph import Graph, symmetric_adjacency
from recmm.losses import bpr_of, mean_square
from recmm.missing.item_graph import cooccurrence
from recmm.missing.view import ModalityView
from recmm.models.base import Embeddings, Recommender
from recmm.models.settings import MethodSettings, hp
from recmm.models.training import Training
from recmm.nn.id_table import id_table
from recmm.nn.rows import unit_rows


def co_users(catalog: Catalog, k: int) -> Graph:
    """c [n_users, n_users]: how many training items a user shares with each of the k others with whom it shares most.

    Of equal counts the user with the shorter history comes first, then the one with the lower id. A user who shares
    items with fewer than k others has these alone.
    """
    by_item = torch.argsort(catalog.train_items * catalog.n_users + catalog.train_users)
    pairs = (catalog.train_items[by_item].numpy(), catalog.train_users[by_item].numpy())
    counts = cooccurrence(Interactions(*pairs, catalog.n_items, catalog.n_users), k, exclude_self=True).tocoo()
    rows, columns = (torch.from_numpy(ends).long() for ends in (counts.row, counts.col))
    return Graph(rows, columns, counts.shape, torch.from_numpy(counts.data))


class DualGNN(Recommender):
    """A user is a weighted sum of modalities and of like-minded users, an item a sum of modalities; a score is u . i.

        f^m = W_m2 leaky(W_m1 x^m + b_m1) + b_m2,  h^m = rows of unit length of [P^m; f^m], P^m the users' preferences
        r^m = h^m + A h^m + ... + A^L h^m,  A the symmetrically normalised user-item graph
        z_u = sum_m w_um r^m_u,  w trained, for each user the softmax of random numbers at the start
        u = z_u + sum_v softmax_v(c_uv) z_v over the k users v with most items in common, c_uv their number
        i = sum_m r^m_i
        L = L_bpr + l2 (sum_m mean of the squared P^m of the batch's users + mean of their squared w)

    leaky has slope .01. An item without modality m takes part with what the imputer put there.

    Each epoch, every modality trains on a user-item graph of its own, without the edges of a share ``drop_items`` of
    the items; evaluation takes the whole graph. The released code draws such items once and never uses them.

    Kept out of the released code: it takes logarithms of base 2 in L_bpr, which is l2 times ln 2 here. It fills a list
    of fewer than k users with random repeats; here these users are taken once each. It has weights of items beside
    those of users, which are only in the norm. It ranks by what the last training batch left, one step behind.
    MMRec's port adds up modalities in place, so that a user's first modality counts for the later ones too.
    """

    class Settings(MethodSettings):
        """``dualgnn_code`` is the released code."""

        dim: int = hp(64, "width d of all embeddings; released code 64", ge=1)
        hidden_dim: int = hp(256, "rows of W_m1; released code 256", ge=1)
        n_layers: int = hp(2, "L; released code 2", ge=0)
        k: int = hp(40, "users v of a user at most, 0 for none; released code 40", ge=0)
        drop_items: float = hp(
            0.1,
            "share of the items whose edges a modality's graph leaves out, drawn for every epoch; released code .1, "
            "without an effect, which is 0",
            ge=0,
            lt=1,
        )
        l2: float = hp(
            0.1, "weight of the norms of P^m and w; released code .1 ln 2; MMRec's grid goes from 1e-5 to .1", ge=0
        )
        training: Training = hp(
            Training(), "released code: Adam, lr 1e-4, batches of 8192; MMRec's grid of lr goes from 1e-5 to .1"
        )

    settings: Settings

    def __init__(self, catalog: Catalog, **values: Any) -> None:
        super().__init__(catalog, **values)
        s, widths = self.settings, list(catalog.dims.values())
        self.adjacency = symmetric_adjacency(catalog)
        counts = co_users(catalog, s.k)
        self.neighbours = counts.with_values(counts.softmax(counts.values))
        self.preferences = nn.ParameterList(id_table(catalog.n_users, s.dim) for _ in widths)  # P^m
        self.projectors = nn.ModuleList(
            nn.Sequential(nn.Linear(width, s.hidden_dim), nn.LeakyReLU(), nn.Linear(s.hidden_dim, s.dim))
            for width in widths
        )
        random = nn.init.xavier_normal_(torch.empty(catalog.n_users, len(widths)))
        self.weights = nn.Parameter(random.softmax(1))  # w
        self._drawn: list[Graph] = []  # this epoch's graph of every modality

    def start_epoch(self, epoch: int, view: ModalityView) -> None:
        s, sizes = self.settings, (self.catalog.n_users, self.catalog.n_items)
        if s.drop_items:
            whole = self.adjacency.unweighted()
            draws = [whole.drop_nodes((0.0, s.drop_items), sizes) for _ in self.preferences]
            self._drawn = [drawn.symmetric() for drawn in draws]

    def embed(self, adjacencies: Sequence[Graph], view: ModalityView) -> Embeddings:
        """Final embeddings from one user-item graph for all modalities, or from one each."""
        s = self.settings
        parts = zip(self.preferences, self.projectors, view.features.values(), strict=True)
        h = [unit_rows(torch.cat([table, project(x)])) for table, project, x in parts]
        side_by_side = h if len(adjacencies) > 1 else [torch.cat(h, 1)]
        means = [graph.propagate(x, s.n_layers) for graph, x in zip(adjacencies, side_by_side, strict=True)]
        r = (s.n_layers + 1) * torch.cat(means, 1).unflatten(1, (-1, s.dim))  # [n_users + n_items, M, d]
        users, items = self.of_nodes(r)
        z = (self.weights[:, :, None] * users).sum(1)
        return Embeddings(z + self.neighbours(z), items.sum(1))

    def represent(self, view: ModalityView) -> Embeddings:
        return self.embed([self.adjacency], view)

    def losses(self, batch: Pairs, view: ModalityView) -> dict[str, Tensor]:
        nodes = torch.cat(self.embed(self._drawn or [self.adjacency], view))
        u, i, j = batch.gather(nodes, self.catalog.n_users).chunk(3)
        trained = [table.index_select(0, batch.users) for table in (*self.preferences, self.weights)]
        return {"bpr": bpr_of(u, i, j), "l2": self.settings.l2 * mean_square(*trained)}
