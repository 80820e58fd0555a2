"""Sparse graphs of items that share training users, and propagation along them, for imputers."""

from itertools import pairwise

import numpy as np
from scipy.sparse import csr_matrix, diags_array, vstack

from recmm.data.dataset import Interactions

CHUNK = 2_000_000  # products that one chunk of R^T R sums: about 150 MB during the search of the k largest
WIDTH = 64  # columns that are propagated at a time


def cooccurrence(train: Interactions, k: int | None, *, exclude_self: bool) -> csr_matrix:
    """The k largest entries of each row of R^T R, which counts the training users that two items share.

    With k the result need not be symmetric. Zero counts are no neighbours, so a row may hold fewer than k entries. Of
    equal counts the item with fewer training interactions comes first, since it shares a larger part of its users; then
    the one with the lower id.

    Args:
        train: training interactions; their weights are ignored.
        k: entries kept per row; None keeps all.
        exclude_self: whether the diagonal, an item's own number of users, is left out before the k are taken.

    Returns:
        float32 [n_items, n_items] with sorted indices.
    """
    users_items = train.csr()
    items_users = users_items.T.tocsr()
    cost = items_users @ np.diff(users_items.indptr)
    rank = np.empty(train.n_items, dtype=np.int64)
    rank[np.argsort(train.item_counts(), kind="stable")] = np.arange(train.n_items)
    chunks = []
    for rows in row_chunks(cost, CHUNK):
        counts = (items_users[rows] @ users_items).tocoo()
        if exclude_self:
            kept = counts.row + rows.start != counts.col
            counts = csr_matrix((counts.data[kept], (counts.row[kept], counts.col[kept])), shape=counts.shape)
        chunks.append(top_k(counts.tocsr(), k, rank))
    return vstack(chunks, format="csr") if chunks else csr_matrix((0, 0), dtype=np.float32)


def row_chunks(cost: np.ndarray, limit: int) -> list[slice]:
    """Consecutive rows whose costs sum to at most ``limit``, or single rows above it."""
    total, bounds = np.concatenate(([0], np.cumsum(cost))), [0]
    while bounds[-1] < len(cost):
        stop = int(np.searchsorted(total, total[bounds[-1]] + limit, side="right")) - 1
        bounds.append(min(max(stop, bounds[-1] + 1), len(cost)))
    return [slice(start, stop) for start, stop in pairwise(bounds)]


def top_k(matrix: csr_matrix, k: int | None, rank: np.ndarray) -> csr_matrix:
    """The k largest entries of each row; between equal ones those of the smaller ``rank``, int64 [n_columns]."""
    if k is not None:
        keep = np.ones(matrix.nnz, dtype=np.bool_)
        for row in np.flatnonzero(np.diff(matrix.indptr) > k):  # short sorts, ten times as fast as one of all rows
            entries = slice(matrix.indptr[row], matrix.indptr[row + 1])
            order = np.lexsort((rank[matrix.indices[entries]], -matrix.data[entries]))
            keep[entries][order[k:]] = False
        kept = np.flatnonzero(keep)
        starts = np.searchsorted(kept, matrix.indptr)
        matrix = csr_matrix((matrix.data[kept], matrix.indices[kept], starts), shape=matrix.shape)
    matrix.sort_indices()
    return matrix


def top_k_dense(values: np.ndarray, k: int, above: float) -> csr_matrix:
    """The k largest of those entries of each row that exceed ``above``, as CSR; between equal ones the lower column."""
    n_columns = values.shape[1]
    if k < n_columns:
        least = np.partition(values, n_columns - k, axis=1)[:, n_columns - k, None]
        rows, columns = np.nonzero((values >= least) & (values > above))
    else:
        rows, columns = np.nonzero(values > above)
    starts = np.searchsorted(rows, np.arange(len(values) + 1))
    return top_k(csr_matrix((values[rows, columns], columns, starts), shape=values.shape), k, np.arange(n_columns))


def symmetric_normalised(adjacency: csr_matrix) -> csr_matrix:
    """D^-1/2 A D^-1/2 with the row sums D; empty rows stay empty."""
    sums = np.asarray(adjacency.sum(axis=1), dtype=np.float64).ravel()
    scale = np.where(sums > 0, 1 / np.sqrt(np.maximum(sums, 1e-300)), 0.0)
    return (diags_array(scale) @ adjacency @ diags_array(scale)).tocsr().astype(np.float32)


def scaled(matrix: csr_matrix, axis: int) -> csr_matrix:
    """Rows (``axis`` 1) or columns (0) divided by their sums; empty ones stay empty."""
    sums = np.asarray(matrix.sum(axis=axis), dtype=np.float64).ravel()
    inverse = diags_array(1 / np.where(sums > 0, sums, 1))
    return (inverse @ matrix if axis == 1 else matrix @ inverse).tocsr().astype(np.float32)


def propagate(
    operator: csr_matrix, values: np.ndarray, visible: np.ndarray, n_layers: int
) -> tuple[np.ndarray, np.ndarray]:
    """X <- S X, starting from zero in the hidden rows; visible rows are restored after each of ``n_layers`` steps.

    Args:
        operator: S, float32 [n_items, n_items], not negative.
        values: float32 [n_items, D].
        visible: bool [n_items]; other rows of ``values`` are not read.

    Returns:
        Ids of the hidden items within ``n_layers`` steps of a visible one, int64 [n], and their rows, float32 [n, D].
    """
    hidden = np.flatnonzero(~visible)
    steps = operator[hidden]
    reached = visible.astype(np.float32)
    for _ in range(n_layers):
        reached[hidden] = steps @ reached > 0
    found = hidden[reached[hidden] > 0]
    rows = np.empty((len(found), values.shape[1]), dtype=np.float32)
    for start in range(0, values.shape[1], WIDTH):
        x = np.where(visible[:, None], values[:, start : start + WIDTH], np.float32(0))
        for _ in range(n_layers):
            x[hidden] = steps @ x
        rows[:, start : start + WIDTH] = x[found]
    return found, rows
