"""Loss terms over an epoch and over processes."""

from typing import Literal

import torch
from torch import Tensor, distributed


class TermSums:
    """Sums of the loss terms over an epoch, kept on the device: reading a number there would stall every step."""

    def __init__(self) -> None:
        self.names: tuple[str, ...] = ()
        self.n_steps = 0

    def add(self, names: tuple[str, ...], values: Tensor) -> None:
        """One step's terms [n_terms]; the names are the same in every step."""
        if not self.n_steps:
            self.names, self.sums = names, torch.zeros_like(values, dtype=torch.float64)
            self.finite_steps = torch.zeros_like(values, dtype=torch.int64)  # before the first one that is not
        self.sums += values
        self.finite_steps += values.isfinite() & (self.finite_steps == self.n_steps)
        self.n_steps += 1

    def read(self) -> tuple[dict[str, float], list[str]]:
        """Means, and the names of the terms that were the first to be NaN or infinite (none if all are finite).

        Over all processes of a distributed run, all of which have to call it.
        """
        if not self.n_steps:
            return {}, []
        sums, finite_steps = _over_processes(self.sums, "mean"), _over_processes(self.finite_steps, "min").tolist()
        first = min(finite_steps)
        lost = [name for name, n in zip(self.names, finite_steps, strict=True) if n == first < self.n_steps]
        return dict(zip(self.names, (sums / self.n_steps).tolist(), strict=True)), lost


def _over_processes(values: Tensor, how: Literal["mean", "min"]) -> Tensor:
    """The mean or the least over all processes of a distributed run, element by element."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return values
    values = values.clone()  # reduced in place
    distributed.all_reduce(values, distributed.ReduceOp.MIN if how == "min" else distributed.ReduceOp.SUM)
    return values / distributed.get_world_size() if how == "mean" else values
