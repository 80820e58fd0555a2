"""Graphs of items and their k nearest neighbours, sparse and of visible rows only (LATTICE, MGCN, DGMRec)."""

from typing import NamedTuple

import torch
from torch import Tensor

from recmm.graph import Graph
from recmm.missing.view import ModalityView
from recmm.nn.neighbours import nearest
from recmm.nn.rows import unit_rows

RESOLUTION = 1e-6
"""Unit rows that agree to this in every coordinate count as equal (float32 products differ so)."""


class ModalityGraphs(NamedTuple):
    """comparable: bool [n_items] of each modality, which items have neighbours; graphs: S^m, [n_items, n_items]."""

    comparable: list[Tensor]
    graphs: list[Graph]


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


def knn_graph(x: Tensor, among: Tensor, k: int) -> Graph:
    """The cosines of x [n, d] between each item and its k nearest, itself included, before any normalisation.

    Only items of ``among`` (bool [n], see ``comparable``) have neighbours and are neighbours; every other item has one
    entry, 1 for itself. The neighbours are found in chunks, without a gradient; the cosines pass one to x. Directed: j
    may be among the k nearest of i and i not among those of j. Neighbours at a right angle or more are left out, so
    that a row's sum is at least 1 (with thousands of items there are none).
    """
    items = torch.arange(len(x), device=x.device)
    rows = among.nonzero()[:, 0]
    unit = unit_rows(x)
    neighbours = nearest_items(unit.detach(), rows, among, k)
    i, j = rows.repeat_interleave(neighbours.shape[1]), neighbours.flatten()
    cosines = (unit.index_select(0, i) * unit.index_select(0, j)).sum(1)
    kept = ((i != j) & (cosines > 0)).nonzero()[:, 0]
    values = torch.cat([torch.ones_like(x[:, 0]), cosines.index_select(0, kept)])
    shape = (len(x), len(x))
    return Graph(torch.cat([items, i[kept]]), torch.cat([items, j[kept]]), shape, values)


def nearest_items(unit: Tensor, queries: Tensor, among: Tensor, k: int) -> Tensor:
    """For each of ``queries`` (int64 [q]) the items that are nearest in direction, in no order.

    Args:
        unit: [n_items, d], rows of length 1.
        among: bool [n_items], the items that may be neighbours; a query that is one of them is its own neighbour.
        k: neighbours of each; all where ``among`` has fewer.

    Returns:
        int64 [q, k].
    """
    rows = among.nonzero()[:, 0]
    k = min(k, len(rows))
    if not k or not len(queries):
        return queries.new_empty(len(queries), k)
    return rows[nearest(unit[queries], unit[rows], k)]


def mutual_neighbours(unit: Tensor, among: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The pairs of items each of which is among the other's k nearest in direction; an item is none of its own.

    Args:
        unit: [n_items, d], rows of length 1.
        among: bool [n_items], the items that take part, see ``comparable``.
        k: neighbours of each; all others where fewer take part.

    Returns:
        rows, columns: int64 [n_pairs] each, sorted by row, then column; every pair is there both ways.
    """
    n, rows = len(unit), among.nonzero()[:, 0]
    found = nearest_items(unit, rows, among, k + 1)  # an item is nearest to itself
    i, j = rows.repeat_interleave(found.shape[1]), found.flatten()
    keys = (i * n + j)[i != j].sort().values
    mutual = keys[torch.isin(keys, keys % n * n + keys // n)]
    return mutual // n, mutual % n


def with_neighbours(graph: Graph, x: Tensor, items: Tensor, neighbours: Tensor) -> Graph:
    """A graph of items, and edges from each of ``items`` to its ``neighbours``, before any normalisation.

    Args:
        graph: [n_items, n_items], without these edges.
        x: [n_items, d]; an edge's value is the cosine of its ends, 0 where that is negative.
        items, neighbours: int64 [q] and [q, k].
    """
    unit = unit_rows(x)
    i, j = items.repeat_interleave(neighbours.shape[1]), neighbours.flatten()
    cosines = (unit.index_select(0, i) * unit.index_select(0, j)).sum(1).clamp_min(0)
    values = torch.cat([graph.values, cosines])
    return Graph(torch.cat([graph.rows, i]), torch.cat([graph.columns, j]), graph.shape, values)


def modality_cosines(view: ModalityView, k: int) -> ModalityGraphs:
    """The ``knn_graph`` of every modality's features, among the items that are ``comparable``, not normalised."""
    pairs = list(zip(view.features.values(), view.mask.unbind(1), strict=True))
    among = [comparable(x, visible, k) for x, visible in pairs]
    return ModalityGraphs(among, [knn_graph(x, rows, k) for (x, _), rows in zip(pairs, among, strict=True)])


def modality_graphs(view: ModalityView, k: int) -> ModalityGraphs:
    """The symmetrically normalised k-NN graph of every modality's features, among the items that are ``comparable``."""
    among, cosines = modality_cosines(view, k)
    return ModalityGraphs(among, [graph.symmetric() for graph in cosines])
