"""Transport plans: doubly stochastic couplings T [N, N] of two clouds, in three representations."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from recmm.graph import Graph
from recmm.nn.transport.atoms import Atoms


@dataclass(frozen=True)
class Potentials:
    """f and g [N] with T_ij = exp((f_i + g_j - C_ij) / epsilon), for centred clouds; a start for the next solve."""

    f: Tensor
    g: Tensor


class Plan(ABC):
    """A coupling with unit marginals; rows belong to the source cloud, columns to the target cloud.

    Held between the atoms of both clouds: T_ij = S_AB / (mass_A mass_B) for items i of atom A and j of atom B.

    Attributes:
        method: "dense", "sparse" or "lowrank".
        epsilon: weight of the entropy in units of the cost; 0 where it plays no role (a constant cloud, one item).
        perplexity: exp of the mean entropy of the rows, over the distinct rows of the target.
        marginal_error: largest deviation of a row or column sum from 1.
        potentials: None where the method has none.
    """

    def __init__(
        self,
        source: Atoms,
        target: Atoms,
        *,
        method: str,
        epsilon: float,
        perplexity: float,
        potentials: Potentials | None,
    ) -> None:
        self.source, self.target = source, target
        self.method, self.epsilon, self.perplexity, self.potentials = method, epsilon, perplexity, potentials
        one = torch.ones(len(source.labels), 1, device=source.labels.device)
        with torch.no_grad():
            sums = torch.cat([self.apply(one), self.apply_transposed(one)])
        self.marginal_error = float((sums - 1).abs().max())

    @property
    def n_items(self) -> int:
        return len(self.source.labels)

    @property
    def n_distinct(self) -> int:
        """Distinct rows of the target: the largest perplexity that there can be."""
        return len(self.target.mass)

    def apply(self, x: Tensor) -> Tensor:
        """T x, [N, d] -> [N, d]: what the source's items are mapped to if x lies in the target's space."""
        moved = self.between(self.target.mean(x))
        return self.source.to_items(moved / self.source.mass[:, None].float())

    def apply_transposed(self, x: Tensor) -> Tensor:
        """T^T x, [N, d] -> [N, d]: the same with source and target exchanged."""
        moved = self.between_transposed(self.source.mean(x))
        return self.target.to_items(moved / self.target.mass[:, None].float())

    @abstractmethod
    def between(self, x: Tensor) -> Tensor:
        """S x, between atoms."""

    @abstractmethod
    def between_transposed(self, x: Tensor) -> Tensor:
        """S^T x, between atoms."""

    @abstractmethod
    def tensors(self) -> dict[str, Tensor]:
        """What the constructor needs beside atoms and common attributes."""

    def state(self) -> dict[str, Any]:
        """Tensors, numbers and strings, loadable by ``torch.load(weights_only=True)``."""
        potentials = {} if self.potentials is None else {"f": self.potentials.f, "g": self.potentials.g}
        return {
            "kind": type(self).__name__,
            "atoms": {"source": self.source.labels, "target": self.target.labels},
            "tensors": self.tensors(),
            "potentials": potentials,
            "method": self.method,
            "epsilon": self.epsilon,
            "perplexity": self.perplexity,
        }

    def to(self, device: torch.device | str) -> "Plan":
        here = self.source.labels.device == torch.device(device)
        return self if here else plan_from_state(self.state(), device)


class DensePlan(Plan):
    """S as a matrix, float32."""

    def __init__(self, source: Atoms, target: Atoms, matrix: Tensor, **common: Any) -> None:
        self.matrix = matrix
        super().__init__(source, target, **common)

    def between(self, x: Tensor) -> Tensor:
        return self.matrix @ x

    def between_transposed(self, x: Tensor) -> Tensor:
        return self.matrix.T @ x

    def tensors(self) -> dict[str, Tensor]:
        return {"matrix": self.matrix.detach()}


class SparsePlan(Plan):
    """S as entries: rows, columns int64 and values float32, [n_entries] each; plus the rank-one excess a b^T.

    The excess is what makes the marginals exact where a solve stopped early (see ``rounding``).
    """

    def __init__(
        self,
        source: Atoms,
        target: Atoms,
        rows: Tensor,
        columns: Tensor,
        values: Tensor,
        a: Tensor,
        b: Tensor,
        **common: Any,
    ) -> None:
        self.rows, self.columns, self.values, self.a, self.b = rows, columns, values, a, b
        self.product = Graph(rows, columns, (len(source.mass), len(target.mass)), values)
        super().__init__(source, target, **common)

    def between(self, x: Tensor) -> Tensor:
        return self.product(x) + self.a[:, None] * (self.b @ x)

    def between_transposed(self, x: Tensor) -> Tensor:
        return self.product.transposed()(x) + self.b[:, None] * (self.a @ x)

    def tensors(self) -> dict[str, Tensor]:
        return {"rows": self.rows, "columns": self.columns, "values": self.values, "a": self.a, "b": self.b}


class FactoredPlan(Plan):
    """S = L R^T with factors float32 of r columns."""

    def __init__(self, source: Atoms, target: Atoms, left: Tensor, right: Tensor, **common: Any) -> None:
        self.left, self.right = left, right
        super().__init__(source, target, **common)

    def between(self, x: Tensor) -> Tensor:
        return self.left @ (self.right.T @ x)

    def between_transposed(self, x: Tensor) -> Tensor:
        return self.right @ (self.left.T @ x)

    def tensors(self) -> dict[str, Tensor]:
        return {"left": self.left, "right": self.right}


def plan_from_state(state: dict[str, Any], device: torch.device | str) -> Plan:
    """The plan whose ``state`` this is, on ``device``; bit-identical on the device that it came from."""
    potentials = {name: x.to(device) for name, x in state["potentials"].items()}
    kinds: dict[str, type[Plan]] = {kind.__name__: kind for kind in (DensePlan, SparsePlan, FactoredPlan)}
    return kinds[state["kind"]](
        **{name: Atoms(labels.to(device)) for name, labels in state["atoms"].items()},
        **{name: x.to(device) for name, x in state["tensors"].items()},
        method=state["method"],
        epsilon=state["epsilon"],
        perplexity=state["perplexity"],
        potentials=Potentials(**potentials) if potentials else None,
    )
