"""Personalised PageRank and heat kernel over a sparse graph: the k largest entries of each column.

Both are power series Pi = sum over l of w_l H^l with H = D^-1/2 A D^-1/2 and weights that sum to 1 (Gasteiger et al.,
NeurIPS 2019). With the random walk P = D^-1 A, Pi = D^1/2 (sum over l of w_l P^l) D^-1/2.

Rows of P sum to 1. So the terms after l add at most (w_l+1 + w_l+2 + ...) times the largest entry of a column of P^l to
that column. A block of columns stops when this bound falls below a tolerance. Columns are sparse at first, and dense
once enough of their entries are not zero.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import exp, lgamma, log

import numpy as np
import torch
from scipy.sparse import csr_matrix, diags_array, identity, vstack
from scipy.special import gammainc

from recmm.missing.item_graph import top_k, top_k_dense

COLUMNS = 64  # columns in a block; at 100,000 items a column takes half the time that it takes in blocks of 16
SPREAD = 0.05  # share of non-zero entries from which a block is faster dense


@dataclass(frozen=True)
class Series:
    """Weights of a power series: ``weight(l)`` of H^l, and ``tail(l)``, the sum of all weights after it."""

    weight: Callable[[int], float]
    tail: Callable[[int], float]


def page_rank(alpha: float) -> Series:
    """alpha (I - (1 - alpha) H)^-1: restart probability alpha, in (0, 1]."""
    return Series(lambda n: alpha * (1 - alpha) ** n, lambda n: (1 - alpha) ** (n + 1))


def heat(t: float) -> Series:
    """expm(-t (I - H)): diffusion time t > 0; the weights are those of a Poisson distribution of mean t."""
    return Series(lambda n: exp(n * log(t) - t - lgamma(n + 1)), lambda n: float(gammainc(n + 1, t)))


def diffusion(adjacency: csr_matrix, series: Series, k: int, tolerance: float) -> csr_matrix:
    """The k largest entries of each column of Pi, the series over A + I.

    Of equal entries the one in the lower row comes first. It runs on ``torch.get_num_threads()`` threads; their number
    does not change the result.

    Args:
        adjacency: A, float [n_items, n_items], not negative.
        tolerance: bound on the absolute error of an entry of Pi, apart from rounding to float32.

    Returns:
        float32 [n_items, n_items].
    """
    n_items = adjacency.shape[0]
    graph = (adjacency + identity(n_items, dtype=np.float32, format="csr")).tocsr()
    sums = np.asarray(graph.sum(axis=1), dtype=np.float64).ravel()
    walk = (diags_array(1 / sums) @ graph).tocsr().astype(np.float32)
    columns = _Columns(walk, walk.T.tocsr(), np.sqrt(sums), series, k, tolerance)
    # columns of similar density stop after a similar number of terms
    order = np.argsort(np.diff(columns.transposed.indptr), kind="stable")
    blocks = [order[start : start + COLUMNS] for start in range(0, n_items, COLUMNS)]
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        largest = vstack(list(pool.map(columns.largest, blocks)), format="csr")
    return largest[np.argsort(order)].T.tocsr()


@dataclass(frozen=True, eq=False)
class _Columns:
    walk: csr_matrix  # P
    transposed: csr_matrix  # P^T
    roots: np.ndarray  # of the row sums D: float64 [n_items]
    series: Series
    k: int
    tolerance: float

    def largest(self, items: np.ndarray) -> csr_matrix:
        """Columns ``items`` of Pi as rows, float32 [n, n_items]: the k largest entries."""
        n, n_items = len(items), len(self.roots)
        ones = np.ones(n, dtype=np.float32)
        power = csr_matrix((ones, items, np.arange(n + 1)), shape=(n, n_items))
        total, step = self.series.weight(0) * power, 0
        while self._error(step, power.max(axis=1).toarray().ravel(), items) > self.tolerance:
            if power.nnz > SPREAD * n * n_items:
                return top_k_dense(self._dense(power, total, step, items), self.k, above=0.0)
            power, step = power @ self.transposed, step + 1
            total = total + self.series.weight(step) * power
        pi = (diags_array(1 / self.roots[items]) @ total @ diags_array(self.roots)).tocsr().astype(np.float32)
        return top_k(pi, self.k, np.arange(n_items))

    def _dense(self, power: csr_matrix, total: csr_matrix, step: int, items: np.ndarray) -> np.ndarray:
        """The same iteration with dense columns, [n_items, n], from ``step`` on; returns Pi's columns as rows."""
        x, y = (np.ascontiguousarray(matrix.toarray().T, dtype=np.float32) for matrix in (power, total))
        while self._error(step, x.max(axis=0), items) > self.tolerance:
            x, step = self.walk @ x, step + 1
            y += np.float32(self.series.weight(step)) * x
        pi = y * self.roots[:, None].astype(np.float32) / self.roots[items].astype(np.float32)
        return np.ascontiguousarray(pi.T)

    def _error(self, step: int, peaks: np.ndarray, items: np.ndarray) -> float:
        return self.series.tail(step) * float((peaks / self.roots[items]).max()) * float(self.roots.max())
