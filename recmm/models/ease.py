"""EASE (Steck, WWW 2019): every item as a linear function of the others, in closed form."""

from typing import Any, Literal

import numpy as np
import torch
from scipy.sparse import csr_matrix, diags_array
from torch import Tensor

from recmm.data.catalog import Catalog
from recmm.errors import ConfigError
from recmm.graph.sparse import Edges, Matrix
from recmm.missing.view import ModalityView
from recmm.models.history import FromHistory, ItemToItem
from recmm.models.settings import hp
from recmm.nn.interactions import as_tensor, training_matrix
from recmm.nn.ridge import closed_form, on_neighbours, regressors, ridge

MOST_ITEMS = 20_000
"""Up to here the closed form, three dense matrices of n x n items in float32, fits in 8 GB."""


class Ridge(ItemToItem):
    """Scores r_u B, B the closed form for the Gram matrix G = R^T R + lambda I: what EASE shares with EASE on features.

    float32 is enough: the condition number is at most 1 + sigma_1(R)^2 / lambda, 300 on TikTok with the default.

    Raises:
        ConfigError: the catalogue has more items than a dense matrix of them is made for.
    """

    class Settings(FromHistory.Settings):
        l2: float = hp(
            50.0, "lambda, on the squared weights; search 10 to 5000: 30 to 50 on TikTok, 1000 on Amazon Baby", gt=0
        )
        user_damping: float = hp(
            0.0, "gamma: a user of d interactions counts d^-gamma; paper 0; .5 gains a little on TikTok", ge=0
        )
        deployed_k: int | None = hp(
            500, "largest |weights| in a row that the checkpoint keeps; null: all; a run's own ranks use all", ge=1
        )

    settings: Settings

    def __init__(self, catalog: Catalog, **values: Any) -> None:
        super().__init__(catalog, **values)
        if self.is_dense and catalog.n_items > MOST_ITEMS:
            raise ConfigError(
                f"{type(self).__name__} inverts a dense matrix of its items, at most {MOST_ITEMS:,}, and the catalogue "
                f"has {catalog.n_items:,}: use model=rp3beta, model=itemknn, or model=ease model.method=sparse."
            )

    @property
    def is_dense(self) -> bool:
        return True

    def co_counts(self) -> csr_matrix:
        """R^T R with every user's share d^-gamma, float32 [n_items, n_items]."""
        interactions = training_matrix(self.catalog)
        shares = np.maximum(np.diff(interactions.indptr), 1) ** np.float32(-self.settings.user_damping)
        return (interactions.T @ diags_array(shares) @ interactions).tocsr().astype(np.float32)

    def gram(self, view: ModalityView) -> Tensor:
        """G without lambda I: a new dense tensor, float32 [n_items, n_items]."""
        return torch.from_numpy(self.co_counts().toarray()).to(view.mask.device)

    def weights(self, view: ModalityView) -> Tensor:
        gram = self.gram(view)
        gram.diagonal().add_(self.settings.l2)
        return closed_form(gram)

    def stored(self, matrix: Tensor) -> Tensor:
        """The ``deployed_k`` largest |weights| of every row: lists from them come near those of the run."""
        k, n = self.settings.deployed_k, len(matrix)
        if k is None or k >= n or matrix.layout != torch.strided:
            return matrix
        columns = matrix.abs().topk(k, dim=1).indices.sort(1).values
        rows = torch.arange(n, device=columns.device).repeat_interleave(k)
        return Matrix(Edges(rows, columns.flatten(), (n, n)), matrix.gather(1, columns).flatten()).csr(transposed=False)


class EASE(Ridge):
    """Minimises ||R - R B||^2 + lambda ||B||^2 with diag B = 0: with P = (R^T R + lambda I)^-1,

        B_ij = -P_ij / P_jj for i != j                                                           (equation 8)

    Scores may be negative: an item without training interactions has the score 0, above those.

    ``method=sparse`` solves the same problem for each item j over its ``k`` neighbours alone, the items with the
    largest c_ij^2 / (c_ii + lambda) among those that share a user with it, c = R^T R: this is what regressing j on i
    alone gains. With all of them as neighbours it is the same problem where all items share users.
    """

    class Settings(Ridge.Settings):
        method: Literal["dense", "sparse"] = hp(
            "dense", "dense: the closed form, up to 20,000 items | sparse: each item on its k neighbours, any number"
        )
        k: int = hp(200, "neighbours of an item with method=sparse", ge=1)

    settings: Settings

    @property
    def is_dense(self) -> bool:
        return self.settings.method == "dense"

    def weights(self, view: ModalityView) -> Tensor:
        if self.is_dense:
            return super().weights(view)
        gram, l2, device = self.co_counts(), self.settings.l2, view.mask.device
        near = regressors(gram, l2, self.settings.k)
        return as_tensor(on_neighbours(gram, near, lambda block: ridge(block, l2), device), device)
