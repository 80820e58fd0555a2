"""Graphs as sparse products that know their own exact backward pass."""

from typing import Any

import torch
from torch import Tensor, nn

from recmm.data.catalog import Catalog


class _Product(torch.autograd.Function):
    """A x for a constant A: the gradient is A^T g, the same function with the parts swapped, so any order works."""

    @staticmethod
    def forward(ctx: Any, matrix: Tensor, transposed: Tensor, x: Tensor) -> Tensor:
        ctx.matrix, ctx.transposed = matrix, transposed
        return matrix @ x

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, None, Tensor]:
        return None, None, _Product.apply(ctx.transposed, ctx.matrix, grads[0])


def row_starts(rows: Tensor, n_rows: int) -> Tensor:
    """int64 [n_rows + 1]: where each row's entries begin in CSR order, from the row of every entry."""
    starts = torch.zeros(n_rows + 1, dtype=torch.int64, device=rows.device)
    starts[1:] = torch.bincount(rows, minlength=n_rows).cumsum(0)
    return starts


class _CSR(nn.Module):
    """A constant sparse matrix in CSR form as buffers, which follow their module and stay out of checkpoints.

    Args:
        keys: int64 [n_entries], row * n_columns + column, in ascending order, each once.
        values: float [n_entries].
        shape: rows and columns.
    """

    def __init__(self, keys: Tensor, values: Tensor, shape: tuple[int, int]) -> None:
        super().__init__()
        self.shape = shape
        self.register_buffer("row_starts", row_starts(keys // shape[1], shape[0]), persistent=False)
        self.register_buffer("columns", keys % shape[1], persistent=False)
        self.register_buffer("values", values, persistent=False)

    @property
    def matrix(self) -> Tensor:
        """The sparse CSR tensor over the buffers, without a copy."""
        return self.matrix_of(self.get_buffer("values"))

    def matrix_of(self, values: Tensor) -> Tensor:
        """The same places with other values."""
        parts = (self.get_buffer("row_starts"), self.get_buffer("columns"), values)
        return torch.sparse_csr_tensor(*parts, self.shape, check_invariants=False)


class SparseProduct(nn.Module):
    """x [n, d] -> A x [m, d] for a constant sparse matrix A [m, n].

    A and its transpose are both kept in CSR form: autograd knows no backward that stays in CSR, so the backward pass
    is the forward pass of the transpose.

    Args:
        rows, columns: int64 [n_entries], where A is not zero, each pair once.
        values: float [n_entries].
        shape: (m, n).
    """

    def __init__(self, rows: Tensor, columns: Tensor, values: Tensor, shape: tuple[int, int]) -> None:
        super().__init__()
        m, n = self.shape = shape
        keys, order = torch.sort(rows * n + columns)
        self.direct = _CSR(keys, values[order], (m, n))
        keys, order = torch.sort(columns * m + rows)
        self.mirrored = _CSR(keys, values[order], (n, m))

    def forward(self, x: Tensor) -> Tensor:
        return _Product.apply(self.direct.matrix, self.mirrored.matrix, x)

    def transposed(self, x: Tensor) -> Tensor:
        """x [m, d] -> A^T x [n, d]."""
        return _Product.apply(self.mirrored.matrix, self.direct.matrix, x)


class SymmetricProduct(nn.Module):
    """x [N, d] -> A x [N, d] for a constant symmetric sparse matrix A, which is kept once.

    Args:
        rows, columns: int64 [n_entries], where A is not zero, both (i, j) and (j, i), each pair once.
        values: float [n_entries].
        n_nodes: N.

    Raises:
        ValueError: if the entries are not symmetric.
    """

    def __init__(self, rows: Tensor, columns: Tensor, values: Tensor, n_nodes: int) -> None:
        super().__init__()
        keys, order = torch.sort(rows * n_nodes + columns)
        mirrored_keys, mirrored_order = torch.sort(columns * n_nodes + rows)
        if not (torch.equal(keys, mirrored_keys) and torch.equal(values[order], values[mirrored_order])):
            raise ValueError("SymmetricProduct needs every entry (i, j) also as (j, i), of equal value.")
        self.direct = _CSR(keys, values[order], (n_nodes, n_nodes))

    def forward(self, x: Tensor) -> Tensor:
        matrix = self.direct.matrix
        return _Product.apply(matrix, matrix, x)


class RandomSubgraphs(nn.Module):
    """x [N, d] -> D^-1/2 A' D^-1/2 x for random subgraphs A' of the training graph (methods.md B8).

    A subgraph is drawn on the module's device from torch's global generator. It is a vector of weights over the whole
    graph's places, zero where it has no edge, so that drawing one sorts nothing and sends nothing to the host. D are
    the degrees within A'; nodes that have lost all edges have a zero row and column.

    Args:
        catalog: the training graph; users are nodes 0..n_users-1, items follow.
    """

    def __init__(self, catalog: Catalog) -> None:
        super().__init__()
        self.n_users, self.n_items = catalog.n_users, catalog.n_items
        users, items = catalog.train_users, catalog.n_users + catalog.train_items
        self.n_edges, n_nodes = len(users), catalog.n_users + catalog.n_items
        keys, order = torch.sort(torch.cat([users, items]) * n_nodes + torch.cat([items, users]))
        self.pattern = _CSR(keys, order % max(self.n_edges, 1), (n_nodes, n_nodes))  # values: which edge stands there
        self.register_buffer("ends", torch.stack([users, items]), persistent=False)
        self.ends: Tensor

    def drop_edges(self, rate: float) -> Tensor:
        """Weights of a subgraph without round(rate * n_edges) edges, chosen without replacement: [2 n_edges]."""
        return self._weights(_kept(self.n_edges, rate, self.ends.device))

    def drop_nodes(self, rate: float) -> Tensor:
        """The same without the edges of round(rate * n) random users and as large a share of the items."""
        device = self.ends.device
        kept = torch.cat([_kept(n, rate, device) for n in (self.n_users, self.n_items)])
        return self._weights(kept[self.ends].prod(0))

    def _weights(self, kept: Tensor) -> Tensor:
        users, items = self.ends
        degrees = kept.new_zeros(self.n_users + self.n_items)
        degrees = degrees.index_add(0, users, kept).index_add(0, items, kept)
        scale = torch.where(degrees > 0, degrees.rsqrt(), 0)
        return (kept * scale[users] * scale[items])[self.pattern.get_buffer("values")]

    def forward(self, weights: Tensor, x: Tensor) -> Tensor:
        matrix = self.pattern.matrix_of(weights)
        return _Product.apply(matrix, matrix, x)


def _kept(n: int, rate: float, device: torch.device) -> Tensor:
    """float [n]: 0 at round(rate * n) random positions, 1 elsewhere."""
    dropped = torch.randperm(n, device=device)[: round(rate * n)]
    return torch.ones(n, device=device).index_fill_(0, dropped, 0)


def symmetric_adjacency(catalog: Catalog) -> SymmetricProduct:
    """D^-1/2 A D^-1/2 of the training graph: users are nodes 0..n_users-1, items follow (methods.md 0, LightGCN Eq. 8).

    Nodes without training interactions have a zero row and column.
    """
    users, items = catalog.train_users, catalog.n_users + catalog.train_items
    degrees = torch.cat([catalog.user_counts(), catalog.item_counts()]).double()
    values = (degrees[users] * degrees[items]).rsqrt().float()
    rows, columns = torch.cat([users, items]), torch.cat([items, users])
    return SymmetricProduct(rows, columns, values.repeat(2), catalog.n_users + catalog.n_items)


def mean_with_self(catalog: Catalog) -> SparseProduct:
    """D^-1 (A + I) of the training graph, D the degrees of A + I: a node is the mean of its neighbours and itself.

    NGCF's and LATTICE's released code propagate along it (methods.md 0).
    """
    users, items = catalog.train_users, catalog.n_users + catalog.train_items
    nodes = torch.arange(catalog.n_users + catalog.n_items)
    rows, columns = torch.cat([users, items, nodes]), torch.cat([items, users, nodes])
    degrees = 1 + torch.cat([catalog.user_counts(), catalog.item_counts()])
    return SparseProduct(rows, columns, degrees[rows].float().reciprocal(), (len(nodes), len(nodes)))


def users_from_items(catalog: Catalog) -> SparseProduct:
    """D_U^-1/2 R D_V^-1/2 [n_users, n_items], the block of ``symmetric_adjacency`` between users and items."""
    users, items = catalog.train_users, catalog.train_items
    values = (catalog.user_counts().double()[users] * catalog.item_counts().double()[items]).rsqrt().float()
    return SparseProduct(users, items, values, (catalog.n_users, catalog.n_items))


def mean_over_items(catalog: Catalog) -> SparseProduct:
    """D_U^-1 R [n_users, n_items]: a user is the mean of the items in its training history (CI2MG Eq. 1).

    Users without history have a zero row.
    """
    degrees = catalog.user_counts().float()
    values = degrees[catalog.train_users].reciprocal()
    return SparseProduct(catalog.train_users, catalog.train_items, values, (catalog.n_users, catalog.n_items))


def mean_over_users(catalog: Catalog) -> SparseProduct:
    """D_V^-1 R^T [n_items, n_users]: an item is the mean of the users who have it in training (CI2MG Eq. 1).

    Items without training interactions have a zero row.
    """
    degrees = catalog.item_counts().float()
    values = degrees[catalog.train_items].reciprocal()
    return SparseProduct(catalog.train_items, catalog.train_users, values, (catalog.n_items, catalog.n_users))
