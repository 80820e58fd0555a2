"""The training matrix R, and the largest entries of its products, sparse and in blocks (KNN, RP3beta, EASE, SLIM)."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from scipy.sparse import csr_matrix, vstack
from torch import Tensor

from recmm.data.catalog import Catalog
from recmm.missing.item_graph import row_chunks, top_k

BLOCK = 2_000_000
"""Products that one block of rows sums: about 100 MB in every thread."""

Values = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""Rows, columns and entries of a product -> new values of these entries."""


def training_matrix(catalog: Catalog) -> csr_matrix:
    """R, float32 [n_users, n_items]: 1 where the user has interacted with the item in training."""
    users, items = catalog.train_users.cpu().numpy(), catalog.train_items.cpu().numpy()
    ones = np.ones(len(users), dtype=np.float32)
    return csr_matrix((ones, (users, items)), shape=(catalog.n_users, catalog.n_items))


def frequent_first(counts: np.ndarray) -> np.ndarray:
    """int64 [n], the place of each number in descending order: how equal values are ranked before a cut."""
    rank = np.empty(len(counts), dtype=np.int64)
    rank[np.argsort(-counts, kind="stable")] = np.arange(len(counts))
    return rank


def largest_products(
    left: csr_matrix, right: csr_matrix, k: int | None, rank: np.ndarray, values: Values | None = None
) -> csr_matrix:
    """The k largest positive entries of each row of ``left @ right``, the diagonal left out; never a dense matrix.

    Args:
        left, right: [n, m] and [m, n], not negative.
        k: entries of a row; None keeps all.
        rank: int64 [n]; of equal entries those in columns of smaller rank are kept.
        values: applied to the entries before the k are taken.

    Returns:
        float32 [n, n] with sorted indices.
    """
    pattern = csr_matrix((np.ones(left.nnz), left.indices, left.indptr), shape=left.shape)
    cost = pattern @ np.diff(right.indptr)

    def block(rows: slice) -> csr_matrix:
        product = (left[rows] @ right).tocoo()
        i, j, x = product.row + rows.start, product.col, product.data
        x = x if values is None else values(i, j, x)
        kept = (i != j) & (x > 0)
        entries = (x[kept].astype(np.float32), (product.row[kept], j[kept]))
        return top_k(csr_matrix(entries, shape=product.shape), k, rank)

    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        return vstack(list(pool.map(block, row_chunks(cost, BLOCK))), format="csr")


def as_tensor(matrix: csr_matrix, device: torch.device) -> Tensor:
    """The same matrix as a sparse CSR tensor, float32 on ``device``, with int32 indices unless it is too large."""
    matrix.sort_indices()
    kind = np.int32 if max(matrix.nnz, *matrix.shape) < 2**31 else np.int64
    starts, columns = (torch.from_numpy(x.astype(kind)) for x in (matrix.indptr, matrix.indices))
    values = torch.from_numpy(matrix.data.astype(np.float32))
    return torch.sparse_csr_tensor(starts, columns, values, matrix.shape, check_invariants=False).to(device)
