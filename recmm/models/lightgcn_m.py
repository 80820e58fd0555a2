"""LightGCN-M: LightGCN (He et al., SIGIR 2020) with modality features, in three readings, since no paper defines it.

CI2MG, MMSSL and MMGCL only name it as LightGCN that also sees features.
"""

from typing import Any, Literal, Self

import torch
from pydantic import model_validator
from torch import Tensor, nn

from recmm.data.batches import Pairs
from recmm.data.catalog import Catalog
from recmm.errors import ConfigError
from recmm.graph import symmetric_adjacency
from recmm.losses import bpr_of, squared_l2
from recmm.missing.view import ModalityView
from recmm.models.base import Embeddings, Recommender
from recmm.models.settings import MethodSettings, hp
from recmm.models.training import Training
from recmm.nn.channels import propagate_channels
from recmm.nn.id_table import IdInit, id_table
from recmm.nn.modality_input import BlockNorm, Blocks, ColdItems, Projection, ProjectionKind, TwoHopMean
from recmm.nn.rows import centred, unit_rows

_USED_BY = {"projection": "ab", "keep_own": "a", "cold": "a", "block_norm": "a", "content_l2": "c"}
"""Hyper-parameters that not every variant uses, and the variants that do."""


class LightGCNM(Recommender):
    """X = LightGCN(ID) beside the features F^m = X^m W_m + b_m, trained with BPR; a score is an inner product.

    - "a", the base of CI2MG's ablation: blocks [X ‖ F^{·,1} ‖ ... ‖ F^{·,M}] (Eq. 13) of the two-hop means (Eq. 1).
    - "b", the encoder of SLMRec and MMGCL without their contrast: one LightGCN each for the IDs and for every F^m, all
      with the same user table, side by side into Linear((M + 1) d -> d), one for users and one for items. Rows of the
      raw features have unit length there, as in both papers' code.
    - "c", as in the Elliot library: x_u . x_i + theta_u . norm(W [X^1 ‖ ... ‖ X^M]_i + b) with a user table theta.
    """

    class Settings(MethodSettings):
        """Defaults are the reading that is the base of CI2MG's ablation; lightgcn_m_b and lightgcn_m_c are the other
        two.
        """

        variant: Literal["a", "b", "c"] = hp(
            "a",
            "a: ID and modality blocks side by side | b: one LightGCN per modality, then a linear layer | c: Elliot's",
        )
        dim: int = hp(64, "width d of every embedding and modality block; CI2MG 64", ge=1)
        n_layers: int = hp(2, "L, propagation layers; CI2MG searches 1..4", ge=0)
        center: bool = hp(
            True,
            "raw features less the mean of the visible ones, so that rows filled with the mean say nothing; in no "
            "source",
        )
        projection: ProjectionKind = hp(
            "linear",
            "variants a, b; of raw features to dim: linear | mlp (one hidden layer) | pca (of the training view's "
            "visible rows, fitted before the first epoch and not trained)",
        )
        keep_own: bool = hp(
            False,
            "variant a; true: an item's block is the mean of its own features and of their two-hop mean | false: it is "
            "the two-hop mean alone, as in CI2MG",
        )
        cold: ColdItems = hp(
            "raw", "variant a; items without training interactions: raw (their own features) | zero (as CI2MG prints)"
        )
        block_norm: BlockNorm = hp(
            "l2",
            "variant a; modality blocks: l2 (rows of unit length) | l2_weighted (those times a learnt weight of the "
            "modality, 1 at the start) | none (as they are; CI2MG)",
        )
        ego_l2: float = hp(
            1e-4,
            "weight of 1/2 ||ID embeddings of the batch||^2 / that batch's own size; LightGCN 1e-4",
            ge=0,
        )
        content_l2: float = hp(
            1e-4,
            "variant c; the same of the batch's theta_u and of its items' projected features before they are "
            "normalised (a unit row has no norm to shrink); Elliot has one weight for both terms",
            ge=0,
        )
        init: IdInit = hp("xavier", "of the IDs: xavier (uniform) | normal (standard deviation 0.1)")
        training: Training = hp(Training(batch_size=1024), "LightGCN: Adam, lr 1e-3, batches of 1024")

        @model_validator(mode="after")
        def _check_variant(self) -> Self:
            """Raises ConfigError for a value that differs from its default but is of no use to the variant."""
            for name, variants in _USED_BY.items():
                value, default = getattr(self, name), type(self).model_fields[name].default
                if self.variant not in variants and value != default:
                    raise ConfigError(
                        f"model.{name}={value} has no effect with model.variant={self.variant} (only with "
                        f"{' and '.join(variants)}); leave it at {default}."
                    )
            return self

    settings: Settings

    def __init__(self, catalog: Catalog, **values: Any) -> None:
        super().__init__(catalog, **values)
        s = self.settings
        self.adjacency = symmetric_adjacency(catalog)
        self.ego = id_table(catalog.n_users + catalog.n_items, s.dim, s.init)

        widths = list(catalog.dims.values())
        self.projection = Projection([sum(widths)] if s.variant == "c" else widths, s.dim, s.projection)
        if s.variant == "a":
            self.two_hop_mean = TwoHopMean(catalog, keep_own=s.keep_own, cold=s.cold)
            self.blocks = Blocks(len(widths), s.block_norm)
        elif s.variant == "b":
            width = (len(widths) + 1) * s.dim
            self.fuse_users = nn.Linear(width, s.dim)
            self.fuse_items = nn.Linear(width, s.dim, bias=False)  # it would add the same to all scores of a user
            for layer in (self.fuse_users, self.fuse_items):
                nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(self.fuse_users.bias)
        else:
            self.theta = nn.Parameter(nn.init.xavier_uniform_(torch.empty(catalog.n_users, s.dim)))
            self.blocks = Blocks(1)

    def prepare(self, view: ModalityView) -> list[Tensor]:
        """What is projected: M tensors [n_items, D_m], or (c) one of all modalities side by side."""
        raw = [view.features[m] for m in self.catalog.modalities]
        if self.settings.center:
            raw = [centred(x, visible) for x, visible in zip(raw, view.mask.unbind(1), strict=True)]
        if self.settings.variant == "c":
            return [torch.cat(raw, 1)]
        return [unit_rows(x) for x in raw] if self.settings.variant == "b" else raw

    def start_epoch(self, epoch: int, view: ModalityView) -> None:
        if epoch == 0:
            self.projection.fit(self.prepared(view), view.mask)

    def encode(self, view: ModalityView) -> Tensor:
        """IDs and contents of all nodes side by side, before ``read_out``: [n_users + n_items, k d].

        k is M + 1, or 2 in variant c.
        """
        s, content = self.settings, self.projection(self.prepared(view)).flatten(1)
        if s.variant == "b":
            users, items = self.of_nodes(self.ego)
            return propagate_channels(self.adjacency, users, torch.cat([items, content], 1), s.n_layers)
        beside = self.two_hop_mean(content) if s.variant == "a" else (self.theta, content)
        return torch.cat([self.adjacency.propagate(self.ego, s.n_layers), torch.cat(beside)], 1)

    def read_out(self, users: Tensor, items: Tensor) -> Embeddings:
        """Final embeddings from rows of ``encode``."""
        if self.settings.variant == "b":
            return Embeddings(self.fuse_users(users), self.fuse_items(items))
        return Embeddings(self._blocks(users) if self.settings.variant == "a" else users, self._blocks(items))

    def _blocks(self, nodes: Tensor) -> Tensor:
        d = self.settings.dim
        blocks: Tensor = self.blocks(nodes[:, :d], nodes[:, d:].unflatten(1, (-1, d)))
        return blocks

    def represent(self, view: ModalityView) -> Embeddings:
        return self.read_out(*self.of_nodes(self.encode(view)))

    def losses(self, batch: Pairs, view: ModalityView) -> dict[str, Tensor]:
        size = len(batch.users)
        nodes = batch.gather(self.encode(view), self.catalog.n_users)
        users, items = self.read_out(nodes[:size], nodes[size:])
        i, j = items.chunk(2)
        ego = batch.gather(self.ego, self.catalog.n_users)
        terms = {
            "bpr": bpr_of(users, i, j),
            "ego_l2": self.settings.ego_l2 * squared_l2(ego, batch_size=size),
        }
        if self.settings.variant == "c":
            terms["content_l2"] = self.settings.content_l2 * squared_l2(nodes[:, self.settings.dim :], batch_size=size)
        return terms
