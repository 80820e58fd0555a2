"""RP3beta (Paudel et al., TiiS 2016): a random walk of three steps that is damped at popular items."""

import numpy as np
from scipy.sparse import csr_matrix
from torch import Tensor

from recmm.missing.item_graph import scaled, top_k
from recmm.missing.view import ModalityView
from recmm.models.history import FromHistory, ItemToItem
from recmm.models.settings import hp
from recmm.nn.interactions import as_tensor, frequent_first, largest_products, training_matrix


class RP3beta(ItemToItem):
    """Scores r_u W with W_ij = sum_u (p_iu)^alpha (p_uj)^alpha / d_j^beta, and W_ii = 0.

    p_iu = R_ui / d_i is the walk's step from an item to a user, p_uj = R_uj / d_u the one from a user to an item; d are
    the numbers of training interactions. beta = 0 is P3alpha (Cooper et al., WWW 2014). The first step, from the user
    to its items, has equal probabilities, which no ranking depends on.

    The cuts to ``k`` neighbours are those of Dacrema et al. (RecSys 2019): the paper has none. There the columns are
    always cut; here it is a choice, as this raises accuracy on TikTok and lowers it on Amazon Baby.
    """

    class Settings(FromHistory.Settings):
        alpha: float = hp(0.7, "exponent of the transition probabilities; search .4 to 1.2", ge=0)
        beta: float = hp(0.0, "exponent of an item's number of interactions, which divides its scores; 0 to 1", ge=0)
        k: int | None = hp(200, "largest entries kept in a row of W; null: all; search 50 to 1000", ge=1)
        normalise: bool = hp(True, "divide the rows of W by their sums, after the cut")
        col_cut: bool = hp(True, "keep the k largest entries of a column, too; helps on TikTok, harms on Baby")

    settings: Settings

    def weights(self, view: ModalityView) -> Tensor:
        s, interactions = self.settings, training_matrix(self.catalog)
        counts = np.diff(interactions.tocsc().indptr)
        rank = frequent_first(counts)
        to_item, to_user = powers(scaled(interactions, 1), s.alpha), powers(scaled(interactions.T.tocsr(), 1), s.alpha)
        damping = np.maximum(counts, 1.0) ** -s.beta
        w = largest_products(to_user, to_item, s.k, rank, lambda i, j, x: x * damping[j])
        if s.normalise:
            w = scaled(w, 1)
        if s.col_cut:
            w = top_k(w.T.tocsr(), s.k, rank).T.tocsr()
        return as_tensor(w, view.mask.device)


def powers(matrix: csr_matrix, exponent: float) -> csr_matrix:
    """Every entry to a power; what is not there stays 0."""
    return csr_matrix((matrix.data**exponent, matrix.indices, matrix.indptr), shape=matrix.shape)
