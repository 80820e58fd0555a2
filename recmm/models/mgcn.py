"""MGCN (Yu et al., MM 2023): multi-view graph convolution on purified modalities. methods.md section 7.19."""

from typing import Any

import torch
from torch import Tensor, nn

from recmm.data.batches import Pairs
from recmm.data.catalog import Catalog
from recmm.errors import ConfigError
from recmm.graph import SparseProduct, symmetric_adjacency, users_from_items
from recmm.losses import bpr, info_nce, squared_l2
from recmm.missing.view import ModalityView
from recmm.models.base import Embeddings, Recommender
from recmm.models.checks import check_lowest, check_modalities
from recmm.models.training import Training
from recmm.nn.knn_graph import comparable, knn_graph
from recmm.nn.propagation import IdInit, id_table, propagate
from recmm.nn.raw_features import RawFeatures
from recmm.nn.rows import first_occurrences


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

    Args:
        dim: width d of all embeddings.
        n_layers: L of LightGCN on the user-item graph.
        n_item_layers: how often S^m is applied.
        k: neighbours of an item, itself included.
        contrast: weight of the contrast.
        temperature: of the contrast.
        contrast_unique: every user and item of a batch is contrasted once; otherwise, as in the released code, those
            that a batch holds several times are negatives of themselves.
        trainable_features: X^m are trained too (``RawFeatures``), as in the released code; S^m stay those of the
            features as they came.
        final_l2: weight of half the squared norm of the batch's final embeddings divided by the configured batch size.
        init: of the IDs, see ``id_table``.
        training: optimiser and batches.

    Raises:
        ConfigError: for a value outside its range, or a catalogue without modalities.
    """

    def __init__(
        self,
        catalog: Catalog,
        *,
        dim: int = 64,
        n_layers: int = 2,
        n_item_layers: int = 1,
        k: int = 10,
        contrast: float = 0.01,
        temperature: float = 0.2,
        contrast_unique: bool = True,
        trainable_features: bool = True,
        final_l2: float = 1e-4,
        init: IdInit = "xavier",
        training: Training = Training(),
    ) -> None:
        _check(locals())
        super().__init__(catalog, training)
        self.n_layers, self.n_item_layers, self.k = n_layers, n_item_layers, k
        self.contrast, self.temperature, self.contrast_unique = contrast, temperature, contrast_unique
        self.in_batch_losses = contrast > 0
        self.final_l2 = final_l2
        widths = list(catalog.dims.values())
        self.adjacency, self.users_from_items = symmetric_adjacency(catalog), users_from_items(catalog)
        self.ego = id_table(catalog.n_users + catalog.n_items, dim, init)
        self.raw = RawFeatures(catalog, trainable=trainable_features)  # X^m
        self.projectors = nn.ModuleList(nn.Linear(width, dim) for width in widths)  # W_m, b_m
        self.gates = nn.ModuleList(nn.Linear(dim, dim) for _ in widths)  # G_m
        self.attention = nn.Sequential(nn.Linear(dim, dim), nn.Tanh(), nn.Linear(dim, 1, bias=False))  # W, b, q
        self.preferences = nn.ModuleList(nn.Linear(dim, dim) for _ in widths)  # P_m

    def prepare(self, view: ModalityView) -> list[SparseProduct]:
        """S^m of every modality."""
        return [
            knn_graph(x, comparable(x, visible, self.k), self.k).normalised().frozen()
            for x, visible in zip(view.features.values(), view.mask.unbind(1), strict=True)
        ]

    def modality_views(self, view: ModalityView) -> Tensor:
        """e^m of all nodes: [n_users + n_items, M, d]."""
        ids, items = self.ego[self.catalog.n_users :], []
        maps = zip(self.projectors, self.gates, self.raw(view), self.prepared(view), strict=True)
        for project, gate, x, graph in maps:
            h = ids * gate(project(x)).sigmoid()
            for _ in range(self.n_item_layers):
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
        content = propagate(self.adjacency, self.ego, self.n_layers)
        return self.of_nodes(content + self.fuse(self.modality_views(view), content))

    def losses(self, batch: Pairs, view: ModalityView) -> dict[str, Tensor]:
        rows = batch.nodes(self.catalog.n_users)
        content = propagate(self.adjacency, self.ego, self.n_layers).index_select(0, rows)
        side = self.fuse(self.modality_views(view).index_select(0, rows), content)  # of the batch's nodes alone
        u, i, j = (content + side).chunk(3)
        terms = {
            "bpr": bpr((u * i).sum(1), (u * j).sum(1)),
            "final_l2": self.final_l2 * squared_l2(u, i, j, batch_size=self.full_batch_size),
        }
        if self.contrast:
            (side_u, side_i, _), (content_u, content_i, _) = side.chunk(3), content.chunk(3)
            of_items = self.contrasted(side_i, content_i, batch.positives)
            terms["contrast"] = self.contrast * (of_items + self.contrasted(side_u, content_u, batch.users))
        return terms

    def contrasted(self, side: Tensor, content: Tensor, nodes: Tensor) -> Tensor:
        """InfoNCE within the batch, of rows [B, d] that belong to ``nodes`` int64 [B]."""
        if self.contrast_unique:
            rows = first_occurrences(nodes, len(self.ego)).nonzero()[:, 0]
            side, content = side[rows], content[rows]
        return info_nce(side, content, torch.arange(len(side), device=side.device), self.temperature)


def _check(values: dict[str, Any]) -> None:
    """Raises ConfigError for a keyword of MGCN outside its range."""
    check_lowest(values, {"dim": 1, "n_layers": 0, "n_item_layers": 1, "k": 1, "contrast": 0, "final_l2": 0})
    if values["temperature"] <= 0:
        raise ConfigError(f"model.temperature must be positive; got {values['temperature']}.")
    check_modalities(values, "MGCN")
