"""A sparse graph as a linear map between its nodes."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from recmm.graph.edge_softmax import edge_softmax
from recmm.graph.sparse import EdgeProducts, Edges, Matrix, Product, Propagation, WeightedProduct


class Graph(nn.Module):
    """x [n, d] -> A x [m, d] for a sparse matrix A [m, n] with one entry per edge.

    The product and its backward run in CSR form, in both directions; a symmetric A keeps one form for both. Everything
    follows the module from device to device and stays out of checkpoints.

    Args:
        rows, columns: int64 [n_edges], where the entries are, each pair once, in any order. Sorted by row, then column,
            they take about half the memory.
        shape: (m, n).
        values: float [n_edges], 1 each if not given. They may carry a gradient.
    """

    def __init__(self, rows: Tensor, columns: Tensor, shape: tuple[int, int], values: Tensor | None = None) -> None:
        super().__init__()
        values = torch.ones(len(rows), device=rows.device) if values is None else values
        self._matrix, self._transposed = Matrix(Edges(rows, columns, shape), values), False

    @classmethod
    def _of(cls, matrix: Matrix, transposed: bool) -> "Graph":
        graph = cls.__new__(cls)
        nn.Module.__init__(graph)
        graph._matrix, graph._transposed = matrix, transposed
        return graph

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Graph":
        """``to``, ``cuda``, ``double`` and their like."""
        self._matrix = self._matrix.map(fn)
        return super()._apply(fn, recurse)

    @property
    def rows(self) -> Tensor:
        return self._matrix.edges.ends(self._transposed)[0]

    @property
    def columns(self) -> Tensor:
        return self._matrix.edges.ends(self._transposed)[1]

    @property
    def shape(self) -> tuple[int, int]:
        return self._matrix.edges.ends(self._transposed)[2]

    @property
    def values(self) -> Tensor:
        return self._matrix.values

    def csr(self) -> Tensor:
        """A as a sparse CSR tensor."""
        return self._matrix.csr(self._transposed)

    def forward(self, x: Tensor, weights: Tensor | None = None) -> Tensor:
        """A x.

        Args:
            x: [n, d].
            weights: float [n_edges] in the order of ``rows`` and ``columns``, in place of the values of A. They may
                carry a gradient.

        Returns:
            [m, d]. It can be differentiated to any order.
        """
        matrix = self._matrix if weights is None else Matrix(self._matrix.edges, weights)
        if matrix.values.requires_grad:
            product: Tensor = WeightedProduct.apply(matrix.edges, self._transposed, matrix.values, x)
        else:
            product = Product.apply(matrix, self._transposed, x)
        return product

    def propagate(self, x: Tensor, n_layers: int) -> Tensor:
        """Mean over l = 0..n_layers of A^l x (LightGCN Eq. 7-8), for a square A.

        Args:
            x: [n, d]; several representations may travel side by side in d, which is cheaper than one product each.

        Returns:
            [n, d]. It can be differentiated to any order.
        """
        if not self.values.requires_grad:
            mean: Tensor = Propagation.apply(self._matrix, self._transposed, x, n_layers)
            return mean
        y = x
        for _ in range(n_layers):
            y = x + self(y)
        return y / (n_layers + 1)

    # ------------------------------------------------------------------ edge weights

    def softmax(self, scores: Tensor) -> Tensor:
        """Weights exp(s_e) / sum of exp(s_e') over the edges e' of the same row; see ``edge_softmax``.

        Args:
            scores: [n_edges] or [n_edges, heads].
        """
        return edge_softmax(scores, self.rows, self.shape[0])

    def edge_products(self, y: Tensor, x: Tensor) -> Tensor:
        """y_i . x_j of every edge (i, j), [m, d] and [n, d] -> [n_edges]; it can be differentiated to any order."""
        products: Tensor = EdgeProducts.apply(self._matrix.edges, self._transposed, y, x)
        return products

    def with_values(self, values: Tensor) -> "Graph":
        """The same edges with other values, float [n_edges]."""
        return Graph._of(Matrix(self._matrix.edges, values), self._transposed)

    def unweighted(self) -> "Graph":
        """The same edges with value 1."""
        return self.with_values(torch.ones_like(self.values))

    def detach(self) -> "Graph":
        """The same matrix as a constant, whose products are faster."""
        return self.with_values(self.values.detach())

    def transposed(self) -> "Graph":
        """A^T, edge by edge in the same order. It shares memory with this graph."""
        return Graph._of(self._matrix, not self._transposed)

    # ------------------------------------------------------------------ normalisations

    def row_sums(self) -> Tensor:
        """float [m]: the sum of every row's values."""
        return self.values.new_zeros(self.shape[0]).index_add(0, self.rows, self.values)

    def mean(self) -> "Graph":
        """D^-1 A, D the row sums: a node gets the weighted mean of its neighbours. Sums of 0 count as 1."""
        sums = self.row_sums()
        return self.with_values(self.values / torch.where(sums != 0, sums, 1)[self.rows])

    def symmetric(self) -> "Graph":
        """D^-1/2 A D^-1/2, D the row sums, at both ends also where A is not symmetric. Sums up to 0 count as 1.

        Raises:
            ValueError: if A is not square.
        """
        if self.shape[0] != self.shape[1]:
            raise ValueError(
                f"symmetric() needs as many columns as rows; this graph is {self.shape[0]} x {self.shape[1]}."
            )
        sums = self.row_sums()
        scale = torch.where(sums > 0, sums, 1).rsqrt()
        return self.with_values(self.values * scale[self.rows] * scale[self.columns])

    # ------------------------------------------------------------------ random subgraphs

    def drop_edges(self, rate: float, *, rescale: bool = False) -> "Graph":
        """A subgraph without round(rate * n) random edges, chosen without replacement.

        It is drawn on the graph's device from torch's global generator. The edges left out keep their places with value
        0, so that nothing is sorted anew. Where (j, i) is there for every (i, j), n counts both as one edge, and they
        are left out together.

        Args:
            rate: in [0, 1).
            rescale: whether the other values are divided by 1 - rate, so that a sum's expectation stays (dropout).
        """
        of_edge, n_edges = self._matrix.edges.undirected
        kept = self._kept(n_edges, rate)[of_edge]
        return self.with_values(self.values * (kept / (1 - rate) if rescale else kept))

    def drop_nodes(self, rate: float | Sequence[float], groups: Sequence[int]) -> "Graph":
        """A subgraph without the edges of random nodes, drawn like ``drop_edges``; A is square.

        Args:
            rate: share of the nodes of every group, or one share for each, in [0, 1); round(rate * n) of n are left
                out.
            groups: sizes of consecutive groups of nodes, such as users and items.
        """
        rates = rate if isinstance(rate, Sequence) else [rate] * len(groups)
        kept = torch.cat([self._kept(n, share) for n, share in zip(groups, rates, strict=True)])
        return self.with_values(self.values * (kept[self.rows] * kept[self.columns]))

    def sample_edges(self, rate: float) -> "Graph":
        """A subgraph of all but round(rate * n) edges; its products cost as much as the edges that it has.

        The edges are drawn one after another without replacement, each with a probability proportional to its value,
        on the graph's device from torch's global generator (as the smallest of n exponential variables divided by the
        values: Efraimidis and Spirakis, 2006). Where (j, i) is there for every (i, j), n counts both as one edge with
        the larger of their values.

        Args:
            rate: in [0, 1).
        """
        of_edge, n_edges = self._matrix.edges.undirected
        chances = self.values.new_zeros(n_edges).scatter_reduce(0, of_edge, self.values.detach(), "amax")
        waits = torch.empty_like(chances).exponential_() / chances
        drawn = waits.topk(n_edges - round(rate * n_edges), largest=False, sorted=False).indices
        kept = torch.zeros_like(chances, dtype=torch.bool).index_fill_(0, drawn, True)[of_edge]
        return Graph(self.rows[kept], self.columns[kept], self.shape, self.values[kept])

    def _kept(self, n: int, rate: float) -> Tensor:
        """float [n]: 0 at round(rate * n) random positions, 1 elsewhere."""
        dropped = torch.randperm(n, device=self.values.device)[: round(rate * n)]
        return self.values.new_ones(n).index_fill_(0, dropped, 0)

    def extra_repr(self) -> str:
        return f"{self.shape[0]} x {self.shape[1]}, {len(self.rows)} edges"


def weighted_sum(graphs: Sequence[Graph], weights: Sequence[Tensor | float]) -> Graph:
    """The sum of w A over graphs of one shape. Places that several of them have become one. Gradients pass to both."""
    places, position = _union(graphs)
    values = torch.cat([weight * graph.values for graph, weight in zip(graphs, weights, strict=True)])
    return _at(places, graphs[0], values.new_zeros(len(places)).index_add(0, position, values))


def maximum(graphs: Sequence[Graph]) -> Graph:
    """The largest value of every place that at least one of ``graphs``, all of one shape, has. No gradient passes."""
    places, position = _union(graphs)
    values = torch.cat([graph.values.detach() for graph in graphs])
    lowest = values.new_full((len(places),), -torch.inf)
    return _at(places, graphs[0], lowest.scatter_reduce(0, position, values, "amax"))


def _union(graphs: Sequence[Graph]) -> tuple[Tensor, Tensor]:
    """The places of all graphs, numbered row by row and sorted, and which of them each edge of each graph is at."""
    n = graphs[0].shape[1]
    return torch.unique(torch.cat([graph.rows * n + graph.columns for graph in graphs]), return_inverse=True)


def _at(places: Tensor, like: Graph, values: Tensor) -> Graph:
    n = like.shape[1]
    return Graph(places // n, places % n, like.shape, values)
