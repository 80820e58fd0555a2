"""Fills along the graph of items that share training users (Malitesta et al., TKDE 2025; methods.md section 8).

The graph is the same for all of them: of each item, the k items that share most training users with it, as a directed
edge each. Its weights are 1 ("binary", so in the paper) or the shared users ("counts"). ``exclude_self`` leaves an item
itself out of its k; the authors' code counts it among them. k=None takes all items that share a user.
"""

from typing import Literal, get_args

import numpy as np
from scipy.sparse import csr_matrix, diags_array

from recmm.data.dataset import Interactions
from recmm.missing.diffusion import Series, diffusion, heat, page_rank
from recmm.missing.imputers.base import Borrower, Features, require
from recmm.missing.item_graph import cooccurrence, propagate, scaled, symmetric_normalised

Weights = Literal["binary", "counts"]
Side = Literal["columns", "rows"]


class _OnGraph(Borrower):
    def __init__(self, k: int | None, weights: Weights, exclude_self: bool) -> None:
        require(k is None or k >= 1, "k", k, "at least 1 neighbour, or null for all")
        require(weights in get_args(Weights), "weights", weights, "binary or counts")
        self.k, self.weights, self.exclude_self = k, weights, exclude_self

    def graph(self, train: Interactions) -> csr_matrix:
        """float32 [n_items, n_items]: the edges of each item as a row."""
        graph = cooccurrence(train, self.k, exclude_self=self.exclude_self)
        if self.weights == "binary":
            graph.data[:] = 1
        return graph


class NeighMean(_OnGraph):
    """A hidden row is the mean of the neighbours' rows, weighted by their edges.

    Args:
        k, weights, exclude_self: of the graph, see the module.
        count_missing: whether neighbours whose row is hidden count as zeros, so in the authors' code, or not at all.

    Raises:
        ConfigError: a value out of range.
    """

    def __init__(
        self,
        *,
        k: int | None = 20,
        weights: Weights = "binary",
        exclude_self: bool = True,
        count_missing: bool = False,
    ) -> None:
        super().__init__(k, weights, exclude_self)
        self.count_missing = count_missing

    def fit(self, features: Features, mask: np.ndarray, train: Interactions) -> None:
        super().fit(features, mask, train)
        self.neighbours = self.graph(train)

    def borrow(self, features: Features, mask: np.ndarray, modality: str) -> tuple[np.ndarray, np.ndarray]:
        visible = mask[:, list(features).index(modality)]
        counted = np.ones(len(visible), dtype=np.float32) if self.count_missing else visible.astype(np.float32)
        sums = self.neighbours @ counted
        mean = diags_array(1 / np.where(sums > 0, sums, 1)) @ self.neighbours
        return propagate(mean.tocsr().astype(np.float32), features[modality], visible, n_layers=1)


class _Propagation(_OnGraph):
    """X <- S X for some layers, from hidden rows of zero; visible rows are put back after each layer."""

    def __init__(self, k: int | None, n_layers: int, weights: Weights, exclude_self: bool) -> None:
        super().__init__(k, weights, exclude_self)
        require(n_layers >= 1, "n_layers", n_layers, "at least 1 layer")
        self.n_layers = n_layers
        self.operator = csr_matrix((0, 0), dtype=np.float32)

    def borrow(self, features: Features, mask: np.ndarray, modality: str) -> tuple[np.ndarray, np.ndarray]:
        visible = mask[:, list(features).index(modality)]
        return propagate(self.operator, features[modality], visible, self.n_layers)


class FeatProp(_Propagation):
    """Feature propagation (MultiHop): S = D^-1/2 A D^-1/2, the diagonal of A zero, D its row sums.

    Args:
        k, weights, exclude_self: of the graph, see the module.
        n_layers: steps of propagation, at least 1.

    Raises:
        ConfigError: a value out of range.
    """

    def __init__(
        self,
        *,
        k: int | None = 20,
        n_layers: int = 10,
        weights: Weights = "binary",
        exclude_self: bool = True,
    ) -> None:
        super().__init__(k, n_layers, weights, exclude_self)

    def fit(self, features: Features, mask: np.ndarray, train: Interactions) -> None:
        super().fit(features, mask, train)
        graph = self.graph(train)
        graph -= diags_array(graph.diagonal())
        graph.eliminate_zeros()
        self.operator = symmetric_normalised(graph)


class _Diffusion(_Propagation):
    def __init__(
        self, k: int, n_layers: int, weights: Weights, exclude_self: bool, normalise: Side, tolerance: float
    ) -> None:
        super().__init__(k, n_layers, weights, exclude_self)
        require(normalise in get_args(Side), "normalise", normalise, "columns or rows")
        require(tolerance > 0, "tolerance", tolerance, "a positive number such as 1e-4")
        self.n_kept, self.normalise, self.tolerance = k, normalise, tolerance

    def fit_series(self, series: Series, train: Interactions) -> None:
        largest = diffusion(self.graph(train), series, self.n_kept, self.tolerance)
        self.operator = scaled(largest, axis=1 if self.normalise == "rows" else 0)


class Ppr(_Diffusion):
    """Personalised PageRank: S = alpha (I - (1 - alpha) H)^-1, H = D^-1/2 (A + I) D^-1/2, D the row sums of A + I.

    Of each column of S the k largest entries are kept, then S is scaled. The authors invert a dense matrix; here a
    series is summed until ``tolerance``.

    Args:
        k: neighbours in the graph, and entries kept of each column.
        alpha: restart probability, in (0, 1].
        n_layers: steps of propagation with S, at least 1.
        weights, exclude_self: of the graph, see the module; counting an item itself makes its own weight in A + I 2.
        normalise: what is scaled to a sum of 1: "columns", so in the authors' code, though S multiplies from the left:
            items that many others lead to get long rows; "rows": a fill is a weighted mean.
        tolerance: bound on the absolute error of an entry of S before the k largest are chosen.

    Raises:
        ConfigError: a value out of range.
    """

    def __init__(
        self,
        *,
        k: int = 20,
        alpha: float = 0.1,
        n_layers: int = 10,
        weights: Weights = "binary",
        exclude_self: bool = True,
        normalise: Side = "columns",
        tolerance: float = 1e-4,
    ) -> None:
        super().__init__(k, n_layers, weights, exclude_self, normalise, tolerance)
        require(0 < alpha <= 1, "alpha", alpha, "a probability above 0, such as 0.1")
        self.alpha = alpha

    def fit(self, features: Features, mask: np.ndarray, train: Interactions) -> None:
        super().fit(features, mask, train)
        self.fit_series(page_rank(self.alpha), train)


class Heat(_Diffusion):
    """Heat kernel: S = expm(-t (I - H)), H and all else as in ``Ppr``.

    Args:
        t: diffusion time, above 0.
        k, n_layers, weights, exclude_self, normalise, tolerance: as in ``Ppr``.

    Raises:
        ConfigError: a value out of range.
    """

    def __init__(
        self,
        *,
        k: int = 20,
        t: float = 5.0,
        n_layers: int = 10,
        weights: Weights = "binary",
        exclude_self: bool = True,
        normalise: Side = "columns",
        tolerance: float = 1e-4,
    ) -> None:
        super().__init__(k, n_layers, weights, exclude_self, normalise, tolerance)
        require(t > 0, "t", t, "a positive time such as 5.0")
        self.t = t

    def fit(self, features: Features, mask: np.ndarray, train: Interactions) -> None:
        super().fit(features, mask, train)
        self.fit_series(heat(self.t), train)
