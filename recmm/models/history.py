"""Methods that are not trained: a user's scores are computed from the items of their training interactions."""

import operator
from functools import reduce
from typing import Any

import torch
from scipy.sparse import csr_matrix
from torch import Tensor

from recmm.data.catalog import Catalog
from recmm.graph.sparse import row_starts
from recmm.missing.view import ModalityView
from recmm.models.base import Recommender
from recmm.models.settings import MethodSettings, hp
from recmm.models.training import Training

TIE = 1e-6
"""Share of a user's largest score that the most popular item gains: it orders items that tie, and little else."""


def places(starts: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Where the entries of some rows of a CSR matrix stand, row after row.

    Args:
        starts: int [n_rows + 1], the matrix's row starts.
        rows: int64 [B].

    Returns:
        The row starts of a matrix of these rows alone, [B + 1], and the place of each of its entries, int64.
    """
    first, sizes = starts[rows], starts[rows + 1] - starts[rows]
    ends = sizes.cumsum(0)
    place = torch.arange(int(sizes.sum()), device=rows.device)
    return torch.cat([ends.new_zeros(1), ends]), place + (first - (ends - sizes)).repeat_interleave(sizes)


def history_rows(row_starts: Tensor, items: Tensor, users: Tensor, n_items: int) -> Tensor:
    """r_u of ``users`` (int64 [B]): a sparse CSR tensor of ones, float32 [B, n_items].

    Args:
        row_starts: int64 [n_users + 1], where each user's items begin among ``items``.
        items: int64 [n_train], the items of all users, user by user.
    """
    compressed, place = places(row_starts, users)
    values = torch.ones(len(place), device=users.device)
    return torch.sparse_csr_tensor(compressed, items[place], values, (len(users), n_items), check_invariants=False)


def order_ties(scores: Tensor, popularity: Tensor) -> Tensor:
    """The same scores [B, n_items], in place, with ``TIE`` times the largest added in proportion to ``popularity``.

    Where all are 0 they become ``popularity`` [n_items].
    """
    largest = scores.abs().amax(1, keepdim=True)
    return scores.addcmul_(torch.where(largest > 0, TIE * largest, 1.0), popularity)


def popularity(catalog: Catalog) -> Tensor:
    """Training interactions of every item as a share of the most popular one's, float32 [n_items]."""
    counts = catalog.item_counts().float()
    return counts / counts.max().clamp_min(1)


class FromHistory(Recommender):
    """Scores are a function of r_u, a user's row of the training matrix R [n_users, n_items]; nothing is trained.

    A subclass implements ``prepare``, which computes what this view's scores need, and ``score_rows``.

    Items that tie are ordered by their training interactions: each gains ``TIE`` times the user's largest score, in
    proportion to them. A user without training interactions, whose scores all are 0, is shown the most popular items.
    """

    class Settings(MethodSettings):
        training: Training = hp(Training(), "without effect: nothing is trained and nothing is drawn")

    uses_modalities = False
    trained = False

    def __init__(self, catalog: Catalog, **values: Any) -> None:
        super().__init__(catalog, **values)
        self.register_buffer("row_starts", row_starts(catalog.train_users, catalog.n_users), persistent=False)
        self.register_buffer("train_items", catalog.train_items, persistent=False)
        self.register_buffer("popularity", popularity(catalog), persistent=False)

    def rows(self, users: Tensor) -> Tensor:
        """r_u of ``users`` (int64 [B]): a sparse CSR tensor of ones, float32 [B, n_items]."""
        starts, items = self.get_buffer("row_starts"), self.get_buffer("train_items")
        return history_rows(starts, items, users, self.catalog.n_items)

    def score_rows(self, rows: Tensor, prepared: Any) -> Tensor:
        """Scores from ``rows``, sparse CSR [B, n_items], and what ``prepare`` made of the view -> [B, n_items]."""
        raise TypeError(f"{type(self).__name__} has no score_rows().")

    def score_users(self, users: Tensor, prepared: Any) -> Tensor:
        """Scores of ``users`` (int64 [B]) before ties are ordered -> [B, n_items]; of their rows, unless overridden."""
        return self.score_rows(self.rows(users), prepared)

    def score(self, users: Tensor, view: ModalityView) -> Tensor:
        return order_ties(self.score_users(users, self.prepared(view)), self.get_buffer("popularity"))


class ItemToItem(FromHistory):
    """Scores r_u W with an item-to-item matrix W.

    A subclass implements ``weights``. It gets the whole training matrix by ``self.rows(...)`` of all users.
    """

    def weights(self, view: ModalityView) -> Tensor:
        """W, float32 [n_items, n_items]: a dense tensor, or a sparse CSR one."""
        raise TypeError(f"{type(self).__name__} has no weights().")

    def prepare(self, view: ModalityView) -> Tensor:
        return self.weights(view)

    def score_rows(self, rows: Tensor, prepared: Tensor) -> Tensor:
        return product(rows, prepared) if prepared.layout == torch.sparse_csr else rows @ prepared

    def deployable(self, view: ModalityView) -> dict[str, Tensor]:
        """``item_item``: W, see ``stored``; ``popularity`` [n_items], the order of ties."""
        return {"item_item": self.stored(self.prepared(view)).cpu(), "popularity": self.get_buffer("popularity").cpu()}

    def stored(self, matrix: Tensor) -> Tensor:
        """What the checkpoint keeps of W: all of it, unless a method says otherwise."""
        return matrix


def product(*factors: Tensor) -> Tensor:
    """The product of sparse CSR matrices, dense; no gradient.

    On the CPU it is SciPy's: PyTorch 2.13 never gives the memory of a product of two sparse matrices back.
    """
    if factors[0].is_cuda:
        return reduce(torch.matmul, factors).to_sparse_coo().to_dense()
    arrays = ((x.values().numpy(), x.col_indices().numpy(), x.crow_indices().numpy()) for x in factors)
    matrices = [csr_matrix(parts, shape=x.shape) for parts, x in zip(arrays, factors, strict=True)]
    return torch.from_numpy(reduce(operator.matmul, matrices).toarray())
