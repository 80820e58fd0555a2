"""MMGCN (Wei et al., MM 2019): a graph convolution of its own for every modality."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recmm.data.batches import Pairs
from recmm.data.catalog import Catalog
from recmm.graph import Graph, user_item_graph
from recmm.losses import bpr_of, mean_square
from recmm.missing.view import ModalityView
from recmm.models.base import Embeddings, Recommender
from recmm.models.settings import MethodSettings, hp
from recmm.models.training import Training
from recmm.nn.id_table import id_table
from recmm.nn.rows import unit_rows


def _table(module: nn.Module, name: str, n_rows: int, width: int, *, trained: bool) -> None:
    """Give ``module`` Xavier-uniform embeddings [n_rows, width], which an optimiser sees only if ``trained``."""
    table = id_table(n_rows, width)
    if trained:
        module.register_parameter(name, table)
    else:
        module.register_buffer(name, table.detach())


class ModalityGCN(nn.Module):
    """The graph convolution of one modality with features of width D_m: h_0 to h_L."""

    preferences: Tensor
    """P^m: [n_users, the width of the first layer]."""

    def __init__(self, n_users: int, width: int, s: "MMGCN.Settings") -> None:
        super().__init__()
        first = min(width, s.max_width)
        _table(self, "preferences", n_users, first, trained=s.train_ids)
        self.project = nn.Linear(width, first) if first < width else nn.Identity()  # W, b
        widths = [first, *[s.dim] * (s.n_layers - 1)]
        self.neighbours = nn.ModuleList(nn.Linear(w, w, bias=False) for w in widths)  # W_1
        self.own = nn.ModuleList(nn.Linear(w, s.dim) for w in widths)  # W_2, b_2
        self.combine = nn.ModuleList(nn.Linear(w + s.dim, s.dim) for w in widths)  # W_3, b_3
        for layer in [*self.neighbours, *self.own, *self.combine]:
            nn.init.xavier_normal_(layer.weight)

    def forward(self, x: Tensor, ids: Tensor, mean: Graph) -> Tensor:
        """h_L of all nodes, [n_users + n_items, d], from X^m [n_items, D_m]."""
        h = unit_rows(torch.cat([self.preferences, self.project(x)]))
        for neighbours, own, combine in zip(self.neighbours, self.own, self.combine, strict=True):
            around = F.leaky_relu(neighbours(mean(h)))
            itself = F.leaky_relu(own(h)) + ids
            h = F.leaky_relu(combine(torch.cat([around, itself], 1)))
        return h


class MMGCN(Recommender):
    """Final = mean over modalities of h^m_L, a graph convolution on the modality's features and its users' preferences.

        h^m_0 = rows of unit length of [P^m; X^m], P^m the users' preferences, or [P^m; X^m W + b] of wide features
        around = leaky(W_1 mean of h over the neighbours),  itself = leaky(W_2 h + b_2) + ID
        h^m_{l+1} = leaky(W_3 [around ‖ itself] + b_3),  leaky with slope .01
        L = L_bpr + l2 (mean of the squared IDs of the batch + sum_m mean of the squared P^m);  a score is u . i

    The layers are those of the released code, whose test for the paper's other way to combine (a sum) is always false.
    There only images are projected, whatever their width, and only their P^m is in the norm; here every modality wider
    than ``max_width`` is, and every P^m. The released code holds IDs and P^m in plain tensors that no optimiser sees
    and that keep their random start; here they are trained, as the paper has it (``train_ids``; mmgcn_code).

    An item with a row of zeros for a modality gets there what its neighbours and its ID bring.
    """

    class Settings(MethodSettings):
        """Defaults are what DGMRec's authors tuned for TikTok under missing modalities; on the others l2 1e-3 (Baby,
        Clothing) or 0 (Sports), lr 1e-3 (Baby) or 1e-4. ``mmgcn_code`` is the released code.
        """

        dim: int = hp(64, "width d of IDs and embeddings; released code 64", ge=1)
        n_layers: int = hp(3, "L; released code 3, whatever its key says", ge=1)
        max_width: int = hp(
            256, "modalities wider than this are projected to it; released code: images always, others never", ge=1
        )
        l2: float = hp(
            1e-3, "weight of the norms of IDs and P^m; released code .1; MMRec's grid goes from 0 to .1", ge=0
        )
        train_ids: bool = hp(True, "IDs and P^m are trained; released code false")
        training: Training = hp(
            Training(batch_size=4096),
            "released code: Adam, lr 5e-4, batches of 1024; DGMRec: lr 1e-3 (TikTok), batches of 4096",
        )

    settings: Settings
    ego: Tensor
    """The IDs: [n_users + n_items, d]."""

    def __init__(self, catalog: Catalog, **values: Any) -> None:
        super().__init__(catalog, **values)
        s = self.settings
        self.mean = user_item_graph(catalog).mean()
        _table(self, "ego", catalog.n_users + catalog.n_items, s.dim, trained=s.train_ids)
        self.convolutions = nn.ModuleList(ModalityGCN(catalog.n_users, width, s) for width in catalog.dims.values())

    def encode(self, view: ModalityView) -> Tensor:
        """Final embeddings of all nodes: [n_users + n_items, d]."""
        pairs = zip(self.convolutions, view.features.values(), strict=True)
        return torch.stack([convolve(x, self.ego, self.mean) for convolve, x in pairs]).mean(0)

    def represent(self, view: ModalityView) -> Embeddings:
        return self.of_nodes(self.encode(view))

    def losses(self, batch: Pairs, view: ModalityView) -> dict[str, Tensor]:
        n_users = self.catalog.n_users
        u, i, j = batch.gather(self.encode(view), n_users).chunk(3)
        ids = batch.gather(self.ego, n_users).split([len(u), 2 * len(u)])
        preferences: list[Any] = [convolve.preferences for convolve in self.convolutions]
        return {"bpr": bpr_of(u, i, j), "l2": self.settings.l2 * mean_square(*ids, *preferences)}
