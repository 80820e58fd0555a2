"""Walks between items, over the users who have both and over neighbours in the features (RP3beta, GF-CF, FREEDOM)."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from recmm.graph import Graph
from recmm.missing.view import ModalityView
from recmm.nn.knn_graph import comparable, mutual_neighbours
from recmm.nn.rows import centred, unit_rows

BLOCK = {"cpu": 2**19, "gpu": 2**26}
"""Numbers of a block of users: 2 MB stay in a core's cache, three times as fast as 80 MB; 256 MB fill a GPU."""


class Neighbours(NamedTuple):
    """M, the graph of mutual neighbours: M_ij is the sum over modalities of ``shares``.

    Attributes:
        rows, columns: int64 [n_edges], both ways.
        shares: float [n_edges, n_modalities], how much of the cosine each modality makes up.
    """

    rows: Tensor
    columns: Tensor
    shares: Tensor


class Explanation(NamedTuple):
    """What a score is made of.

    Attributes:
        history: float [n_history], the part of each item of the user's history; they sum to the score.
        last_step: float [1 + n_modalities], the part that came to the item over users, then over the edges of each
            modality, in the walk's last step; they sum to the score too.
    """

    history: Tensor
    last_step: Tensor


def feature_neighbours(view: ModalityView, k: int, weights: Sequence[float]) -> Neighbours:
    """M_ij = max(cos(y_i, y_j), 0) where i and j are in each other's k nearest, 0 elsewhere.

    y_i joins y_i^m = w_m v_im (x_i^m - mean) / (mean norm) of all modalities, with v_im whether m of i is visible; the
    means are over the visible rows of the modality. Items with nothing visible take no part, nor do those of which more
    than k have the same y.

    Args:
        k: at most how many neighbours an item has.
        weights: w_m of each modality; with 0 it takes no part.
    """
    parts = []
    for weight, x, visible in zip(weights, view.features.values(), view.mask.unbind(1), strict=True):
        y = centred(x, visible).masked_fill(~visible[:, None], 0)
        size = torch.linalg.vector_norm(y, dim=1).sum() / visible.sum().clamp_min(1)
        parts.append(weight * y / size.clamp_min(1e-9))
    joined = torch.cat(parts, 1)
    rows, columns = mutual_neighbours(unit_rows(joined), comparable(joined, view.mask.any(1), k), k)
    shares = [_edge_products(part, rows, columns) for part in unit_rows(joined).split([p.shape[1] for p in parts], 1)]
    together = torch.stack(shares, 1)
    kept = together.sum(1) > 0
    return Neighbours(rows[kept], columns[kept], together[kept])


def no_neighbours(view: ModalityView) -> Neighbours:
    """M without an edge."""
    none = torch.empty(0, dtype=torch.int64, device=view.mask.device)
    return Neighbours(none, none, torch.empty(0, view.mask.shape[1], device=view.mask.device))


def _edge_products(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """x_i . x_j of every edge, [n_edges], in blocks."""
    size = max(2**22 // max(x.shape[1], 1), 1)
    pairs = zip(rows.split(size), columns.split(size), strict=True)
    return torch.cat([x.new_zeros(0), *((x[i] * x[j]).sum(1) for i, j in pairs)])


class ItemWalk:
    """s_u = [ r_u sum_h a_h W^h ] diag(g), with W = D^-1/2 (R^T diag(q) R + M) D^-1/2 and D its row sums.

    R^T R is never formed: with A = diag(q)^1/2 R D^-1/2 a step is y A^T A, plus y times the scaled M. So the walk takes
    memory in proportion to the training pairs and to the edges of M, and for each user of a block a few numbers per
    item.

    Args:
        tensors: what the walk consists of, as ``walk_tensors`` makes it: row_starts int64 [n_users + 1] and train_items
            int64 [n_train], R by users; values float [n_train], those of A; neighbours int64 [2, n_edges] and shares
            float [n_edges, n_modalities], the scaled M; coefficients float [H], a_h; item_scale float [n_items], g.
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self.tensors = dict(tensors)
        sizes, n_items = self.tensors["row_starts"].diff(), len(self.tensors["item_scale"])
        users = torch.arange(len(sizes), device=sizes.device).repeat_interleave(sizes)
        self.of_users = Graph(users, self.tensors["train_items"], (len(sizes), n_items), self.tensors["values"])
        self.of_items = self._of_neighbours(self.tensors["shares"].sum(1))

    def _of_neighbours(self, values: Tensor) -> Graph | None:
        rows, columns = self.tensors["neighbours"]
        n_items = len(self.tensors["item_scale"])
        return Graph(rows, columns, (n_items, n_items), values) if len(rows) else None

    def over_users(self, y: Tensor) -> Tensor:
        """D^-1/2 R^T diag(q) R D^-1/2 y, of y [n_items, B]."""
        return self.of_users.transposed()(self.of_users(y))

    def step(self, y: Tensor) -> Tensor:
        """W y, of y [n_items, B]; W is symmetric."""
        reached = self.over_users(y)
        return reached if self.of_items is None else reached.add_(self.of_items(y))

    def before_last_step(self, start: Tensor) -> Tensor:
        """(sum_h a_h W^(h-1)) start by Horner's scheme, of start [n_items, B]."""
        *others, last = self.tensors["coefficients"].tolist()
        y = last * start
        for coefficient in reversed(others):
            y = self.step(y).add_(start, alpha=coefficient)
        return y

    def scores(self, rows: Tensor) -> Tensor:
        """s_u of r_u, ``rows`` sparse CSR [B, n_items] -> [B, n_items]."""
        scores, scale = rows.to_dense(), self.tensors["item_scale"]
        block = BLOCK["cpu" if scores.device.type == "cpu" else "gpu"]
        for part in scores.split(max(block // max(len(scale), 1), 16)):
            y = self.step(self.before_last_step(part.T.contiguous()))
            torch.mul(y.T, scale, out=part)
        return scores

    def explain(self, history: Tensor, item: int) -> Explanation:
        """The score of ``item`` for a user with ``history`` (int64 [n_history]), taken apart."""
        start = torch.zeros(len(self.tensors["item_scale"]), len(history), device=history.device)
        start[history, torch.arange(len(history), device=history.device)] = 1
        before, scale = self.before_last_step(start), self.tensors["item_scale"][item]
        whole = before.sum(1, keepdim=True)
        steps = [self.over_users(whole)]
        for values in self.tensors["shares"].unbind(1):
            edges = self._of_neighbours(values)
            steps.append(torch.zeros_like(whole) if edges is None else edges(whole))
        return Explanation(scale * self.step(before)[item], scale * torch.stack([y[item, 0] for y in steps]))


def walk_tensors(
    row_starts: Tensor,
    train_items: Tensor,
    n_items: int,
    neighbours: Neighbours,
    *,
    kappa: float | None,
    coefficients: Sequence[float],
    popularity_exponent: float,
) -> dict[str, Tensor]:
    """The tensors of an ``ItemWalk`` with q_u = t_u / D_u, D_u the user's degree and t_u = min(1, kappa / D_u).

    g_i = d~_i^o, where d = R^T t and d~_i = max(d_i, 1/2) / mean of the positive d. Items with a row sum of 0 are
    reached by no step.

    Args:
        row_starts, train_items: R by users, see ``ItemWalk``; every user's items once.
        neighbours: M.
        kappa: None for t_u = 1.
        coefficients: a_h of h = 1..H.
        popularity_exponent: o.
    """
    sizes = row_starts.diff()
    degrees = sizes.double().clamp_min(1)
    trust = torch.ones_like(degrees) if kappa is None else (kappa / degrees).clamp_max(1)
    trusted = torch.zeros(n_items, dtype=torch.float64, device=train_items.device)
    trusted.index_add_(0, train_items, trust.repeat_interleave(sizes))
    sums = trusted.index_add(0, neighbours.rows, neighbours.shares.double().sum(1))
    scale = torch.where(sums > 0, sums, torch.inf).rsqrt()
    rows, columns = neighbours.rows, neighbours.columns
    relative = trusted.clamp_min(0.5) / trusted[trusted > 0].mean()
    return {
        "row_starts": row_starts,
        "train_items": train_items,
        "values": ((trust / degrees).sqrt().repeat_interleave(sizes) * scale[train_items]).float(),
        "neighbours": torch.stack([rows, columns]),
        "shares": neighbours.shares * (scale[rows] * scale[columns]).float()[:, None],
        "coefficients": torch.tensor(coefficients, dtype=torch.float64),
        "item_scale": relative.pow(popularity_exponent).float(),
    }
