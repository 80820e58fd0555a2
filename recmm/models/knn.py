"""Neighbourhood methods: items by their most similar items (ItemKNN), users by their most similar users (UserKNN)."""

from typing import Literal

import numpy as np
import torch
from scipy.sparse import csr_matrix, diags_array
from torch import Tensor

from recmm.missing.view import ModalityView
from recmm.models.history import FromHistory, ItemToItem, places, product
from recmm.models.settings import hp
from recmm.nn.interactions import as_tensor, frequent_first, largest_products, training_matrix


class KNNSettings(FromHistory.Settings):
    """What both neighbourhoods share."""

    similarity: Literal["cosine", "jaccard"] = hp(
        "jaccard", "cosine: c_ij / (sqrt(c_ii c_jj) + shrink) | jaccard: c_ij / (c_ii + c_jj - c_ij + shrink)"
    )
    weighting: Literal["none", "inverse", "idf"] = hp(
        "idf",
        "what an interaction in common counts, by the number d of interactions of that user (of that item in userknn): "
        "none: 1 | inverse: 1 / d | idf: ln(n / (1 + d))^2, TF-IDF",
    )
    shrink: float = hp(0.0, "added to the denominator: takes weight from pairs with little in common", ge=0)
    k: int | None = hp(100, "neighbours; null: all that have something in common; search 20 to 1000", ge=1)


def neighbours(rows: csr_matrix, settings: KNNSettings) -> csr_matrix:
    """The k most similar rows of each row, and their similarity.

    Args:
        rows: 0/1 matrix [n, m], the m columns are what rows have in common.

    Returns:
        float32 [n, n] without diagonal; only positive entries.
    """
    s, d = settings, np.diff(rows.tocsc().indptr)
    weight = {
        "none": np.ones(len(d)),
        "inverse": 1 / np.maximum(d, 1),
        "idf": np.log(max(rows.shape[1], 1) / np.minimum(1 + d, rows.shape[1])) ** 2,
    }[s.weighting]
    own = rows @ weight

    def similarity(i: np.ndarray, j: np.ndarray, common: np.ndarray) -> np.ndarray:
        if s.similarity == "cosine":
            return common / (np.sqrt(own[i] * own[j]) + s.shrink)
        return common / (own[i] + own[j] - common + s.shrink)

    weighted = (rows @ diags_array(weight)).tocsr()
    weighted.eliminate_zeros()  # so that what is in common is never nothing, divided by nothing
    return largest_products(weighted, rows.T.tocsr(), s.k, frequent_first(np.diff(rows.indptr)), similarity)


class ItemKNN(ItemToItem):
    """Scores r_u S: S_ij is the similarity of i and j where i is among the k nearest of j (Sarwar et al., WWW 2001).

    c_ij sums the weights of the users that i and j have in common. With weight 1 for all of them and the cosine, rare
    interactions decide: on TikTok that stays below popularity.
    """

    class Settings(KNNSettings):
        pass

    settings: Settings

    def weights(self, view: ModalityView) -> Tensor:
        of_items = training_matrix(self.catalog).T.tocsr()
        return as_tensor(neighbours(of_items, self.settings).T.tocsr(), view.mask.device)


class UserKNN(FromHistory):
    """Scores S R: a user's k most similar users, weighted by their similarity (Resnick et al., CSCW 1994).

    c_uv sums the weights of the items that u and v have in common.
    """

    class Settings(KNNSettings):
        k: int | None = hp(300, "neighbours; null: all that have something in common; search 20 to 1000", ge=1)

    settings: Settings

    def prepare(self, view: ModalityView) -> Tensor:
        """S, sparse CSR [n_users, n_users]."""
        return as_tensor(neighbours(training_matrix(self.catalog), self.settings), view.mask.device)

    def score_users(self, users: Tensor, prepared: Tensor) -> Tensor:
        starts, place = places(prepared.crow_indices(), users)
        columns, values = prepared.col_indices()[place], prepared.values()[place]
        shape = (len(users), self.catalog.n_users)
        similar = torch.sparse_csr_tensor(starts, columns, values, shape, check_invariants=False)
        return product(similar, self.rows(torch.arange(self.catalog.n_users, device=users.device)))

    def deployable(self, view: ModalityView) -> dict[str, Tensor]:
        """``user_user``: S; ``popularity`` [n_items], the order of ties."""
        return {"user_user": self.prepared(view).cpu(), "popularity": self.get_buffer("popularity").cpu()}
