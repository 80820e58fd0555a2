"""FREEDOM (Zhou and Shen, MM 2023): a frozen item graph, and training on few, denoised user-item edges."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recmm.data.batches import Pairs
from recmm.data.catalog import Catalog
from recmm.graph import Graph, symmetric_adjacency, weighted_sum
from recmm.losses import bpr_of
from recmm.missing.view import ModalityView
from recmm.models.base import Embeddings, Recommender
from recmm.models.settings import MethodSettings, hp
from recmm.models.training import Training
from recmm.nn.id_table import IdInit, id_table
from recmm.nn.knn_graph import ModalityGraphs, modality_graphs
from recmm.nn.raw_features import RawFeatures


class FREEDOM(Recommender):
    """u = LightGCN(u), i = LightGCN(i) + S^l V with V the items' IDs; a score is u . i.

        S = sum_m w_m S^m,  S^m_ij = 1 / k for the k nearest items j of i in modality m, i among them
        L = L_bpr(u, i, j) + modal_weight sum_m L_bpr(u, f^m_i, f^m_j),  f^m = X^m W_m

    S^m comes from the raw features and stays. Every epoch trains on another subgraph of the user-item graph: a share
    1 - rho of the edges, drawn without replacement with a probability proportional to 1 / sqrt(d_u d_i), so that edges
    between popular nodes are left out first, and normalised by their own degrees. Evaluation takes the whole graph.

    Kept out of the released code: the bias of f^m, as it cancels in f^m_i - f^m_j. There, items without features have
    no cosine with any item, and once k of them exist they become the neighbours of all items. Here an item's row of S
    is the mean over the modalities m in which it is ``comparable``, with the w_m of these as weights, and an item
    without any is its own and only neighbour. The released graph is kept on disk under a name that knows neither mask
    nor features; here it belongs to its view. Two modalities have w and 1 - w there; what the first of more leaves is
    shared by the others equally.
    """

    class Settings(MethodSettings):
        """The authors search rho among .8 and .9 and modal_weight among 0, 1e-5, 1e-4 and 1e-3."""

        dim: int = hp(64, "width d of all embeddings; released code 64", ge=1)
        n_layers: int = hp(2, "layers of LightGCN on the user-item graph; released code 2", ge=0)
        n_item_layers: int = hp(1, "l, how often S is applied; released code 1", ge=0)
        k: int = hp(10, "neighbours of an item, itself among them; released code 10", ge=1)
        first_modality_weight: float = hp(
            0.1,
            "w_m of the dataset's first modality (mostly the image) in S; the others share the rest; with a single "
            "modality it is 1; released code .1",
            ge=0,
            le=1,
        )
        rho: float = hp(
            0.8, "share of the user-item edges that an epoch leaves out; the authors search .8, .9", ge=0, lt=1
        )
        modal_weight: float = hp(
            1e-3, "of the ranking by projected features; the authors search 0, 1e-5, 1e-4, 1e-3", ge=0
        )
        mask_modal_loss: bool = hp(
            True,
            "true: a pair whose positive or negative lacks a modality has no term with it, and the terms are still "
            "divided by the size of the batch | false: what the imputer put there takes part; released code",
        )
        trainable_features: bool = hp(
            False,
            "X^m are trained too (released code: true; four times their memory; on TikTok Recall is the same in "
            "its first four digits after three epochs); S stays that of the features as they came",
        )
        init: IdInit = hp("xavier", "of the IDs: xavier (uniform; released code) | normal (standard deviation 0.1)")
        training: Training = hp(Training(), "released code: Adam, lr 1e-3, batches of 2048, every pair once an epoch")

    settings: Settings

    def __init__(self, catalog: Catalog, **values: Any) -> None:
        super().__init__(catalog, **values)
        s = self.settings
        widths = list(catalog.dims.values())
        self.adjacency = symmetric_adjacency(catalog)
        self.denoised: Graph = self.adjacency  # what this epoch trains on
        self.ego = id_table(catalog.n_users + catalog.n_items, s.dim, s.init)
        if s.modal_weight:
            self.raw = RawFeatures(catalog, trainable=s.trainable_features)  # X^m
            self.projectors = nn.ModuleList(nn.Linear(width, s.dim, bias=False) for width in widths)  # W_m

    # ------------------------------------------------------------------ the two graphs

    def prepare(self, view: ModalityView) -> Graph:
        """S."""
        found: ModalityGraphs = modality_graphs(view, self.settings.k)
        rest = (1 - self.settings.first_modality_weight) / max(len(found.graphs) - 1, 1)
        w = torch.full((len(found.graphs),), rest, device=view.mask.device)
        w[0] = self.settings.first_modality_weight if len(w) > 1 else 1.0
        counted = torch.stack(found.comparable, 1) * w
        total = counted.sum(1, keepdim=True)
        shares = torch.where(total > 0, counted / total.masked_fill(total == 0, 1), w)  # [n_items, M]; rows sum to 1
        means = [graph.unweighted().mean() for graph in found.graphs]  # S^m
        mixed = [one.with_values(one.values * share[one.rows]) for one, share in zip(means, shares.T, strict=True)]
        return weighted_sum(mixed, [1.0] * len(mixed))

    def start_epoch(self, epoch: int, view: ModalityView) -> None:
        if self.settings.rho:
            self.denoised = self.adjacency.sample_edges(self.settings.rho).unweighted().symmetric()

    # ------------------------------------------------------------------ representation and objective

    def embed(self, adjacency: Graph, view: ModalityView) -> Embeddings:
        """Final embeddings from this user-item graph."""
        item_graph: Graph = self.prepared(view)
        users, items = self.of_nodes(adjacency.propagate(self.ego, self.settings.n_layers))
        h = self.of_nodes(self.ego).items
        for _ in range(self.settings.n_item_layers):
            h = item_graph(h)
        return Embeddings(users, items + h)

    def represent(self, view: ModalityView) -> Embeddings:
        return self.embed(self.adjacency, view)

    def losses(self, batch: Pairs, view: ModalityView) -> dict[str, Tensor]:
        nodes = torch.cat(self.embed(self.denoised, view))
        u, i, j = batch.gather(nodes, self.catalog.n_users).chunk(3)
        terms = {"bpr": bpr_of(u, i, j)}
        if self.settings.modal_weight:
            terms["modal"] = self.settings.modal_weight * self.modal_ranking(u, batch, view)
        return terms

    def modal_ranking(self, users: Tensor, batch: Pairs, view: ModalityView) -> Tensor:
        """sum_m L_bpr(u, f^m_i, f^m_j) with the embeddings of the batch's users [B, d]."""
        items = torch.cat([batch.positives, batch.negatives])
        margins = []
        for project, x in zip(self.projectors, self.raw(view, items), strict=True):
            positives, negatives = x.chunk(2)
            margins.append((users * project(positives - negatives)).sum(1))
        losses = F.softplus(-torch.stack(margins, 1))  # [B, M]
        if self.settings.mask_modal_loss:
            losses = losses * (view.mask[batch.positives] & view.mask[batch.negatives])
        return losses.sum(1).mean()
