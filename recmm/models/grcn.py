"""GRCN (Wei et al., MM 2020): a user-item graph whose edges are weighed by how well the modalities explain them."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recmm.data.batches import Pairs
from recmm.data.catalog import Catalog
from recmm.graph import Graph
from recmm.losses import bpr_of, mean_square
from recmm.missing.view import ModalityView
from recmm.models.base import Embeddings, Recommender
from recmm.models.settings import MethodSettings, hp
from recmm.models.training import Training
from recmm.nn.id_table import id_table
from recmm.nn.rows import unit_rows


class GRCN(Recommender):
    """Final = [h ‖ r^1 ‖ ... ‖ r^M]: IDs along refined edges, beside every modality's prototypes and contents.

        f^m = rows of unit length of leaky(X^m W_m + b_m),  P^m the users' prototypes with rows of unit length
        n_routings times: P_u <- unit row of P_u + sum over u's items of softmax_i(P_u . f_i) f_i
        x^m = [P^m; f^m],  a^m_(v <- w) = softmax over the neighbours w of node v of x_v . x_w,  both ways
        r^m_v = x_v + sum_w a^m_(v <- w) x_w
        weight of the edge v <- w = relu(max_m a^m_(v <- w) c^m_w), c the nodes' confidence in every modality
        h = e + A e + A A e, A these weights, e the IDs with rows of unit length
        L = L_bpr + l2 (mean of the squared IDs of the batch + sum_m of the squared P^m of its users);  a score is u . i

    leaky has slope .01. In the released code the messages of the routing run from users to items, so that the update of
    the users' prototypes is zero and routing only gives them unit length: n_routings 0 is that code (grcn_code). An
    item without modality m takes part with what the imputer put there.
    """

    class Settings(MethodSettings):
        """Routings and l2 are DGMRec's, tuned under missing modalities. ``grcn_code`` is the released code."""

        dim: int = hp(64, "width d of IDs, prototypes and contents; released code 64", ge=1)
        n_layers: int = hp(2, "how often A is applied; released code 2", ge=0)
        n_routings: int = hp(
            1, "updates of the prototypes; released code 3, of which none has an effect; DGMRec 1 or 2", ge=0
        )
        prune: bool = hp(
            True,
            "true: edges of negative weight are cut (relu); paper, and the released code's default | false: they keep "
            "it; the commands in the released code",
        )
        l2: float = hp(0.0, "weight of the norms of IDs and prototypes; released code 1e-3; DGMRec 0", ge=0)
        training: Training = hp(
            Training(),
            "released code: Adam, lr 1e-4, batches of 1024; DGMRec: lr between 1e-3 and 1e-2 (TikTok), 5e-3 (the "
            "others), batches of 4096",
        )

    settings: Settings

    def __init__(self, catalog: Catalog, **values: Any) -> None:
        super().__init__(catalog, **values)
        s, widths = self.settings, list(catalog.dims.values())
        n_nodes = catalog.n_users + catalog.n_items
        self.histories = Graph(catalog.train_users, catalog.train_items, (catalog.n_users, catalog.n_items))
        self.ego = id_table(n_nodes, s.dim)
        projectors = [nn.Linear(width, s.dim) for width in widths]  # W_m, b_m
        for project in projectors:
            nn.init.xavier_normal_(project.weight)
        self.projectors = nn.ModuleList(projectors)
        self.prototypes = nn.ParameterList(id_table(catalog.n_users, s.dim) for _ in widths)  # P^m
        self.confidence = nn.Parameter(nn.init.xavier_normal_(torch.empty(n_nodes, len(widths))))  # c

    def route(self, prototypes: Tensor, contents: Tensor) -> Tensor:
        """P^m after all updates, [n_users, d], from that before and f^m [n_items, d]."""
        users = unit_rows(prototypes)
        for _ in range(self.settings.n_routings):
            attention = self.histories.softmax(self.histories.edge_products(users, contents))
            users = unit_rows(users + self.histories(contents, attention))
        return users

    def encode(self, view: ModalityView) -> Tensor:
        """Final embeddings of all nodes: [n_users + n_items, (M + 1) d]."""
        to_users, to_items = self.histories, self.histories.transposed()  # the same edges in the same order
        blocks, of_users, of_items = [], [], []
        parts = zip(self.prototypes, self.projectors, view.features.values(), self.confidence.unbind(1), strict=True)
        for prototypes, project, features, confidence in parts:
            items = unit_rows(F.leaky_relu(project(features)))
            users = self.route(prototypes, items)
            scores = to_users.edge_products(users, items)
            a_users, a_items = to_users.softmax(scores), to_items.softmax(scores)
            blocks.append(torch.cat([users + to_users(items, a_users), items + to_items(users, a_items)]))
            trust = self.of_nodes(confidence)
            of_users.append(a_users * trust.items.index_select(0, to_users.columns))
            of_items.append(a_items * trust.users.index_select(0, to_items.columns))
        w_users, w_items = (torch.stack(weights).amax(0) for weights in (of_users, of_items))
        if self.settings.prune:
            w_users, w_items = w_users.relu(), w_items.relu()
        h = total = unit_rows(self.ego)
        for _ in range(self.settings.n_layers):
            users, items = self.of_nodes(h)
            h = torch.cat([to_users(items, w_users), to_items(users, w_items)])
            total = total + h
        return torch.cat([total, *blocks], 1)

    def represent(self, view: ModalityView) -> Embeddings:
        return self.of_nodes(self.encode(view))

    def losses(self, batch: Pairs, view: ModalityView) -> dict[str, Tensor]:
        n_users = self.catalog.n_users
        u, i, j = batch.gather(self.encode(view), n_users).chunk(3)
        ids = batch.gather(self.ego, n_users).split([len(u), 2 * len(u)])
        prototypes = [table.index_select(0, batch.users) for table in self.prototypes]
        return {"bpr": bpr_of(u, i, j), "l2": self.settings.l2 * mean_square(*ids, *prototypes)}
