"""SLMRec (Tao et al., IEEE Transactions on Multimedia 2022): LightGCN per modality, and contrasts between them."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recmm.data.batches import Pairs, first_occurrences
from recmm.data.catalog import Catalog
from recmm.graph import symmetric_adjacency
from recmm.losses import info_nce
from recmm.missing.view import ModalityView
from recmm.models.base import Embeddings, Recommender
from recmm.models.settings import MethodSettings, hp
from recmm.models.training import Training
from recmm.nn.channels import propagate_channels
from recmm.nn.id_table import IdInit, id_table
from recmm.nn.modality_input import Projection
from recmm.nn.rows import centred, unit_rows


class SLMRec(Recommender):
    """One LightGCN each for the IDs and every modality, fused by a linear layer; L = L_main + contrast * L_fac.

        e^0 = LightGCN([U; V]),  e^m = LightGCN([U; W_m x^m + b_m]),  x^m raw features with rows of unit length
        u = F_U [e^0 ‖ e^1 ‖ ... ‖ e^M]_u,  i = F_V [e^0 ‖ e^1 ‖ ... ‖ e^M]_i;  a score is u . i
        L_main = mean over the batch's pairs of -log softmax over the batch's items j of cos(u, j) / main_temperature
        a_0 = e^0,  a_m = g_m(a_{m-1}),  b_m = h_m(e^m)  of the batch's items, with linear g and h
        L_fac = sum_m mean of -log softmax over the batch's items of a_m . b_m / temperature  (no cosines)

    The U of all channels are one table. L_main needs no negatives of its own. L_fac is the paper's fine and coarse
    alignment (FAC); its tasks of feature dropping (FD) and masking (FM) are left out, as FAC is the released default.
    The paper aligns images first, then sounds, then texts; here the order is that of ``dataset.modalities``. The last
    g and h of several map to d / 2, as in the released code. Without sounds, that code keeps the map of that step
    before the last g; two linear maps in a row are one, so that it is left out.

    An item without modality m has e^m from its neighbours, and takes part in every contrast with it.
    """

    class Settings(MethodSettings):
        """Temperature, contrast and learning rate are what DGMRec's authors tuned for TikTok under missing modalities;
        on Amazon they take temperature .5, contrast .05 and lr .01 on Sports. ``slmrec_code`` is the released code.
        """

        dim: int = hp(64, "width d of all embeddings; released code 64", ge=1)
        n_layers: int = hp(3, "L, propagation layers; released code 3", ge=0)
        center: bool = hp(
            True,
            "raw features less the mean of the visible ones, so that rows filled with the mean say nothing; released "
            "code false",
        )
        main_temperature: float = hp(0.2, "of L_main; released code .2", gt=0)
        contrast: float = hp(0.1, "weight of L_fac; released code .1; DGMRec .1 (TikTok), .05 (the others)", ge=0)
        temperature: float = hp(0.1, "of L_fac; released code .2; DGMRec .1 (TikTok), .5 (the others)", gt=0)
        contrast_unique: bool = hp(
            True,
            "true: a batch's items take part in L_fac once each | false: as often as they occur, so that an item is a "
            "negative of itself; released code",
        )
        init: IdInit = hp("xavier", "of the IDs: xavier (uniform) | normal (standard deviation 0.1)")
        training: Training = hp(
            Training(weight_decay=1e-4),
            "released code: Adam, lr 1e-2, weight_decay 1e-4, batches of 2048; DGMRec: lr 1e-3 (1e-2 on Sports)",
        )

    settings: Settings
    n_negatives = 0
    in_batch_losses = True

    def __init__(self, catalog: Catalog, **values: Any) -> None:
        super().__init__(catalog, **values)
        s, widths = self.settings, list(catalog.dims.values())
        self.adjacency = symmetric_adjacency(catalog)
        self.ego = id_table(catalog.n_users + catalog.n_items, s.dim, s.init)
        self.projection = Projection(widths, s.dim)  # W_m, b_m
        self.fuse_users = nn.Linear((len(widths) + 1) * s.dim, s.dim)  # F_U
        self.fuse_items = nn.Linear((len(widths) + 1) * s.dim, s.dim)  # F_V
        heads = [s.dim] * len(widths) if s.contrast else []
        if len(heads) > 1:
            heads[-1] = max(s.dim // 2, 1)
        self.id_heads = nn.ModuleList(nn.Linear(s.dim, width) for width in heads)  # g_m
        self.modality_heads = nn.ModuleList(nn.Linear(s.dim, width) for width in heads)  # h_m
        for layer in (self.fuse_users, self.fuse_items, *self.id_heads, *self.modality_heads):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def prepare(self, view: ModalityView) -> list[Tensor]:
        """x^m of every modality: [n_items, D_m]."""
        raw = zip(view.features.values(), view.mask.unbind(1), strict=True)
        return [unit_rows(centred(x, visible) if self.settings.center else x) for x, visible in raw]

    def encode(self, view: ModalityView) -> Tensor:
        """[e^0 ‖ ... ‖ e^M] of all nodes: [n_users + n_items, (M + 1) d]."""
        users, items = self.of_nodes(self.ego)
        channels = torch.cat([items, self.projection(self.prepared(view)).flatten(1)], 1)
        return propagate_channels(self.adjacency, users, channels, self.settings.n_layers)

    def represent(self, view: ModalityView) -> Embeddings:
        users, items = self.of_nodes(self.encode(view))
        return Embeddings(self.fuse_users(users), self.fuse_items(items))

    def losses(self, batch: Pairs, view: ModalityView) -> dict[str, Tensor]:
        s = self.settings
        nodes = torch.cat([batch.users, self.catalog.n_users + batch.positives])
        users, items = self.encode(view).index_select(0, nodes).chunk(2)
        pairs = torch.arange(len(users), device=users.device)
        terms = {"main": info_nce(self.fuse_users(users), self.fuse_items(items), pairs, s.main_temperature)}
        if s.contrast:
            if s.contrast_unique:
                items = items[first_occurrences(batch.positives, self.catalog.n_items)]
            terms["contrast"] = s.contrast * self.alignment(items)
        return terms

    def alignment(self, items: Tensor) -> Tensor:
        """L_fac of items [n, (M + 1) d]."""
        total, targets = items.new_zeros(()), torch.arange(len(items), device=items.device)
        a, *modalities = items.split(self.settings.dim, 1)
        for g, h, e in zip(self.id_heads, self.modality_heads, modalities, strict=True):
            a = g(a)
            total = total + F.cross_entropy(a @ h(e).T / self.settings.temperature, targets)
        return total
