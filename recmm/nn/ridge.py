"""Regression of every item on the other items: in closed form (EASE), or on its neighbours alone (EASE, SLIM)."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor

from recmm.errors import ConfigError
from recmm.missing.item_graph import top_k
from recmm.nn.interactions import frequent_first

WHOLE = 8192
"""Items up to which the Gram matrix is looked up in a dense copy, 256 MB at most."""
BLOCK = 2**24
"""Numbers in the Gram matrices of neighbours that are solved at a time: 64 MB."""


def closed_form(gram: Tensor) -> Tensor:
    """B_ij = -P_ij / P_jj and B_jj = 0, with P = gram^-1 (Steck, WWW 2019, equation 8); ``gram`` is overwritten.

    Args:
        gram: [n, n], symmetric and positive definite. It is factorised once, by Cholesky.

    Raises:
        ConfigError: ``gram`` is not positive definite in its precision.
    """
    inverse = torch.cholesky_inverse(_factor(gram))
    return inverse.div_(-inverse.diagonal()).fill_diagonal_(0)


def _factor(gram: Tensor) -> Tensor:
    """The Cholesky factors of matrices [..., n, n], in their place."""
    try:
        return torch.linalg.cholesky(gram, out=gram)
    except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
        raise ConfigError("model.l2 is too small for this precision: R^T R + l2 I has no inverse; raise it.") from None


class Local(NamedTuple):
    """A block of items, each of which is regressed on its neighbours.

    Attributes:
        targets: int64 [b].
        neighbours: int64 [b, k]; places beyond a target's own neighbours hold the target.
        gram: [b, k, k], products of the neighbours' columns; 0 in such places.
        products: [b, k], products of the neighbours' columns with the target's; 0 in such places.
    """

    targets: Tensor
    neighbours: Tensor
    gram: Tensor
    products: Tensor


def regressors(gram: csr_matrix, l2: float, k: int | None) -> csr_matrix:
    """For each item j the k items i with the largest c_ij^2 / (c_ii + l2): what regressing j on i alone gains.

    Args:
        gram: c, symmetric and not negative, [n, n]. Only items with c_ij > 0 are found.

    Returns:
        [n, n], row j with the neighbours of j.
    """
    own = gram.diagonal()
    gains = gram.tocoo()
    kept = gains.row != gains.col
    i, j, c = gains.col[kept], gains.row[kept], gains.data[kept]
    gains = csr_matrix((c**2 / (own[i] + l2), (j, i)), shape=gram.shape)
    return top_k(gains, k, frequent_first(own))


def on_neighbours(
    gram: csr_matrix, neighbours: csr_matrix, solve: Callable[[Local], Tensor], device: torch.device
) -> csr_matrix:
    """W [n, n]: column j holds the weights of the neighbours of j, and 0 elsewhere.

    Args:
        gram: R^T R, [n, n].
        neighbours: [n, n], row j with the neighbours of j, entries of any value.
        solve: the weights [b, k] of a block's neighbours; 0 where there is none.
    """
    values, rows, columns = [np.empty(0, np.float32)], [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for block in _blocks(gram, neighbours, device):
        weights = solve(block)
        target, slot = weights.nonzero(as_tuple=True)
        values.append(weights[target, slot].cpu().numpy())
        rows.append(block.neighbours[target, slot].cpu().numpy())
        columns.append(block.targets[target].cpu().numpy())
    entries = np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))
    return csr_matrix(entries, shape=gram.shape)


def _blocks(gram: csr_matrix, neighbours: csr_matrix, device: torch.device) -> Iterator[Local]:
    sizes = np.diff(neighbours.indptr)
    targets, width = np.flatnonzero(sizes), int(sizes.max(initial=1))
    whole = torch.from_numpy(gram.toarray()).to(device) if gram.shape[0] <= WHOLE else None
    count = max(1, BLOCK // width**2 if whole is not None else min(BLOCK // width**2, WHOLE // width))
    for start in range(0, len(targets), count):
        chosen = targets[start : start + count]
        there = np.arange(sizes[chosen].max()) < sizes[chosen, None]
        columns = np.repeat(chosen[:, None].astype(np.int64), there.shape[1], axis=1)
        columns[there] = np.concatenate([neighbours.indices[slice(*neighbours.indptr[j : j + 2])] for j in chosen])
        items, among = np.arange(gram.shape[0]), whole
        if among is None:
            items = np.unique(np.concatenate([columns.ravel(), chosen]))
            among = torch.from_numpy(gram[items][:, items].toarray()).to(device)
        arrays = (np.searchsorted(items, columns), np.searchsorted(items, chosen), there, chosen, columns)
        place, target, real, j, i = (torch.from_numpy(x).to(device) for x in arrays)
        inner = among[place[:, :, None], place[:, None, :]] * (real[:, :, None] & real[:, None, :])
        yield Local(j, i, inner, among[place, target[:, None]] * real)


def ridge(block: Local, l2: float) -> Tensor:
    """w [b, k] that minimises w^T (G + l2 I) w / 2 - c^T w, by Cholesky; raises as ``closed_form`` does."""
    gram = block.gram.clone()
    gram.diagonal(dim1=1, dim2=2).add_(l2)
    return torch.cholesky_solve(block.products[:, :, None], _factor(gram))[:, :, 0]


def elastic_net(block: Local, l1: float, l2: float, *, positive: bool, sweeps: int, tolerance: float) -> Tensor:
    """w [b, k] that minimises w^T G w / 2 - c^T w + l2/2 ||w||^2 + l1 ||w||_1, by cyclic coordinate descent.

    One coordinate of all targets moves at a time. It ends when no weight has changed by ``tolerance`` in a sweep over
    all coordinates, or after ``sweeps``.

    Args:
        positive: whether w >= 0.
    """
    gram = block.gram.permute(1, 2, 0).contiguous()  # the targets last: a step then reads and writes in one piece
    slope = -block.products.T.contiguous()  # G w - c
    w, diagonal = torch.zeros_like(slope), gram.diagonal().T
    curvature = torch.where(diagonal > 0, diagonal + l2, 1.0)
    for _ in range(sweeps):
        before = w.clone()
        for k in range(len(w)):
            aim = torch.addcmul(-slope[k], w[k], diagonal[k])
            new = (aim - l1).clamp_min_(0)
            if not positive:
                new -= (-aim - l1).clamp_min_(0)
            change = new.div_(curvature[k]).sub_(w[k])
            w[k] += change
            slope.addcmul_(gram[k], change)
        if (w - before).abs().amax() < tolerance:
            break
    return w.T
