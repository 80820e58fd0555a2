"""LightGCN-M: LightGCN (He et al., SIGIR 2020) with modality features, in the three readings of methods.md 7.9.

No paper defines it; CI2MG, MMSSL and MMGCL only name it as LightGCN that also sees features.
"""

import inspect
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recmm.data.batches import Pairs
from recmm.data.catalog import Catalog
from recmm.errors import ConfigError
from recmm.graph import symmetric_adjacency
from recmm.losses import bpr, squared_l2
from recmm.missing.view import ModalityView
from recmm.models.base import Embeddings, Recommender
from recmm.models.checks import check_choices, check_lowest, check_modalities
from recmm.models.training import Training
from recmm.nn.modality_input import BlockNorm, Blocks, ColdItems, Projection, ProjectionKind, TwoHopMean
from recmm.nn.propagation import IdInit, id_table, propagate
from recmm.nn.rows import centred

_USED_BY = {"projection": "ab", "keep_own": "a", "cold": "a", "block_norm": "a", "content_l2": "c"}
"""Keywords that not every variant uses, and the variants that do."""


class LightGCNM(Recommender):
    """X = LightGCN(ID) beside the features F^m = X^m W_m + b_m, trained with BPR; a score is an inner product.

    - "a", the base of CI2MG's ablation: blocks [X ‖ F^{·,1} ‖ ... ‖ F^{·,M}] (Eq. 13) of the two-hop means (Eq. 1).
    - "b", the encoder of SLMRec and MMGCL without their contrast: one LightGCN each for the IDs and for every F^m, all
      with the same user table, side by side into Linear((M + 1) d -> d), one for users and one for items. Rows of the
      raw features have unit length there, as in both papers' code.
    - "c", as in the Elliot library: x_u . x_i + theta_u . norm(W [X^1 ‖ ... ‖ X^M]_i + b) with a user table theta.

    Args:
        variant: which of the three.
        dim: width d of every embedding and block.
        n_layers: L, propagation layers.
        center: raw features less the mean of the visible ones, so that rows filled with the mean say nothing.
        projection: a, b: see ``Projection``; "pca" is fitted to the training view before the first epoch.
        keep_own, cold: a: see ``TwoHopMean``.
        block_norm: a: see ``Blocks``.
        ego_l2: weight of half the squared norm of the batch's ego ID embeddings, divided by that batch's own size.
        content_l2: c: the same of the batch's theta_u and of its items' projected features before they are normalised
            (a unit row has no norm to shrink); Elliot has one weight for both terms.
        init: ID embeddings, "xavier" (uniform) or "normal" with standard deviation 0.1.
        training: optimiser and batches.

    Raises:
        ConfigError: for a value outside its range, a keyword that the variant does not use, or a catalogue without
            modalities.
    """

    def __init__(
        self,
        catalog: Catalog,
        *,
        variant: Literal["a", "b", "c"] = "a",
        dim: int = 64,
        n_layers: int = 2,
        center: bool = True,
        projection: ProjectionKind = "linear",
        keep_own: bool = False,
        cold: ColdItems = "raw",
        block_norm: BlockNorm = "l2",
        ego_l2: float = 1e-4,
        content_l2: float = 1e-4,
        init: IdInit = "xavier",
        training: Training = Training(),
    ) -> None:
        _check(locals())
        super().__init__(catalog, training)
        self.variant, self.dim, self.n_layers, self.center = variant, dim, n_layers, center
        self.ego_l2, self.content_l2 = ego_l2, content_l2
        self.adjacency = symmetric_adjacency(catalog)
        self.ego = id_table(catalog.n_users + catalog.n_items, dim, init)

        widths = list(catalog.dims.values())
        self.projection = Projection([sum(widths)] if variant == "c" else widths, dim, projection)
        if variant == "a":
            self.two_hop_mean = TwoHopMean(catalog, keep_own=keep_own, cold=cold)
            self.blocks = Blocks(len(widths), block_norm)
        elif variant == "b":
            width = (len(widths) + 1) * dim
            self.fuse_users = nn.Linear(width, dim)
            self.fuse_items = nn.Linear(width, dim, bias=False)  # it would add the same to all scores of a user
            for layer in (self.fuse_users, self.fuse_items):
                nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(self.fuse_users.bias)
        else:
            self.theta = nn.Parameter(nn.init.xavier_uniform_(torch.empty(catalog.n_users, dim)))
            self.blocks = Blocks(1)

    def prepare(self, view: ModalityView) -> list[Tensor]:
        """What is projected: M tensors [n_items, D_m], or (c) one of all modalities side by side."""
        raw = [view.features[m] for m in self.catalog.modalities]
        if self.center:
            raw = [centred(x, visible) for x, visible in zip(raw, view.mask.unbind(1), strict=True)]
        if self.variant == "c":
            return [torch.cat(raw, 1)]
        return [F.normalize(x) for x in raw] if self.variant == "b" else raw

    def start_epoch(self, epoch: int, view: ModalityView) -> None:
        if epoch == 0:
            self.projection.fit(self.prepared(view), view.mask)

    def encode(self, view: ModalityView) -> Tensor:
        """IDs and contents of all nodes side by side, before ``read_out``: [n_users + n_items, k d].

        k is M + 1, or 2 in variant c.
        """
        content = self.projection(self.prepared(view)).flatten(1)
        if self.variant == "b":
            users, items = self.of_nodes(self.ego)
            channels = users.repeat(1, 1 + len(self.catalog.modalities))
            return propagate(self.adjacency, torch.cat([channels, torch.cat([items, content], 1)]), self.n_layers)
        beside = self.two_hop_mean(content) if self.variant == "a" else (self.theta, content)
        return torch.cat([propagate(self.adjacency, self.ego, self.n_layers), torch.cat(beside)], 1)

    def read_out(self, users: Tensor, items: Tensor) -> Embeddings:
        """Final embeddings from rows of ``encode``."""
        if self.variant == "b":
            return Embeddings(self.fuse_users(users), self.fuse_items(items))
        return Embeddings(self._blocks(users) if self.variant == "a" else users, self._blocks(items))

    def _blocks(self, nodes: Tensor) -> Tensor:
        blocks: Tensor = self.blocks(nodes[:, : self.dim], nodes[:, self.dim :].unflatten(1, (-1, self.dim)))
        return blocks

    def represent(self, view: ModalityView) -> Embeddings:
        return self.read_out(*self.of_nodes(self.encode(view)))

    def losses(self, batch: Pairs, view: ModalityView) -> dict[str, Tensor]:
        rows, size = batch.nodes(self.catalog.n_users), len(batch.users)
        nodes = self.encode(view).index_select(0, rows)
        users, items = self.read_out(nodes[:size], nodes[size:])
        i, j = items.chunk(2)
        terms = {
            "bpr": bpr((users * i).sum(1), (users * j).sum(1)),
            "ego_l2": self.ego_l2 * squared_l2(self.ego.index_select(0, rows), batch_size=size),
        }
        if self.variant == "c":
            terms["content_l2"] = self.content_l2 * squared_l2(nodes[:, self.dim :], batch_size=size)
        return terms


def _check(values: dict[str, Any]) -> None:
    """Raises ConfigError for keywords of LightGCNM that are out of range or of no use to the variant."""
    check_choices(LightGCNM.__init__, values)
    check_lowest(values, {"dim": 1, "n_layers": 0, "ego_l2": 0, "content_l2": 0})
    check_modalities(values, "LightGCN-M")
    variant, defaults = values["variant"], inspect.signature(LightGCNM.__init__).parameters
    for name, variants in _USED_BY.items():
        if variant not in variants and values[name] != defaults[name].default:
            raise ConfigError(
                f"model.{name}={values[name]} has no effect with model.variant={variant} (only with "
                f"{' and '.join(variants)}); leave it at {defaults[name].default}."
            )
