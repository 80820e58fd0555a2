"""Sparse matrices in CSR form, and their products as autograd functions that are differentiable to any order."""

from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

BLOCK = {"cpu": 2**16, "gpu": 2**22}
"""Numbers that products of the ends of edges hold at a time: 256 KB stay in a core's cache, 16 MB fill a GPU."""


def row_starts(rows: Tensor, n_rows: int) -> Tensor:
    """int64 [n_rows + 1]: where each row's entries begin in CSR order, from the row of every entry."""
    starts = torch.zeros(n_rows + 1, dtype=torch.int64, device=rows.device)
    starts[1:] = torch.bincount(rows, minlength=n_rows).cumsum(0)
    return starts


class CSR(NamedTuple):
    """Entries sorted by row, then column.

    Attributes:
        row_starts: int32 [n_rows + 1], which MKL wants: it would convert int64 at every product. int64 where the number
            of entries needs it.
        columns: [n_entries], of the same type.
        order: int64 [n_entries], the edge at each place; None if the edges were sorted to begin with.
    """

    row_starts: Tensor
    columns: Tensor
    order: Tensor | None


class Edges:
    """The places of a sparse matrix. What a product needs beside them is derived at its first use and kept.

    Args:
        rows, columns: int64 [n_edges], each pair once, in any order.
        shape: number of rows and of columns.
    """

    def __init__(self, rows: Tensor, columns: Tensor, shape: tuple[int, int]) -> None:
        self.rows, self.columns, self.shape = rows, columns, shape
        self._csr: dict[bool, CSR] = {}

    def ends(self, transposed: bool) -> tuple[Tensor, Tensor, tuple[int, int]]:
        """Rows, columns and shape of the matrix or of its transpose, edge by edge in the same order."""
        return (self.columns, self.rows, self.shape[::-1]) if transposed else (self.rows, self.columns, self.shape)

    def csr(self, transposed: bool) -> CSR:
        if transposed not in self._csr:
            with torch.inference_mode(False):  # kept beyond an evaluation
                self._csr[transposed] = _sorted(*self.ends(transposed))
        return self._csr[transposed]

    @cached_property
    def symmetric(self) -> bool:
        """Whether every (i, j) is there as (j, i) too."""
        return self.shape == self.shape[::-1] and all(map(torch.equal, self.csr(False)[:2], self.csr(True)[:2]))

    @cached_property
    def undirected(self) -> tuple[Tensor, int]:
        """The undirected edge of each edge, int64 [n_edges], and their number: (i, j) and (j, i) are one.

        They are numbered by their smaller end, then the larger. Unless the places are symmetric, every edge is one of
        its own, numbered by row, then column.
        """
        with torch.inference_mode(False):
            ends = torch.stack([self.rows, self.columns])
            if self.symmetric:
                ends = ends.sort(0).values
            numbers, of_edge = torch.unique(ends[0] * self.shape[1] + ends[1], return_inverse=True)
            return of_edge, len(numbers)

    def ordered(self, values: Tensor, transposed: bool) -> Tensor:
        """``values`` [n_edges] in the order of the CSR form."""
        order = self.csr(transposed).order
        return values if order is None else values.index_select(0, order)

    def matrix(self, ordered: Tensor, transposed: bool) -> Tensor:
        """The sparse CSR tensor with ``ordered`` values, without a copy."""
        starts, columns, _ = self.csr(transposed)
        return torch.sparse_csr_tensor(starts, columns, ordered, self.ends(transposed)[2], check_invariants=False)

    def map(self, fn: Callable[[Tensor], Tensor]) -> "Edges":
        """The same places after ``fn`` has moved the tensors."""
        rows, columns = fn(self.rows), fn(self.columns)
        return self if rows is self.rows else Edges(rows, columns, self.shape)


def _sorted(rows: Tensor, columns: Tensor, shape: tuple[int, int]) -> CSR:
    keys = rows * shape[1] + columns
    order = None if (keys[1:] > keys[:-1]).all() else torch.argsort(keys)
    kind = torch.int32 if max(len(rows), *shape) < 2**31 else torch.int64
    return CSR(row_starts(rows, shape[0]).to(kind), (columns if order is None else columns[order]).to(kind), order)


class Matrix:
    """Constant ``values`` [n_edges] at the places of ``edges``; each direction is kept once it was needed."""

    def __init__(self, edges: Edges, values: Tensor) -> None:
        self.edges, self.values = edges, values
        self._ordered: dict[bool, Tensor] = {}

    @cached_property
    def symmetric(self) -> bool:
        """Whether A equals its transpose, so that one CSR form serves both directions."""
        if not self.edges.symmetric:
            return False
        return torch.equal(*(self.edges.ordered(self.values, transposed) for transposed in (False, True)))

    def csr(self, transposed: bool) -> Tensor:
        """The matrix or its transpose as a sparse CSR tensor."""
        transposed = transposed and not self.symmetric
        if transposed not in self._ordered:
            with torch.inference_mode(False):
                self._ordered[transposed] = self.edges.ordered(self.values, transposed)
        return self.edges.matrix(self._ordered[transposed], transposed)

    def map(self, fn: Callable[[Tensor], Tensor]) -> "Matrix":
        """The same matrix after ``fn`` has moved the tensors."""
        edges, values = self.edges.map(fn), fn(self.values)
        return self if edges is self.edges and values is self.values else Matrix(edges, values)


class Product(torch.autograd.Function):
    """A x, or A^T x, for a constant A: the gradient is the product with the transpose, so any order works."""

    @staticmethod
    def forward(ctx: Any, matrix: Matrix, transposed: bool, x: Tensor) -> Tensor:
        ctx.matrix, ctx.transposed = matrix, transposed
        return matrix.csr(transposed) @ x

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, None, Tensor]:
        return None, None, Product.apply(ctx.matrix, not ctx.transposed, grads[0])


class Propagation(torch.autograd.Function):
    """Mean over l = 0..L of A^l x, or of its transpose, for a constant A; differentiable to any order.

    Horner's scheme, y <- x + A y, L times: no sum of the layers is kept beside them, and the product adds x itself.
    """

    @staticmethod
    def forward(ctx: Any, matrix: Matrix, transposed: bool, x: Tensor, n_layers: int) -> Tensor:
        ctx.matrix, ctx.transposed, ctx.n_layers = matrix, transposed, n_layers
        if not n_layers:
            return x.clone()
        a, y = matrix.csr(transposed), x
        for _ in range(n_layers):
            y = torch.addmm(x, a, y)
        return y.div_(n_layers + 1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, None, Tensor, None]:
        return None, None, Propagation.apply(ctx.matrix, not ctx.transposed, grads[0], ctx.n_layers), None


class WeightedProduct(torch.autograd.Function):
    """A x, or A^T x, for A with ``weights`` [n_edges] at the places of ``edges``, with gradients for both."""

    @staticmethod
    def forward(ctx: Any, edges: Edges, transposed: bool, weights: Tensor, x: Tensor) -> Tensor:
        ctx.edges, ctx.transposed = edges, transposed
        ctx.save_for_backward(weights, x)
        return edges.matrix(edges.ordered(weights, transposed), transposed) @ x

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, None, Tensor | None, Tensor | None]:
        edges, transposed, (weights, x), of_weights, of_x = ctx.edges, ctx.transposed, ctx.saved_tensors, None, None
        if ctx.needs_input_grad[2]:
            of_weights = EdgeProducts.apply(edges, transposed, grads[0], x)
        if ctx.needs_input_grad[3]:
            of_x = WeightedProduct.apply(edges, not transposed, weights, grads[0])
        return None, None, of_weights, of_x


class EdgeProducts(torch.autograd.Function):
    """The sampled dense-dense product: y_i . x_j of every edge (i, j) of A, or of A^T, [m, d] and [n, d] -> [n_edges].

    Works on blocks of edges, so that the [n_edges, d] rows are never all there at once.
    """

    @staticmethod
    def forward(ctx: Any, edges: Edges, transposed: bool, y: Tensor, x: Tensor) -> Tensor:
        ctx.edges, ctx.transposed = edges, transposed
        ctx.save_for_backward(y, x)
        block = BLOCK["cpu" if x.device.type == "cpu" else "gpu"]
        size = max(block // max(x.shape[1], 1), 1)
        rows, columns, _ = edges.ends(transposed)
        blocks = zip(rows.split(size), columns.split(size), strict=True)
        return torch.cat([(y.index_select(0, i) * x.index_select(0, j)).sum(1) for i, j in blocks])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, None, Tensor | None, Tensor | None]:
        edges, transposed, (y, x), of_y, of_x = ctx.edges, ctx.transposed, ctx.saved_tensors, None, None
        if ctx.needs_input_grad[2]:
            of_y = WeightedProduct.apply(edges, transposed, grads[0], x)
        if ctx.needs_input_grad[3]:
            of_x = WeightedProduct.apply(edges, not transposed, grads[0], y)
        return None, None, of_y, of_x
