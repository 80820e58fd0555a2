"""The two kinds of batches that travel through a run: training pairs, and users to be ranked for."""

from typing import NamedTuple

import torch
from torch import Tensor


class Pairs(NamedTuple):
    """Training triples (u, i, j): a user, an item of its history and one that is not. int64 [B] each.

    For methods that use no negatives, ``negatives`` is empty.
    """

    users: Tensor
    positives: Tensor
    negatives: Tensor

    def nodes(self, n_users: int) -> Tensor:
        """int64 [3B]: users, positives and negatives as nodes of the user-item graph, where items follow the users."""
        return torch.cat([self.users, n_users + self.positives, n_users + self.negatives])


class RankingBatch(NamedTuple):
    """Users whose whole catalogue is ranked in one go.

    ``rows`` index into this batch (0..B-1), ``items`` into the catalogue.

    Attributes:
        users: int64 [B].
        excluded_rows, excluded_items: int64 [E]; pairs that are no candidates (training history, and what the protocol
            adds), each once.
        positive_rows, positive_items: int64 [P]; the held-out pairs, sorted by row and then item; every row has one or
            more.
        candidates: bool [n_items], the items that are ranked at all; None means all of them.
    """

    users: Tensor
    excluded_rows: Tensor
    excluded_items: Tensor
    positive_rows: Tensor
    positive_items: Tensor
    candidates: Tensor | None = None
