"""LATTICE (Zhang et al., MM 2021): item graphs learnt from the modalities."""

from typing import Any, Literal

import torch
from torch import Tensor, nn

from recmm.data.batches import Pairs
from recmm.data.catalog import Catalog
from recmm.graph import Graph, mean_with_self, symmetric_adjacency, weighted_sum
from recmm.losses import bpr_of, squared_l2
from recmm.missing.view import ModalityView
from recmm.models.base import Embeddings, Recommender
from recmm.models.settings import MethodSettings, hp
from recmm.models.training import Training
from recmm.nn.id_table import IdInit, id_table
from recmm.nn.knn_graph import ModalityGraphs, knn_graph, modality_graphs
from recmm.nn.raw_features import RawFeatures
from recmm.nn.rows import unit_rows


class LATTICE(Recommender):
    """i = CF(i) + norm(S V), u = CF(u); S mixes k-NN graphs of raw and of learnt features, V are the items' IDs.

        S_0^m = normalised k-NN graph of the raw features X^m
        S^m = k-NN graph of F^m = X^m W_m + b_m
        S = skip sum_m alpha_m S_0^m + (1 - skip) normalised(sum_m alpha_m S^m),  alpha = softmax(modality weights)

    The S^m are found anew in the first batch of every epoch, whose loss alone trains W_m, b_m, alpha and X^m; the other
    batches take that S as a constant (so the released code; a graph with a gradient in every batch would cost a search
    for neighbours in each). An evaluation builds S for its own view. A score is an inner product.

    Items without modality m, or with nothing to compare there (``comparable``), are their own and only neighbour in
    S_0^m and S^m. Neither source says what becomes of them: the released code divides by the norm of a zero row, and
    filled with the mean they would all be each other's neighbours.
    """

    class Settings(MethodSettings):
        """Defaults are those of the released code except for items that miss something. DGMRec's authors take lr 1e-3,
        final_l2 0 and batch_size 128 on TikTok.
        """

        dim: int = hp(64, "width d of the IDs and of the projected features F^m; released code 64", ge=1)
        n_layers: int = hp(
            2,
            "L, layers of CF, LightGCN on the user-item graph; 0: matrix factorisation, also in the paper; released "
            "code 2",
            ge=0,
        )
        n_item_layers: int = hp(1, "how often S is applied; released code 1", ge=1)
        k: int = hp(10, "neighbours of an item, itself among them; released code 10", ge=2)
        skip: float = hp(
            0.9, "the paper's lambda, share of the graphs of raw features in S; released code .9", ge=0, lt=1
        )
        normalise: Literal["sum", "each"] = hp(
            "sum",
            "of the learnt graphs S^m: sum (mixed, then normalised; released code) | each (normalised like the S_0^m, "
            "then mixed; our reading of the paper's text)",
        )
        adjacency: Literal["mean_self", "symmetric"] = hp(
            "mean_self", "of CF: mean_self (D^-1 (A + I); released code) | symmetric (LightGCN's own)"
        )
        trainable_features: bool = hp(True, "X^m are trained too, as in the released code; the paper does not say so")
        final_l2: float = hp(
            1e-5, "weight of 1/2 ||final embeddings of the batch||^2 / batch_size; released code 1e-5", ge=0
        )
        init: IdInit = hp("xavier", "of the IDs: xavier (uniform) | normal (standard deviation 0.1)")
        training: Training = hp(
            Training(lr=5e-4, batch_size=1024, pairs="user", lr_decay=0.96),
            "released code: Adam, lr 5e-4, lr_decay .96, users drawn uniformly; batches of 1024 are ours, as no source "
            "at hand names a size",
        )

    settings: Settings

    def __init__(self, catalog: Catalog, **values: Any) -> None:
        super().__init__(catalog, **values)
        s = self.settings
        widths = list(catalog.dims.values())
        self.adjacency = (mean_with_self if s.adjacency == "mean_self" else symmetric_adjacency)(catalog)
        self.ego = id_table(catalog.n_users + catalog.n_items, s.dim, s.init)
        self.raw = RawFeatures(catalog, trainable=s.trainable_features)  # X^m
        self.projectors = nn.ModuleList(nn.Linear(width, s.dim) for width in widths)  # W_m, b_m
        self.modality_weights = nn.Parameter(torch.full((len(widths),), 1 / len(widths)))
        self._constant: dict[str, Graph] = {}  # S of this epoch, from its second batch on; by view

    # ------------------------------------------------------------------ the item graph

    def prepare(self, view: ModalityView) -> ModalityGraphs:
        """S_0^m of every modality."""
        return modality_graphs(view, self.settings.k)

    def item_graph(self, view: ModalityView) -> Graph:
        """S of the present parameters."""
        state: ModalityGraphs = self.prepared(view)
        contents = [project(x) for project, x in zip(self.projectors, self.raw(view), strict=True)]  # F^m
        learnt = [knn_graph(f, rows, self.settings.k) for f, rows in zip(contents, state.comparable, strict=True)]
        if self.settings.normalise == "each":
            learnt = [graph.symmetric() for graph in learnt]
        alpha = list(self.modality_weights.softmax(0))
        mixed = weighted_sum(learnt, alpha)
        if self.settings.normalise == "sum":
            mixed = mixed.symmetric()
        skip = self.settings.skip
        return weighted_sum([*state.graphs, mixed], [*(skip * a for a in alpha), 1 - skip])

    def start_epoch(self, epoch: int, view: ModalityView) -> None:
        self._constant = {}

    def _of_this_step(self, view: ModalityView) -> Graph:
        """S: with a gradient for S in the epoch's first step, constant in the others."""
        if view.digest in self._constant:
            return self._constant[view.digest]
        graph = self.item_graph(view)
        self._constant[view.digest] = graph.detach()
        return graph

    # ------------------------------------------------------------------ representation and objective

    def combine(self, item_graph: Graph) -> Embeddings:
        """Final embeddings from S."""
        h = self.of_nodes(self.ego).items
        for _ in range(self.settings.n_item_layers):
            h = item_graph(h)
        users, items = self.of_nodes(self.adjacency.propagate(self.ego, self.settings.n_layers))
        return Embeddings(users, items + unit_rows(h))

    def represent(self, view: ModalityView) -> Embeddings:
        return self.combine(self.item_graph(view))

    def losses(self, batch: Pairs, view: ModalityView) -> dict[str, Tensor]:
        nodes = torch.cat(self.combine(self._of_this_step(view)))
        u, i, j = batch.gather(nodes, self.catalog.n_users).chunk(3)
        return {
            "bpr": bpr_of(u, i, j),
            "final_l2": self.settings.final_l2 * squared_l2(u, i, j, batch_size=self.full_batch_size),
        }
