"""LATTICE (Zhang et al., MM 2021): item graphs learnt from the modalities. methods.md section 7.16."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from recmm.data.batches import Pairs
from recmm.data.catalog import Catalog
from recmm.errors import ConfigError
from recmm.graph import SparseProduct, mean_with_self, symmetric_adjacency
from recmm.losses import bpr, squared_l2
from recmm.missing.view import ModalityView
from recmm.models.base import Embeddings, Recommender
from recmm.models.checks import check_choices, check_lowest, check_modalities
from recmm.models.training import Training
from recmm.nn.knn_graph import ItemGraph, comparable, knn_graph, weighted_sum
from recmm.nn.propagation import IdInit, id_table, propagate
from recmm.nn.raw_features import RawFeatures
from recmm.nn.rows import unit_rows


class RawGraphs(NamedTuple):
    """comparable: bool [n_items] of each modality, who has neighbours; initial: S_0^m, normalised."""

    comparable: list[Tensor]
    initial: list[ItemGraph]


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

    Args:
        dim: width d of IDs and F^m.
        n_layers: L of CF, LightGCN on the user-item graph; 0 is matrix factorisation, also in the paper.
        n_item_layers: how often S is applied.
        k: neighbours of an item, itself included.
        skip: the paper's lambda, share of the initial graphs.
        normalise: "sum" as in the released code and above; "each" normalises every S^m like the initial graphs before
            they are mixed (our reading of the paper's text).
        adjacency: of CF: "mean_self", D^-1 (A + I), as in the released code; "symmetric", LightGCN's own.
        trainable_features: X^m are trained too (``RawFeatures``), as in the released code; the paper does not say so.
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
        skip: float = 0.9,
        normalise: Literal["sum", "each"] = "sum",
        adjacency: Literal["mean_self", "symmetric"] = "mean_self",
        trainable_features: bool = True,
        final_l2: float = 1e-5,
        init: IdInit = "xavier",
        training: Training = Training(),
    ) -> None:
        _check(locals())
        super().__init__(catalog, training)
        self.n_layers, self.n_item_layers, self.k, self.skip = n_layers, n_item_layers, k, skip
        self.normalise, self.final_l2 = normalise, final_l2
        widths = list(catalog.dims.values())
        self.adjacency = (mean_with_self if adjacency == "mean_self" else symmetric_adjacency)(catalog)
        self.ego = id_table(catalog.n_users + catalog.n_items, dim, init)
        self.raw = RawFeatures(catalog, trainable=trainable_features)  # X^m
        self.projectors = nn.ModuleList(nn.Linear(width, dim) for width in widths)  # W_m, b_m
        self.modality_weights = nn.Parameter(torch.full((len(widths),), 1 / len(widths)))
        self._constant: dict[str, SparseProduct] = {}  # S of this epoch, from its second batch on; by view

    # ------------------------------------------------------------------ the item graph

    def prepare(self, view: ModalityView) -> RawGraphs:
        raw = list(view.features.values())
        among = [comparable(x, visible, self.k) for x, visible in zip(raw, view.mask.unbind(1), strict=True)]
        graphs = [knn_graph(x, rows, self.k).normalised() for x, rows in zip(raw, among, strict=True)]
        return RawGraphs(among, graphs)

    def item_graph(self, view: ModalityView) -> ItemGraph:
        """S of the present parameters."""
        state: RawGraphs = self.prepared(view)
        contents = [project(x) for project, x in zip(self.projectors, self.raw(view), strict=True)]  # F^m
        learnt = [knn_graph(f, rows, self.k) for f, rows in zip(contents, state.comparable, strict=True)]
        if self.normalise == "each":
            learnt = [graph.normalised() for graph in learnt]
        alpha = list(self.modality_weights.softmax(0))
        mixed = weighted_sum(learnt, alpha)
        if self.normalise == "sum":
            mixed = mixed.normalised()
        return weighted_sum([*state.initial, mixed], [*(self.skip * a for a in alpha), 1 - self.skip])

    def start_epoch(self, epoch: int, view: ModalityView) -> None:
        self._constant = {}

    def _of_this_step(self, view: ModalityView) -> Callable[[Tensor], Tensor]:
        """x -> S x: with a gradient for S in the epoch's first step, constant in the others."""
        if view.digest in self._constant:
            return self._constant[view.digest]
        graph = self.item_graph(view)
        self._constant[view.digest] = graph.frozen()
        return graph.product

    # ------------------------------------------------------------------ representation and objective

    def combine(self, product: Callable[[Tensor], Tensor]) -> Embeddings:
        """Final embeddings, S x being ``product``."""
        h = self.of_nodes(self.ego).items
        for _ in range(self.n_item_layers):
            h = product(h)
        users, items = self.of_nodes(propagate(self.adjacency, self.ego, self.n_layers))
        return Embeddings(users, items + unit_rows(h))

    def represent(self, view: ModalityView) -> Embeddings:
        return self.combine(self.item_graph(view).product)

    def losses(self, batch: Pairs, view: ModalityView) -> dict[str, Tensor]:
        nodes = torch.cat(self.combine(self._of_this_step(view)))
        u, i, j = nodes.index_select(0, batch.nodes(self.catalog.n_users)).chunk(3)
        return {
            "bpr": bpr((u * i).sum(1), (u * j).sum(1)),
            "final_l2": self.final_l2 * squared_l2(u, i, j, batch_size=self.full_batch_size),
        }


def _check(values: dict[str, Any]) -> None:
    """Raises ConfigError for a keyword of LATTICE outside its choices or range."""
    check_choices(LATTICE.__init__, values)
    check_lowest(values, {"dim": 1, "n_layers": 0, "n_item_layers": 1, "k": 2, "final_l2": 0})
    if not 0 <= values["skip"] < 1:
        raise ConfigError(f"model.skip must be in [0, 1); got {values['skip']}.")
    check_modalities(values, "LATTICE")
