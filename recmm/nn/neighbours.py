"""k nearest neighbours in chunks: exact on small clouds, within neighbouring cells on large ones."""

import torch
from torch import Tensor

EXACT = 12_000
"""Points up to which every distance is looked at."""
CANDIDATES = 8_192
"""Points, at least, that a query is compared with beyond that: the cost then grows linearly."""
CELL = 512
"""Mean number of points in a cell."""
CHUNK = 2**24
"""Distances in memory at a time."""


def nearest(queries: Tensor, points: Tensor, k: int) -> Tensor:
    """Indices of the k points that are nearest to each query, in no order.

    Beyond ``EXACT`` points both sides are cut into cells by k-means, and the queries of a cell are compared with the
    points of the cells whose centres are nearest to its own (an inverted file, Jegou et al., 2011, probed per cell).

    Args:
        queries, points: float [n, d], [m, d].
        k: at most m.

    Returns:
        int64 [n, k].
    """
    found = torch.empty(len(queries), k, dtype=torch.int64, device=queries.device)
    if len(points) <= EXACT:
        everything = torch.arange(len(queries), device=queries.device)
        _fill(found, queries, everything, points, None, k)
        return found
    centres, cell_of_point = _cells(points)
    by_cell = torch.argsort(cell_of_point, stable=True)
    sizes = torch.bincount(cell_of_point, minlength=len(centres))
    members = by_cell.split(sizes.tolist())
    query_centres, group_of_query = _cells(queries)
    for group, centre in enumerate(query_centres):
        chosen = (group_of_query == group).nonzero().squeeze(1)
        if not len(chosen):
            continue
        order = torch.argsort((centres - centre).square().sum(1))
        n_probed = int((sizes[order].cumsum(0) < max(CANDIDATES, 2 * k)).sum()) + 1
        candidates = torch.cat([members[cell] for cell in order[:n_probed].tolist()])
        _fill(found, queries, chosen, points[candidates], candidates, k)
    return found


def _fill(found: Tensor, queries: Tensor, chosen: Tensor, points: Tensor, labels: Tensor | None, k: int) -> None:
    squares = points.square().sum(1)
    for part in chosen.split(max(CHUNK // len(points), 1)):
        distances = torch.addmm(squares, queries[part], points.T, alpha=-2)  # less the query's own square
        positions = distances.topk(k, largest=False, sorted=False).indices
        found[part] = positions if labels is None else labels[positions]


def _cells(x: Tensor) -> tuple[Tensor, Tensor]:
    """Centres [c, d] of k-means cells and the cell of every row, int64 [n]; Lloyd on a sample, from random rows."""
    n_cells = -(-len(x) // CELL)
    generator = torch.Generator().manual_seed(0)
    sample = x[torch.randperm(len(x), generator=generator)[: 64 * n_cells].to(x.device)]
    centres = sample[:n_cells]
    for _ in range(6):
        cell = _assign(sample, centres)
        sums = torch.zeros_like(centres).index_add(0, cell, sample)
        counts = torch.bincount(cell, minlength=n_cells).to(x.dtype)[:, None]
        centres = torch.where(counts > 0, sums / counts.clamp_min(1), centres)
    return centres, _assign(x, centres)


def _assign(x: Tensor, centres: Tensor) -> Tensor:
    squares = centres.square().sum(1)
    parts = x.split(max(CHUNK // len(centres), 1))
    return torch.cat([torch.addmm(squares, part, centres.T, alpha=-2).argmin(1) for part in parts])
