"""Users and items that modalities relate, and propagation by the training graph, normalised on one side (MMSSL)."""

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from recmm.data.catalog import Catalog
from recmm.graph import Graph, row_starts


class Relation(NamedTuple):
    """Means along a relation: users of their items, [n_users, n_items], and items of their users, its reverse."""

    to_users: Graph
    to_items: Graph


class OneSidedPropagation(nn.Module):
    """P_u = D_U^-1/2 R and P_i = D_V^-1/2 R^T of the training graph R; what has no interactions gets zeros."""

    CHUNK = 1024
    """Users whose best items are found at once."""

    def __init__(self, catalog: Catalog) -> None:
        super().__init__()
        users, items = catalog.train_users, catalog.train_items
        self.histories = Graph(users, items, (catalog.n_users, catalog.n_items))  # R
        self.to_users = self.histories.with_values(catalog.user_counts()[users].float().rsqrt())  # P_u
        self.to_items = self.histories.transposed().with_values(catalog.item_counts()[items].float().rsqrt())  # P_i
        self.starts = row_starts(users, catalog.n_users).tolist()

    def two_hops(self, items: Tensor) -> Tensor:
        """P_u x of the users and P_i P_u x of the items, from x [n_items, ...]: [n_users + n_items, ...]."""
        users = self.to_users(items.flatten(1))
        return torch.cat([users, self.to_items(users)]).unflatten(1, items.shape[1:])

    def forward(self, ego: Tensor, n_layers: int, last: Literal["softmax", "plain"]) -> Tensor:
        """Mean of e^0 .. e^L, [n_users + n_items, d]; users come from items, and items from these new users.

        Args:
            ego: e^0.
            n_layers: L.
            last: whether the last layer passes a softmax over its d features.
        """
        total, items = ego, ego[self.histories.shape[0] :]
        for layer in range(1, n_layers + 1):
            activation = layer == n_layers and last == "softmax"
            users = self.to_users(items).softmax(1) if activation else self.to_users(items)
            items = self.to_items(users).softmax(1) if activation else self.to_items(users)
            total = total + torch.cat([users, items])
        return total / (n_layers + 1)

    @torch.no_grad()
    def best(self, users: Tensor, items: Tensor, k: int) -> Relation:
        """Every user and its k items of greatest inner product outside its history; scores of 0 relate nothing.

        Args:
            users, items: [n_users, d] and [n_items, d].
        """
        k, found = min(k, len(items)), []
        for first in range(0, len(users), self.CHUNK):
            scores = users[first : first + self.CHUNK] @ items.T
            known = slice(self.starts[first], self.starts[min(first + self.CHUNK, len(users))])
            scores[self.histories.rows[known] - first, self.histories.columns[known]] = -torch.inf
            found.append(scores.topk(k, sorted=False))
        values, columns = (torch.cat(part).flatten() for part in zip(*found, strict=True))
        rows = torch.arange(len(users), device=users.device).repeat_interleave(k)
        related = (values.isfinite() & (values != 0)).float()
        graph = Graph(rows, columns, (len(users), len(items)), related)
        return Relation(graph.mean(), graph.transposed().mean())
