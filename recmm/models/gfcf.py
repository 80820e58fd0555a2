"""GF-CF (Shen et al., CIKM 2021): a linear and an ideal low-pass filter of the training graph, without training."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from recmm.data.catalog import Catalog
from recmm.graph import leading_spectrum, users_from_items
from recmm.missing.view import ModalityView
from recmm.models.history import FromHistory, product
from recmm.models.settings import hp


class Filters(NamedTuple):
    """What scores are computed from.

    Attributes:
        to_users: R~^T, sparse CSR [n_items, n_users].
        to_items: R~, sparse CSR [n_users, n_items].
        into, out_of: D_V^-1/2 V and alpha D_V^1/2 V, float32 [n_items, k].
    """

    to_users: Tensor
    to_items: Tensor
    into: Tensor
    out_of: Tensor


class GFCF(FromHistory):
    """Scores r_u R~^T R~ + alpha r_u D_V^-1/2 V V^T D_V^1/2, with a user's row r_u of the training matrix R.

    R~ = D_U^-1/2 R D_V^-1/2, and V holds its leading right singular vectors: the first term is the linear filter, the
    second one the ideal low-pass filter. No matrix of items times items is made; the filters stay factors.

    Items without training interactions score 0, where the released code divides by 0. Every connected component of the
    graph has the largest singular value, 1. There may be more of them than ``rank``, so they do not count, but for one.
    """

    class Settings(FromHistory.Settings):
        rank: int = hp(256, "singular vectors of the low-pass filter; authors 256", ge=1)
        alpha: float = hp(3.0, "weight of the low-pass filter; authors .3, 0 on Amazon-Book", ge=0)

    settings: Settings

    def __init__(self, catalog: Catalog, **values: Any) -> None:
        super().__init__(catalog, **values)
        self.adjacency = users_from_items(catalog)
        self.register_buffer("degrees", catalog.item_counts().float(), persistent=False)

    def prepare(self, view: ModalityView) -> Filters:
        degrees: Tensor = self.get_buffer("degrees")
        root = degrees.sqrt()[:, None]
        right = leading_spectrum(self.adjacency, self.settings.rank).right
        return self.filters(torch.where(root > 0, right / root, 0.0), self.settings.alpha * root * right)

    def filters(self, into: Tensor, out_of: Tensor) -> Filters:
        """The linear filter, which is the training graph's, beside a low-pass filter."""
        return Filters(self.adjacency.transposed().csr(), self.adjacency.csr(), into, out_of)

    def score_rows(self, rows: Tensor, prepared: Filters) -> Tensor:
        linear = product(rows, prepared.to_users, prepared.to_items)
        return linear.addmm_(rows @ prepared.into, prepared.out_of.T)

    def deployable(self, view: ModalityView) -> dict[str, Tensor]:
        """``into``, ``out_of`` [n_items, k]: the low-pass filter; the linear one is the training graph's."""
        filters: Filters = self.prepared(view)
        return {"into": filters.into.cpu(), "out_of": filters.out_of.cpu()}
