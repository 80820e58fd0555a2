"""The kinds of batches: training pairs, and users whose items are ranked."""

from typing import NamedTuple

import torch
from torch import Tensor


class Pairs(NamedTuple):
    """Training triples (u, i, j): a user, an item of its history and one that is not.

    Attributes:
        users, positives: int64 [B].
        negatives: int64 [B]; [B, k] for a method with k > 1 negatives a pair; [0] for a method without any.
        rows: int64 [B], numbers of the training pairs in the order of ``Catalog.train_users``; [0] in a batch that was
            made by hand.
    """

    users: Tensor
    positives: Tensor
    negatives: Tensor
    rows: Tensor = torch.empty(0, dtype=torch.int64)

    def gather(self, nodes: Tensor, n_users: int) -> Tensor:
        """Rows [3B, ...] of ``nodes`` [n_users + n_items, ...]; ``chunk(3)`` splits them into u, i and j.

        One gather, so that its gradient is one table of all nodes and not three.
        """
        return nodes.index_select(0, self.nodes(n_users))

    def nodes(self, n_users: int) -> Tensor:
        """int64 [3B]: users, positives and negatives as nodes of the user-item graph, where items follow the users."""
        return torch.cat([self.users, n_users + self.positives, n_users + self.negatives])


class FurtherRanking(NamedTuple):
    """A further set of candidates, ranked from the scores of the batch that it belongs to.

    Attributes:
        rows: int64 [B'], users of that batch (0..B-1) who have a held-out pair in this set.
        batch: what is ranked for these users.
    """

    rows: Tensor
    batch: "RankingBatch"


class RankingBatch(NamedTuple):
    """Users for whom the whole catalogue is ranked at once.

    ``rows`` index into this batch (0..B-1), ``items`` into the catalogue.

    Attributes:
        users: int64 [B].
        excluded_rows, excluded_items: int64 [E]; pairs that are no candidates (training history, and what the protocol
            adds), each once.
        positive_rows, positive_items: int64 [P]; the held-out pairs, sorted by row and then item; every row has one or
            more.
        candidates: bool [n_items], the items that are ranked at all; None means all of them.
        further: name -> further sets of candidates, whose users are among this batch's.
    """

    users: Tensor
    excluded_rows: Tensor
    excluded_items: Tensor
    positive_rows: Tensor
    positive_items: Tensor
    candidates: Tensor | None = None
    further: dict[str, FurtherRanking] = {}  # noqa: RUF012 (a named tuple's default; never written to)


def first_occurrences(ids: Tensor, n_ids: int) -> Tensor:
    """bool [n]: whether no earlier place of ``ids`` (int64 [n], in 0..n_ids-1) holds the same id.

    Unlike ``torch.unique``, it does not make the host wait for the device.
    """
    places = torch.arange(len(ids), device=ids.device)
    first = torch.full((n_ids,), len(ids), device=ids.device).scatter_reduce(0, ids, places, "amin")
    return first.index_select(0, ids) == places
