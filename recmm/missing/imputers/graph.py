"""Imputation along a graph of items (Malitesta et al., TKDE 2026).

All four imputers use the same graph: each item has directed edges to the k items that share the most training users
with it.
"""

from typing import Any, Literal

import numpy as np
from scipy.sparse import csr_matrix, diags_array

from recmm.data.dataset import Interactions
from recmm.missing.diffusion import Series, diffusion, heat, page_rank
from recmm.missing.imputers.base import Borrower, Features, ImputerSettings
from recmm.missing.item_graph import cooccurrence, propagate, scaled, symmetric_normalised
from recmm.settings import hp


class _OnGraph(Borrower):
    class Settings(ImputerSettings):
        k: int | None = hp(
            20, "neighbours of each item; null: all items that share a training user; paper 10 to 100", ge=1
        )
        weights: Literal["binary", "counts"] = hp(
            "binary", "weight of an edge; binary: 1, the paper | counts: how many training users both items share"
        )
        exclude_self: bool = hp(
            True, "true: the k neighbours are other items | false: the item itself is one of its k; released code"
        )

    settings: Settings

    def graph(self, train: Interactions) -> csr_matrix:
        """float32 [n_items, n_items]: the edges of each item as a row."""
        graph = cooccurrence(train, self.settings.k, exclude_self=self.settings.exclude_self)
        if self.settings.weights == "binary":
            graph.data[:] = 1
        return graph


class NeighMean(_OnGraph):
    """A hidden row is the mean of that modality over the item's neighbours, weighted by their edges.

    The neighbours are the items that share the most training users with the item (NeighMean of Malitesta et al., TKDE
    2025).
    """

    class Settings(_OnGraph.Settings):
        count_missing: bool = hp(
            False,
            "true: neighbours that lack the modality count as zero vectors; released code | false: they do not count",
        )

    settings: Settings

    def fit(self, features: Features, mask: np.ndarray, train: Interactions) -> None:
        super().fit(features, mask, train)
        self.neighbours = self.graph(train)

    def borrow(self, features: Features, mask: np.ndarray, modality: str) -> tuple[np.ndarray, np.ndarray]:
        visible = mask[:, list(features).index(modality)]
        all_count = self.settings.count_missing
        counted = np.ones(len(visible), dtype=np.float32) if all_count else visible.astype(np.float32)
        sums = self.neighbours @ counted
        mean = diags_array(1 / np.where(sums > 0, sums, 1)) @ self.neighbours
        return propagate(mean.tocsr().astype(np.float32), features[modality], visible, n_layers=1)


class _Propagation(_OnGraph):
    """X <- S X, n_layers times, starting from zero in the hidden rows; visible rows are restored after each step."""

    class Settings(_OnGraph.Settings):
        n_layers: int = hp(10, "steps of propagation; paper 1 to 20", ge=1)

    settings: Settings

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self.operator = csr_matrix((0, 0), dtype=np.float32)

    def borrow(self, features: Features, mask: np.ndarray, modality: str) -> tuple[np.ndarray, np.ndarray]:
        visible = mask[:, list(features).index(modality)]
        return propagate(self.operator, features[modality], visible, self.settings.n_layers)


class FeatProp(_Propagation):
    """Feature propagation along the graph of items that share training users (MultiHop of Malitesta et al., TKDE 2026).

    Visible rows stay as they are. X <- S X with S = D^-1/2 A D^-1/2. The diagonal of A is zero, and D holds the row
    sums of A.
    """

    class Settings(_Propagation.Settings):
        exclude_self: bool = hp(
            True,
            "true: the k neighbours are other items | false: the item itself takes one of the k places, and its edge "
            "is removed; released code",
        )

    settings: Settings

    def fit(self, features: Features, mask: np.ndarray, train: Interactions) -> None:
        super().fit(features, mask, train)
        graph = self.graph(train)
        graph -= diags_array(graph.diagonal())
        graph.eliminate_zeros()
        self.operator = symmetric_normalised(graph)


class _Diffusion(_Propagation):
    class Settings(_Propagation.Settings):
        k: int = hp(
            20,
            "neighbours of each item in the graph, and entries kept in each column of S; paper 10 to 100",
            ge=1,
        )
        exclude_self: bool = hp(
            True,
            "true: the k neighbours are other items | false: the item itself is one of its k, so that its weight in "
            "A + I is 2; released code",
        )
        normalise: Literal["columns", "rows"] = hp(
            "columns",
            "which sums of S become 1 once the k largest entries of each column are kept; columns: released code; rows "
            "of items that occur in many columns then grow with every layer | rows: an imputed row is a weighted mean",
        )
        tolerance: float = hp(
            1e-4,
            "largest absolute error of an entry of S before the k largest are kept; released code inverts a dense "
            "matrix",
            gt=0,
        )

    settings: Settings

    def fit_series(self, series: Series, train: Interactions) -> None:
        largest = diffusion(self.graph(train), series, self.settings.k, self.settings.tolerance)
        self.operator = scaled(largest, axis=1 if self.settings.normalise == "rows" else 0)


class Ppr(_Diffusion):
    """Propagation with personalised PageRank (PersPageRank of Malitesta et al., TKDE 2026).

    Visible rows stay as they are. X <- S X with S = alpha (I - (1 - alpha) H)^-1 and H = D^-1/2 (A + I) D^-1/2. A is
    the graph of items that share training users, and D holds the row sums of A + I. Only the k largest entries of each
    column of S are kept.
    """

    class Settings(_Diffusion.Settings):
        alpha: float = hp(0.1, "restart probability of the random walk; paper 0.1", gt=0, le=1)

    settings: Settings

    def fit(self, features: Features, mask: np.ndarray, train: Interactions) -> None:
        super().fit(features, mask, train)
        self.fit_series(page_rank(self.settings.alpha), train)


class Heat(_Diffusion):
    """Propagation with the heat kernel (Heat of Malitesta et al., TKDE 2026).

    Visible rows stay as they are. X <- S X with S = expm(-t (I - H)) and H = D^-1/2 (A + I) D^-1/2. A is the graph of
    items that share training users, and D holds the row sums of A + I. Only the k largest entries of each column of S
    are kept.
    """

    class Settings(_Diffusion.Settings):
        t: float = hp(5.0, "diffusion time, the mean length of a walk; paper 5", gt=0)

    settings: Settings

    def fit(self, features: Features, mask: np.ndarray, train: Interactions) -> None:
        super().fit(features, mask, train)
        self.fit_series(heat(self.settings.t), train)
