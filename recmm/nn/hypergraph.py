"""Hypergraph convolution whose hyperedges are clusters around learnt prototypes (CI2MG Eq. 3-5; methods.md B9)."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recmm.nn.activations import Activation, activate
from recmm.nn.clusters import kmeans
from recmm.nn.rows import unit_rows

Incidence = Literal["softmax", "relu", "shift01", "signed"]
Degree = Literal["sum", "abs"]
HyperWeight = Literal["diag", "full", "theta"]
Prototypes = Literal["kmeans", "xavier", "kmeans_fixed"]

_TINY = 1e-8


class ClusterHypergraph(nn.Module):
    """Q <- act(D^-1 H W B^-1 H^T Q), L times, for M modalities side by side; no [n, n] matrix is ever made.

    Args:
        n_modalities, dim: M and d.
        n_prototypes: K, hyperedges of each modality.
        n_layers: L.
        incidence: H from the cosines c of items and prototypes (the paper calls c a probability): "softmax" over the
            prototypes of c / temperature, "relu" max(c, 0), "shift01" (1 + c) / 2, "signed" c itself.
        temperature: of "softmax".
        degree: D and B from sums of H or of its absolute values (as ``signed`` sums can cancel).
        weight: W as a positive weight of each hyperedge ("diag", softplus, starts at 1), as a matrix between hyperedges
            ("full", [K, K], starts at the identity), or as the matrix Theta [d, d] at the right end that HGNN has and
            the paper leaves out ("theta").
        act, residual: activation of a layer; whether a layer's input is added to its output.
        prototypes: "kmeans" starts from k-means and trains, "xavier" only trains, "kmeans_fixed" is never trained.
    """

    def __init__(
        self,
        n_modalities: int,
        dim: int,
        n_prototypes: int,
        n_layers: int,
        *,
        incidence: Incidence = "softmax",
        temperature: float = 0.1,
        degree: Degree = "sum",
        weight: HyperWeight = "diag",
        act: Activation = "leaky",
        residual: bool = False,
        prototypes: Prototypes = "kmeans",
    ) -> None:
        super().__init__()
        self.n_layers, self.kind, self.temperature, self.degree = n_layers, incidence, temperature, degree
        self.weight_kind, self.act, self.residual, self.origin = weight, act, residual, prototypes
        start = torch.empty(n_modalities, n_prototypes, dim)
        for own in start:
            nn.init.xavier_uniform_(own)
        self.prototypes: Tensor
        if prototypes == "kmeans_fixed":
            self.register_buffer("prototypes", start)
        else:
            self.register_parameter("prototypes", nn.Parameter(start))
        if weight == "diag":  # softplus(0.5413) = 1
            self.weight = nn.Parameter(torch.full((n_modalities, n_prototypes, 1), 0.541324854612918))
        elif weight == "full":
            self.weight = nn.Parameter(torch.eye(n_prototypes).repeat(n_modalities, 1, 1))
        else:
            self.weight = nn.Parameter(torch.empty(n_modalities, dim, dim))
            for own in self.weight.data:
                nn.init.xavier_uniform_(own)

    @torch.no_grad()
    def seed(self, items: Tensor, visible: Tensor) -> None:
        """Places the prototypes by k-means on the unit rows of the items that have the modality, [n, M, d] and [n, M].

        A modality with fewer such items than prototypes takes all items: Eq. 1 has given each of them content.
        """
        if self.origin == "xavier":
            return
        for m, rows in enumerate(unit_rows(items).unbind(1)):
            own = rows[visible[:, m]]
            self.prototypes[m] = kmeans(own if len(own) >= self.prototypes.shape[1] else rows, len(self.prototypes[m]))

    def incidence(self, items: Tensor) -> Tensor:
        """H^m, Eq. 3-4: items [n, M, d] -> [M, n, K]."""
        unit = unit_rows(items).transpose(0, 1)
        cosine = unit @ unit_rows(self.prototypes).transpose(1, 2)  # Eq. 4
        if self.kind == "softmax":
            return (cosine / self.temperature).softmax(2)
        return {"relu": cosine.relu(), "shift01": (1 + cosine) / 2, "signed": cosine}[self.kind]

    def forward(self, items: Tensor, sources: Tensor | None = None) -> Tensor:
        """Q^(L) from Q^(0) = F^V, [n, M, d] -> [n, M, d].

        Args:
            sources: 0 or 1, [n, M]: which items give content to the hyperedges; all receive it. None for all of them,
                as printed.
        """
        h = self.incidence(items)  # [M, n, K]
        given = h if sources is None else h * sources.T[..., None]
        size = (lambda x: x.abs()) if self.degree == "abs" else (lambda x: x)
        hyperedge = _safe(size(given).sum(1))[..., None]  # B, [M, K, 1]
        if self.weight_kind == "diag":
            taken = h * F.softplus(self.weight).transpose(1, 2)  # H W
        else:
            taken = h @ self.weight if self.weight_kind == "full" else h
        node = _safe(size(taken if self.weight_kind == "diag" else h).sum(2))[..., None]  # D, [M, n, 1]
        q = items.transpose(0, 1)
        for _ in range(self.n_layers):
            out = taken @ ((given.transpose(1, 2) @ q) / hyperedge) / node
            out = activate(out @ self.weight if self.weight_kind == "theta" else out, self.act)  # Eq. 5
            q = q + out if self.residual else out
        return q.transpose(0, 1)


def _safe(degree: Tensor) -> Tensor:
    """The degrees, with what is as good as zero replaced by a tiny positive number."""
    return torch.where(degree.abs() < _TINY, _TINY, degree)
