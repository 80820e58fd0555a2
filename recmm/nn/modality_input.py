"""From raw item features to modality blocks beside the IDs: projection, two-hop means, concatenation (CI2MG)."""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recmm.data.catalog import Catalog
from recmm.graph import Graph, mean_over_items, mean_over_users
from recmm.nn.rows import unit_rows

ProjectionKind = Literal["linear", "mlp", "pca"]
BlockNorm = Literal["none", "l2", "l2_weighted"]
ColdItems = Literal["raw", "zero"]


class _Axes(nn.Module):
    """x -> W (x - centre) as buffers: found, never trained, so that no optimiser has to leave them out.

    The centre is taken off first: a row that is the mean becomes zero, and not the rounding error of W x + b.
    """

    def __init__(self, width: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("weight", nn.init.xavier_uniform_(torch.empty(dim, width)))
        self.register_buffer("centre", torch.zeros(width))
        self.weight: Tensor
        self.centre: Tensor

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x - self.centre, self.weight)

    def fit(self, rows: Tensor) -> None:
        """Take the leading principal axes of ``rows`` [n, width], n > 0; zero beyond their rank, where any would do."""
        rows = rows.double()
        centre = rows.mean(0)
        _, spread, axes = torch.linalg.svd(rows - centre, full_matrices=False)
        noise = torch.finfo(rows.dtype).eps * max(rows.shape) * torch.linalg.matrix_norm(rows)
        axes = axes[spread > noise][: len(self.weight)]
        self.weight.zero_()
        self.weight[: len(axes)] = axes.float()
        self.centre.copy_(centre)


class Projection(nn.Module):
    """Raw features of each modality -> R^d; the paper writes one d for all modalities and defines no projection.

    Args:
        widths: D_m of each modality.
        dim: d.
        kind: "linear" (Xavier weights, zero bias); "mlp", D_m -> d -> d with LeakyReLU(0.2) between; "pca", the
            leading d principal axes of the visible rows, which ``fit`` finds and which are not trained.
        init: "uniform" or "normal", of the Xavier weights.
    """

    def __init__(
        self,
        widths: Sequence[int],
        dim: int,
        kind: ProjectionKind = "linear",
        *,
        init: Literal["uniform", "normal"] = "uniform",
    ) -> None:
        super().__init__()
        self.kind, self.dim = kind, dim
        self.maps = nn.ModuleList()
        for width in widths:
            if kind == "pca":
                self.maps.append(_Axes(width, dim))
                continue
            last = nn.Linear(dim if kind == "mlp" else width, dim)
            layers = [nn.Linear(width, dim), nn.LeakyReLU(0.2), last] if kind == "mlp" else [last]
            self.maps.append(nn.Sequential(*layers))
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                (nn.init.xavier_normal_ if init == "normal" else nn.init.xavier_uniform_)(layer.weight)
                nn.init.zeros_(layer.bias)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """M tensors [n, D_m] -> [n, M, d]."""
        return torch.stack([project(x) for project, x in zip(self.maps, features, strict=True)], 1)

    @torch.no_grad()
    def fit(self, features: Sequence[Tensor], mask: Tensor) -> None:
        """Take the principal axes of the rows that ``mask`` [n, M] shows; does nothing unless ``kind`` is "pca".

        Axes beyond the rank or the width of the features are zero. A modality without visible rows keeps its weights.
        """
        if self.kind != "pca":
            return
        for project, x, visible in zip(self.maps, features, mask.unbind(1), strict=True):
            assert isinstance(project, _Axes)
            if visible.any():
                project.fit(x[visible])


class TwoHopMean(nn.Module):
    """F^U = D_U^-1 R F, F^V = D_V^-1 R^T F^U (CI2MG Eq. 1): users as means of their items, items of their users.

    Args:
        catalog: the training graph.
        keep_own: an item's result is the mean of its own features and of Eq. 1 (the paper replaces them).
        cold: items without training interactions, for which Eq. 1 says zero, keep their own features ("raw") or do
            not ("zero").
    """

    def __init__(self, catalog: Catalog, *, keep_own: bool = False, cold: ColdItems = "raw") -> None:
        super().__init__()
        self.keep_own, self.cold = keep_own, cold
        self.over_items, self.over_users = mean_over_items(catalog), mean_over_users(catalog)
        self.register_buffer("no_users", (catalog.item_counts() == 0)[:, None], persistent=False)
        self.no_users: Tensor

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """[n_items, k] -> users [n_users, k], items [n_items, k]; several modalities travel side by side in k."""
        users = self.over_items(features)
        items = self.over_users(users)
        if self.keep_own:
            items = (items + features) / 2
        return users, torch.where(self.no_users, features, items) if self.cold == "raw" else items


def visible_two_hop_mean(x: Tensor, mask: Tensor, over_items: Graph, over_users: Graph) -> Tensor:
    """What an item's users know of a modality from their items: the mean over two hops, of visible entries alone.

    Args:
        x: [n_items, M, d]; hidden entries are not read.
        mask: bool [n_items, M], where x is visible.
        over_items, over_users: D_U^-1 R [n_users, n_items] and D_V^-1 R^T [n_items, n_users].

    Returns:
        [n_items, M, d]. Where two hops reach nothing visible it is the mean of all visible entries, or 0.
    """
    x, visible = torch.where(mask[:, :, None], x, 0), mask.to(x.dtype)
    hops = over_users(over_items(torch.cat([x.flatten(1), visible], 1)))
    sums, weights = hops[:, : -mask.shape[1]].unflatten(1, x.shape[1:]), hops[:, -mask.shape[1] :, None]
    mean = x.sum(0) / visible.sum(0).clamp_min(1)[:, None]
    return torch.where(weights > 0, sums / weights.masked_fill(weights == 0, 1), mean)


class Blocks(nn.Module):
    """[ID ‖ block^1 ‖ ... ‖ block^M] of CI2MG Eq. 13.

    Args:
        n_modalities: M.
        norm: rows of the modality blocks have unit length ("l2"), or unit length times a learnt weight of the modality
            ("l2_weighted", which starts at 1), or are left as they are ("none").
    """

    def __init__(self, n_modalities: int, norm: BlockNorm = "l2") -> None:
        super().__init__()
        self.norm = norm
        self.weights = nn.Parameter(torch.ones(n_modalities, 1)) if norm == "l2_weighted" else None

    def forward(self, ids: Tensor, modalities: Tensor) -> Tensor:
        """ids [n, d] and modality blocks [n, M, d] -> [n, (M + 1) d]."""
        if self.norm != "none":
            modalities = unit_rows(modalities)
        if self.weights is not None:
            modalities = modalities * self.weights
        return torch.cat([ids, modalities.flatten(1)], 1)
