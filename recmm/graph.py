"""The user-item graph as a sparse product whose backward pass is the same product."""

from typing import Any

import torch
from torch import Tensor, nn

from recmm.data.catalog import Catalog


class _Product(torch.autograd.Function):
    """A x for a constant A = A^T: the gradient is A g, the same function again, hence differentiable to any order."""

    @staticmethod
    def forward(ctx: Any, matrix: Tensor, x: Tensor) -> Tensor:
        ctx.matrix = matrix
        return matrix @ x

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, Tensor]:
        return None, _Product.apply(ctx.matrix, grads[0])


class SymmetricProduct(nn.Module):
    """x [N, d] -> A x [N, d] for a constant symmetric sparse matrix A.

    The matrix is kept in CSR form as buffers: it follows the module to its device and stays out of checkpoints.
    Autograd knows no backward that stays in CSR, so the symmetry serves: the backward pass is one more forward pass.

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
        starts = torch.zeros(n_nodes + 1, dtype=torch.int64)
        starts[1:] = torch.bincount(rows, minlength=n_nodes).cumsum(0)
        self.n_nodes = n_nodes
        self.register_buffer("row_starts", starts, persistent=False)
        self.register_buffer("columns", columns[order], persistent=False)
        self.register_buffer("values", values[order], persistent=False)

    @property
    def matrix(self) -> Tensor:
        """A as a sparse CSR tensor over the buffers, without a copy."""
        parts = (self.get_buffer("row_starts"), self.get_buffer("columns"), self.get_buffer("values"))
        return torch.sparse_csr_tensor(*parts, (self.n_nodes, self.n_nodes), check_invariants=False)

    def forward(self, x: Tensor) -> Tensor:
        return _Product.apply(self.matrix, x)


def symmetric_adjacency(catalog: Catalog) -> SymmetricProduct:
    """D^-1/2 A D^-1/2 of the training graph: users are nodes 0..n_users-1, items follow (methods.md 0, LightGCN Eq. 8).

    Nodes without training interactions have a zero row and column.
    """
    users, items = catalog.train_users, catalog.n_users + catalog.train_items
    degrees = torch.cat([catalog.user_counts(), catalog.item_counts()]).double()
    values = (degrees[users] * degrees[items]).rsqrt().float()
    rows, columns = torch.cat([users, items]), torch.cat([items, users])
    return SymmetricProduct(rows, columns, values.repeat(2), catalog.n_users + catalog.n_items)
