"""MGCN (Yu et al., MM 2023): multi-view graph convolution on purified modalities."""

from typing import Any

import torch
from torch import Tensor, nn

from recmm.data.batches import Pairs
from recmm.data.catalog import Catalog
from recmm.graph import Graph, symmetric_adjacency, users_from_items
from recmm.losses import bpr_of, contrast, squared_l2
from recmm.missing.view import ModalityView
from recmm.models.base import Embeddings, Recommender
from recmm.models.settings import MethodSettings, hp
from recmm.models.training import Training
from recmm.nn.id_table import IdInit, id_table
from recmm.nn.knn_graph import modality_graphs
from recmm.nn.raw_features import RawFeatures


class MGCN(Recommender):
    """Final = content + side: LightGCN on IDs, beside modality views from frozen k-NN graphs, gated both ways.

        purified items^m = V * sigmoid(G_m F^m),  F^m = X^m W_m + b_m,  V the items' IDs
        e^m: of items S^m purified^m, S^m the normalised k-NN graph of the raw X^m; of users D_U^-1/2 R D_V^-1/2 e^m
        common = sum_m a_m e^m,  a = softmax_m(q tanh(W e^m + b));  own^m = e^m - common
        side = (common + sum_m sigmoid(P_m content) * own^m) / (M + 1)
        L = L_bpr + contrast (InfoNCE(side_i, content_i) + InfoNCE(side_u, content_u)) + final_l2 ||final||^2 / 2

    The released code divides ``side`` by 3, which is M + 1 for its two modalities. Items without modality m, or with
    nothing to compare there (``comparable``), are their own and only neighbour in S^m; the sources do not say what
    becomes of them.
    """

    class Settings(MethodSettings):
        """DGMRec's authors, under missing modalities, take contrast .03 on TikTok, .001 on Baby, .01 on the others."""

        dim: int = hp(64, "width d of all embeddings; released code 64", ge=1)
        n_layers: int = hp(2, "L, layers of LightGCN on the user-item graph; released code 2", ge=0)
        n_item_layers: int = hp(1, "how often S^m is applied; released code 1", ge=1)
        k: int = hp(10, "neighbours of an item, itself among them; released code 10", ge=1)
        contrast: float = hp(0.01, "weight of the contrast; the authors search .001, .01, .1", ge=0)
        temperature: float = hp(0.2, "of the contrast; released code .2", gt=0)
        contrast_unique: bool = hp(
            True,
            "true: a batch's users and items are contrasted once each | false: as often as they occur, so that a node "
            "is a negative of itself; released code",
        )
        trainable_features: bool = hp(
            True, "X^m are trained too, as in the released code; S^m stay those of the features as they came"
        )
        final_l2: float = hp(
            1e-4, "weight of 1/2 ||final embeddings of the batch||^2 / batch_size; released code 1e-4", ge=0
        )
        init: IdInit = hp("xavier", "of the IDs: xavier (uniform) | normal (standard deviation 0.1)")
        training: Training = hp(
            Training(lr_decay=0.96),
            "released code: Adam, lr 1e-3, lr_decay .96, every pair once an epoch; batch 2048 in MMRec",
        )

    settings: Settings

    def __init__(self, catalog: Catalog, **values: Any) -> None:
        super().__init__(catalog, **values)
        s = self.settings
        self.in_batch_losses = s.contrast > 0
        widths = list(catalog.dims.values())
        self.adjacency, self.users_from_items = symmetric_adjacency(catalog), users_from_items(catalog)
        self.ego = id_table(catalog.n_users + catalog.n_items, s.dim, s.init)
        self.raw = RawFeatures(catalog, trainable=s.trainable_features)  # X^m
        self.projectors = nn.ModuleList(nn.Linear(width, s.dim) for width in widths)  # W_m, b_m
        self.gates = nn.ModuleList(nn.Linear(s.dim, s.dim) for _ in widths)  # G_m
        self.attention = nn.Sequential(nn.Linear(s.dim, s.dim), nn.Tanh(), nn.Linear(s.dim, 1, bias=False))  # W, b, q
        self.preferences = nn.ModuleList(nn.Linear(s.dim, s.dim) for _ in widths)  # P_m

    def prepare(self, view: ModalityView) -> list[Graph]:
        """S^m of every modality."""
        return modality_graphs(view, self.settings.k).graphs

    def modality_views(self, view: ModalityView) -> Tensor:
        """e^m of all nodes: [n_users + n_items, M, d]."""
        ids, items = self.ego[self.catalog.n_users :], []
        maps = zip(self.projectors, self.gates, self.raw(view), self.prepared(view), strict=True)
        for project, gate, x, graph in maps:
            h = ids * gate(project(x)).sigmoid()
            for _ in range(self.settings.n_item_layers):
                h = graph(h)
            items.append(h)
        side_by_side = torch.cat(items, 1)
        nodes = torch.cat([self.users_from_items(side_by_side), side_by_side])
        return nodes.unflatten(1, (len(items), -1))

    def fuse(self, modalities: Tensor, content: Tensor) -> Tensor:
        """side of n nodes, from their e^m [n, M, d] and contents [n, d]: [n, d]."""
        common = (self.attention(modalities).softmax(1) * modalities).sum(1)
        preferred = torch.stack([prefer(content).sigmoid() for prefer in self.preferences], 1)
        own = modalities - common[:, None]
        return (common + (preferred * own).sum(1)) / (len(self.preferences) + 1)

    def represent(self, view: ModalityView) -> Embeddings:
        content = self.adjacency.propagate(self.ego, self.settings.n_layers)
        return self.of_nodes(content + self.fuse(self.modality_views(view), content))

    def losses(self, batch: Pairs, view: ModalityView) -> dict[str, Tensor]:
        n_users = self.catalog.n_users
        content = batch.gather(self.adjacency.propagate(self.ego, self.settings.n_layers), n_users)
        side = self.fuse(batch.gather(self.modality_views(view), n_users), content)  # of the batch's nodes alone
        u, i, j = (content + side).chunk(3)
        terms = {
            "bpr": bpr_of(u, i, j),
            "final_l2": self.settings.final_l2 * squared_l2(u, i, j, batch_size=self.full_batch_size),
        }
        if self.settings.contrast:
            (side_u, side_i, _), (content_u, content_i, _) = side.chunk(3), content.chunk(3)
            of_items = self.contrasted(side_i, content_i, batch.positives)
            terms["contrast"] = self.settings.contrast * (of_items + self.contrasted(side_u, content_u, batch.users))
        return terms

    def contrasted(self, side: Tensor, content: Tensor, nodes: Tensor) -> Tensor:
        """InfoNCE within the batch, of rows [B, d] that belong to ``nodes`` int64 [B]."""
        s = self.settings
        return contrast(side, content, nodes, s.temperature, unique=s.contrast_unique)
