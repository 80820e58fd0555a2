"""Hypergraph convolution whose hyperedges are clusters around learnt prototypes (CI2MG Eq. 3-5)."""

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recmm.nn.activations import Activation, activate
from recmm.nn.clusters import kmeans
from recmm.nn.initialisation import xavier_matrices
from recmm.nn.rows import unit_rows
from recmm.settings import ComponentSettings, hp

_TINY = 1e-8


class HypergraphSettings(ComponentSettings):
    """What CI2MG's Eq. 3-5 leave open."""

    key: ClassVar[str] = "model.hypergraph"

    incidence: Literal["softmax", "shift01"] = hp(
        "softmax",
        "H of Eq. 3, which wants a probability where Eq. 4 gives a cosine: softmax over the prototypes of cosine / "
        "temperature | shift01, (1 + cosine) / 2",
    )
    temperature: float = hp(0.1, "of softmax; not in the paper", gt=0)
    weight: Literal["diag", "full"] = hp(
        "diag",
        "W of Eq. 5: diag, one positive weight per hyperedge as in HGNN, softplus, starts at 1 | full, a matrix "
        "between hyperedges [K, K], starts at the identity; paper: undefined, between H [N, K] and B^-1 [K, K]",
    )
    act: Activation = hp("leaky", "sigma of Eq. 5: leaky (LeakyReLU, slope 0.2) | sigmoid; paper: unnamed")
    prototypes: Literal["kmeans", "xavier"] = hp(
        "kmeans",
        "where the trained prototypes E start: kmeans, k-means on the items that have the modality | xavier; paper: "
        '"initialize", no more',
    )


class ClusterHypergraph(nn.Module):
    """Q <- act(D^-1 H W B^-1 H^T Q), L times, for M modalities side by side; no [n, n] matrix is ever made.

    B and D are sums of H, over the items and over the hyperedges; with a weight per hyperedge D sums H W. As printed,
    items without the modality give to the hyperedges too.

    Args:
        n_modalities, dim: M and d.
        n_prototypes: K, hyperedges of each modality.
        n_layers: L.
        settings: the readings of Eq. 3-5.
    """

    def __init__(
        self, n_modalities: int, dim: int, n_prototypes: int, n_layers: int, settings: HypergraphSettings
    ) -> None:
        super().__init__()
        self.n_layers, self.settings = n_layers, settings
        self.prototypes = nn.Parameter(xavier_matrices(n_modalities, n_prototypes, dim))  # E^T
        if settings.weight == "diag":  # softplus(0.5413) = 1
            self.weight = nn.Parameter(torch.full((n_modalities, n_prototypes, 1), 0.541324854612918))
        else:
            self.weight = nn.Parameter(torch.eye(n_prototypes).repeat(n_modalities, 1, 1))

    @torch.no_grad()
    def seed(self, items: Tensor, visible: Tensor) -> None:
        """Places the prototypes by k-means on the unit rows of the items that have the modality, [n, M, d] and [n, M].

        A modality with fewer such items than prototypes takes all items: Eq. 1 has given each of them content.
        """
        if self.settings.prototypes == "xavier":
            return
        for m, rows in enumerate(unit_rows(items).unbind(1)):
            own = rows[visible[:, m]]
            self.prototypes[m] = kmeans(own if len(own) >= self.prototypes.shape[1] else rows, len(self.prototypes[m]))

    def incidence(self, items: Tensor) -> Tensor:
        """H^m, Eq. 3-4: items [n, M, d] -> [M, n, K]."""
        prototypes = unit_rows(self.prototypes.transpose(0, 1))  # [K, M, d]: a modality's rows are of one kind
        cosine = unit_rows(items).transpose(0, 1) @ prototypes.permute(1, 2, 0)  # Eq. 4
        if self.settings.incidence == "softmax":
            return (cosine / self.settings.temperature).softmax(2)
        return (1 + cosine) / 2

    def forward(self, items: Tensor) -> Tensor:
        """Q^(L) from Q^(0) = F^V, [n, M, d] -> [n, M, d]."""
        h = self.incidence(items)  # [M, n, K]
        hyperedge = _safe(h.sum(1))[..., None]  # B, [M, K, 1]
        diagonal = self.settings.weight == "diag"
        weighted = h * F.softplus(self.weight).transpose(1, 2) if diagonal else h @ self.weight  # H W
        node = _safe((weighted if diagonal else h).sum(2))[..., None]  # D, [M, n, 1]
        q = items.transpose(0, 1)
        for _ in range(self.n_layers):
            q = activate(weighted @ ((h.transpose(1, 2) @ q) / hyperedge) / node, self.settings.act)  # Eq. 5
        return q.transpose(0, 1)


def _safe(degree: Tensor) -> Tensor:
    """The degrees, with what is as good as zero replaced by a tiny positive number."""
    return torch.where(degree.abs() < _TINY, _TINY, degree)
