"""The leading part of a graph's spectrum."""

from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.sparse import block_array, csr_array
from torch import Tensor

from recmm.graph.graph import Graph

_SMALLEST = 1e-6
"""Singular values below are 0 up to rounding: ARPACK finds their squares in double precision."""


class Spectrum(NamedTuple):
    """A = left diag(values) right^T, or its leading part: float32 [m, r], [r], [n, r]; columns are orthonormal."""

    left: Tensor
    values: Tensor
    right: Tensor


def leading_spectrum(graph: Graph, rank: int) -> Spectrum:
    """The ``rank`` largest singular values of A = D_U^-1/2 R D_V^-1/2, with one 1 of a connected component counted.

    Every connected component has the singular value 1, its vectors being the square roots of the degrees. A real
    catalogue has many that are a user and an item; which of their equal values are among the largest would be left to
    chance, and an iterative solver misses some. So all of them are there beside ``rank`` - 1 further ones: the number
    of columns is rank - 1 + the number of components. It is smaller where A has fewer values above 0.

    The result is the same in every call, but for the columns' signs if the nodes are permuted.

    Args:
        graph: A [m, n] with one entry per edge of R, such as ``users_from_items``.
        rank: at least 1. From min(m, n) on all values are computed, as a dense matrix.
    """
    ends = graph.rows.cpu().numpy(), graph.columns.cpu().numpy()
    matrix = csr_array((graph.values.cpu().double().numpy(), ends), shape=graph.shape)
    if rank >= min(graph.shape):
        left, values, right = np.linalg.svd(matrix.toarray(), full_matrices=False)
    else:
        left, values, right = _beside_components(matrix, rank - 1)
    kept = np.argsort(-values, kind="stable")[: np.count_nonzero(values > _SMALLEST)]
    found = left[:, kept], values[kept], right[kept].T
    return Spectrum(*(torch.tensor(x, dtype=torch.float32, device=graph.values.device) for x in found))


def _beside_components(matrix: Any, rank: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Those of the components and ``rank`` further ones: [m, r], [r], [r, n]."""
    from scipy.sparse.linalg import LinearOperator, svds  # slow to import, and few runs need it

    (m, n), components = matrix.shape, _components(matrix)
    left, right = components[:m], components[m:]
    ones = np.ones(left.shape[1])
    rest = LinearOperator(
        matrix.shape,
        matvec=lambda x: matrix @ x - left @ (right.T @ x),
        rmatvec=lambda y: matrix.T @ y - right @ (left.T @ y),
        dtype=matrix.dtype,
    )
    start = np.random.default_rng(0).standard_normal(min(m, n))
    if rank == 0 or np.linalg.norm((rest if m >= n else rest.H) @ start) < _SMALLEST:  # ARPACK refuses zero
        return left.toarray(), ones, right.T.toarray()
    u, s, v = svds(rest, k=rank, v0=start, random_state=0)
    return np.hstack([left.toarray(), u]), np.append(ones, s), np.vstack([right.T.toarray(), v])


def _components(matrix: Any) -> Any:
    """Singular vectors of the connected components with edges, sparse [m + n, number]: users, then items."""
    from scipy.sparse.csgraph import connected_components

    pattern = matrix != 0
    whole = block_array([[None, pattern], [pattern.T, None]], format="csr")
    degrees = whole.sum(1)
    nodes = np.flatnonzero(degrees)
    label = np.unique(connected_components(whole, directed=False)[1][nodes], return_inverse=True)[1]
    n_edges = np.bincount(label, degrees[nodes]) / 2
    values = np.sqrt(degrees[nodes] / n_edges[label])
    return csr_array((values, (nodes, label)), shape=(len(degrees), len(n_edges)))
