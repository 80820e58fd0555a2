"""Graphs of items and their k nearest neighbours, sparse and of visible rows only (LATTICE, MGCN; methods.md B3)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from recmm.graph import SparseProduct
from recmm.nn.neighbours import nearest
from recmm.nn.rows import unit_rows

RESOLUTION = 1e-6
"""Unit rows that agree to this in every coordinate count as equal (float32 products differ so)."""


@dataclass(frozen=True)
class ItemGraph:
    """A sparse matrix A [n, n] as its entries; gradients may pass through the values.

    Attributes:
        rows, columns: int64 [n_entries], each pair once.
        values: float [n_entries].
        n_items: n.
    """

    rows: Tensor
    columns: Tensor
    values: Tensor
    n_items: int

    def normalised(self) -> "ItemGraph":
        """a_ij / sqrt(d_i d_j), where d are the row sums at both ends although A need not be symmetric."""
        sums = self.values.new_zeros(self.n_items).index_add(0, self.rows, self.values)
        scale = torch.where(sums > 0, sums, 1).rsqrt()
        return replace(self, values=self.values * scale[self.rows] * scale[self.columns])

    def product(self, x: Tensor) -> Tensor:
        """A x of x [n, d], with a gradient for the values too; it holds n_entries x d numbers."""
        return torch.zeros_like(x).index_add(0, self.rows, self.values[:, None] * x.index_select(0, self.columns))

    def frozen(self) -> SparseProduct:
        """The same product for a constant A, several times as fast."""
        return SparseProduct(self.rows, self.columns, self.values.detach(), (self.n_items, self.n_items))


def comparable(x: Tensor, visible: Tensor, k: int) -> Tensor:
    """Which rows of x [n, d] have k nearest neighbours to speak of: bool [n].

    Left out are rows that are not ``visible`` (bool [n]), whatever an imputer put there, rows of zeros, which have no
    direction, and rows of which there are more than k with the same direction (a placeholder picture): all of those
    are equally near to each other, and any k of them would become the neighbours of all.
    """
    unit = unit_rows(x.detach())
    rows = (visible & unit.any(1)).nonzero()[:, 0]
    _, group, sizes = torch.unique((unit[rows] / RESOLUTION).round(), dim=0, return_inverse=True, return_counts=True)
    return torch.zeros_like(visible).index_fill(0, rows[sizes[group] <= k], True)


def knn_graph(x: Tensor, among: Tensor, k: int) -> ItemGraph:
    """The cosines of x [n, d] between each item and its k nearest, itself included, before any normalisation.

    Only items of ``among`` (bool [n], see ``comparable``) have neighbours and are neighbours; every other item has one
    entry, 1 for itself. The neighbours are found in chunks, without a gradient; the cosines pass one to x. Directed: j
    may be among the k nearest of i and i not among those of j. Neighbours at a right angle or more are left out, so
    that a row's sum is at least 1 (with thousands of items there are none).
    """
    items = torch.arange(len(x), device=x.device)
    rows = among.nonzero()[:, 0]
    unit = unit_rows(x)
    found = unit.detach()[rows]
    k = min(k, len(rows))
    neighbours = nearest(found, found, k) if k else rows.new_empty(0, 0)
    i, j = rows.repeat_interleave(k), rows[neighbours.flatten()]
    cosines = (unit.index_select(0, i) * unit.index_select(0, j)).sum(1)
    kept = ((i != j) & (cosines > 0)).nonzero()[:, 0]
    values = torch.cat([torch.ones_like(x[:, 0]), cosines.index_select(0, kept)])
    return ItemGraph(torch.cat([items, i[kept]]), torch.cat([items, j[kept]]), values, len(x))


def weighted_sum(graphs: Sequence[ItemGraph], weights: Sequence[Tensor | float]) -> ItemGraph:
    """The sum of w A over graphs of the same items; places that several of them have become one."""
    n = graphs[0].n_items
    keys = torch.cat([graph.rows * n + graph.columns for graph in graphs])
    places, position = torch.unique(keys, return_inverse=True)
    values = torch.cat([weight * graph.values for graph, weight in zip(graphs, weights, strict=True)])
    summed = values.new_zeros(len(places)).index_add(0, position, values)
    return ItemGraph(places // n, places % n, summed, n)
