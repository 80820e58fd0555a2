"""The Gibbs kernel exp(-C / epsilon) of a cost, dense or on given entries, in a form that neither under- nor overflows.

Everywhere T_ij = exp((f_i + g_j - C_ij) / epsilon): the potentials f, g stand inside the exponential ("absorbed",
Schmitzer 2019, section 3), so what is exponentiated is close to a coupling and never the bare kernel.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from recmm.graph import row_starts
from recmm.nn.transport.settings import Domain

Pair = tuple[Tensor, Tensor]


class Coupling(ABC):
    """The matrix T [N, M] of given potentials."""

    @abstractmethod
    def times(self, v: Tensor) -> Tensor:
        """T v, [M] -> [N]."""

    @abstractmethod
    def transposed_times(self, u: Tensor) -> Tensor:
        """T^T u, [N] -> [M]."""

    @abstractmethod
    def column_squares(self, weights: Tensor) -> Tensor:
        """[M]: sum over i of weights_i T_ij^2."""


class Kernel(ABC):
    """A cost C [N, M] with the marginals that its couplings must have.

    Attributes:
        row_mass, mass: float64 [N] and [M], of the rows and of the columns; equal sums.
    """

    row_mass: Tensor
    mass: Tensor

    @abstractmethod
    def fit_rows(self, g: Tensor, epsilon: float) -> Tensor:
        """The f at which every row of T sums to its mass (the soft c-transform), in the log domain."""

    @abstractmethod
    def fit_columns(self, f: Tensor, epsilon: float) -> Tensor:
        """The g at which every column of T sums to its mass, in the log domain."""

    @abstractmethod
    def coupling(self, f: Tensor, g: Tensor, epsilon: float) -> Coupling:
        """T of these potentials."""

    @abstractmethod
    def sweep(self, f: Tensor, g: Tensor, epsilon: float, n: int) -> Pair:
        """``n`` Sinkhorn iterations, columns then rows; rows then have their mass."""

    @abstractmethod
    def total_cost(self, coupling: Coupling) -> Tensor:
        """<T, C>, a scalar."""

    def mean_entropy(self, coupling: Coupling, f: Tensor, g: Tensor, epsilon: float) -> float:
        """Mean, over the mass, of the rows' entropy -sum_j p_ij log p_ij, p_ij = T_ij / mass_i."""
        one = torch.ones_like(f)
        weighted = f @ coupling.times(torch.ones_like(g)) + g @ coupling.transposed_times(one)
        within = (self.total_cost(coupling) - weighted) / epsilon + self.row_mass @ self.row_mass.log()
        return float(within / self.row_mass.sum())


class DenseCoupling(Coupling):
    def __init__(self, matrix: Tensor) -> None:
        self.matrix = matrix

    def times(self, v: Tensor) -> Tensor:
        return self.matrix @ v

    def transposed_times(self, u: Tensor) -> Tensor:
        return self.matrix.T @ u

    def column_squares(self, weights: Tensor) -> Tensor:
        return weights @ self.matrix.square()


class DenseKernel(Kernel):
    """All N x M entries; Sinkhorn is POT's.

    Args:
        cost: float64 [N, M].
        domain: "kernel": ``ot.bregman.sinkhorn_stabilized`` (Schmitzer 2019); "log": ``ot.bregman.sinkhorn_log``.
        row_mass, mass: of the rows and of the columns.
    """

    def __init__(self, cost: Tensor, row_mass: Tensor, mass: Tensor, domain: Domain = "kernel") -> None:
        self.cost, self.row_mass, self.mass, self.domain = cost, row_mass, mass, domain

    def fit_rows(self, g: Tensor, epsilon: float) -> Tensor:
        return epsilon * (self.row_mass.log() - torch.logsumexp((g - self.cost).div_(epsilon), 1))

    def fit_columns(self, f: Tensor, epsilon: float) -> Tensor:
        return epsilon * (self.mass.log() - torch.logsumexp((f[:, None] - self.cost).div_(epsilon), 0))

    def coupling(self, f: Tensor, g: Tensor, epsilon: float) -> DenseCoupling:
        return DenseCoupling((f[:, None] + g).sub_(self.cost).div_(epsilon).exp_())

    def sweep(self, f: Tensor, g: Tensor, epsilon: float, n: int) -> Pair:
        import ot

        if self.domain == "log":
            start = (f / epsilon, g / epsilon)
            _, log = ot.bregman.sinkhorn_log(
                self.row_mass, self.mass, self.cost, epsilon, n, 0, warn=False, log=True, warmstart=start
            )
            return log["log_u"] * epsilon, log["log_v"] * epsilon
        # tau: potentials are absorbed long before a double overflows; print_period: POT measures its error once
        _, log = ot.bregman.sinkhorn_stabilized(
            self.row_mass, self.mass, self.cost, epsilon, n, 1e50, 0, (f, g), print_period=n + 1, warn=False, log=True
        )
        return log["alpha"], log["beta"]

    def total_cost(self, coupling: Coupling) -> Tensor:
        assert isinstance(coupling, DenseCoupling)
        return coupling.matrix.flatten() @ self.cost.flatten()


class SparseCoupling(Coupling):
    def __init__(self, kernel: "SparseKernel", values: Tensor) -> None:
        n, m = len(kernel.row_mass), len(kernel.mass)
        self.kernel, self.values = kernel, values
        mirrored = values.index_select(0, kernel.by_column)
        self.matrix = torch.sparse_csr_tensor(*kernel.csr, values, (n, m), check_invariants=False)
        self.mirrored = torch.sparse_csr_tensor(*kernel.mirrored_csr, mirrored, (m, n), check_invariants=False)

    def times(self, v: Tensor) -> Tensor:
        return self.matrix @ v

    def transposed_times(self, u: Tensor) -> Tensor:
        return self.mirrored @ u

    def column_squares(self, weights: Tensor) -> Tensor:
        squares = weights.index_select(0, self.kernel.rows) * self.values.square()
        return torch.zeros_like(self.kernel.mass).scatter_add(0, self.kernel.columns, squares)


class SparseKernel(Kernel):
    """The entries (i, j) of a support that holds the diagonal; all else has infinite cost.

    The diagonal makes sure that a doubly stochastic matrix with this support exists, hence that Sinkhorn converges.

    Args:
        rows, columns: int64 [n_entries], sorted by row, then column, each pair once.
        cost: float64 [n_entries].
        row_mass, mass: of the rows and of the columns.
    """

    def __init__(self, rows: Tensor, columns: Tensor, cost: Tensor, row_mass: Tensor, mass: Tensor) -> None:
        self.rows, self.columns, self.cost, self.row_mass, self.mass = rows, columns, cost, row_mass, mass
        self.by_column = torch.argsort(columns * len(row_mass) + rows)
        self.row_starts, self.column_starts = row_starts(rows, len(row_mass)), row_starts(columns, len(mass))
        # 32 bits are what MKL wants: it would convert int64 at every product
        kind = torch.int32 if len(rows) < 2**31 else torch.int64
        self.csr = (self.row_starts.to(kind), columns.to(kind))
        self.mirrored_csr = (self.column_starts.to(kind), rows.index_select(0, self.by_column).to(kind))

    def fit_rows(self, g: Tensor, epsilon: float) -> Tensor:
        scaled = (g.index_select(0, self.columns) - self.cost).div_(epsilon)
        return epsilon * (self.row_mass.log() - self._logsumexp(scaled, self.rows, len(self.row_mass)))

    def fit_columns(self, f: Tensor, epsilon: float) -> Tensor:
        scaled = (f.index_select(0, self.rows) - self.cost).div_(epsilon)
        return epsilon * (self.mass.log() - self._logsumexp(scaled, self.columns, len(self.mass)))

    def _logsumexp(self, x: Tensor, nodes: Tensor, n: int) -> Tensor:
        highest = x.new_full((n,), -torch.inf).scatter_reduce(0, nodes, x, "amax")
        sums = torch.zeros_like(highest).scatter_add(0, nodes, (x - highest.index_select(0, nodes)).exp_())
        return highest + sums.log()

    def coupling(self, f: Tensor, g: Tensor, epsilon: float) -> SparseCoupling:
        reduced = f.index_select(0, self.rows) + g.index_select(0, self.columns)
        return SparseCoupling(self, reduced.sub_(self.cost).div_(epsilon).exp_())

    def sweep(self, f: Tensor, g: Tensor, epsilon: float, n: int) -> Pair:
        coupling, u = self.coupling(f, g, epsilon), torch.ones_like(f)
        for _ in range(n):
            v = self.mass / coupling.transposed_times(u)
            u = self.row_mass / coupling.times(v)
        return f + epsilon * u.log(), g + epsilon * v.log()

    def total_cost(self, coupling: Coupling) -> Tensor:
        assert isinstance(coupling, SparseCoupling)
        return coupling.values @ self.cost
