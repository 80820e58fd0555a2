"""The floor of a training step: its matrix products and the optimiser's update alone.

The products of one step are recorded, forward and backward, and then run again without anything between them.
"""

import time
from collections.abc import Iterable
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

aten = torch.ops.aten
PRODUCTS = frozenset({aten.mm, aten.addmm, aten.bmm, aten.baddbmm, aten.convolution, aten.convolution_backward})
UPDATES = frozenset({aten._fused_adam_, aten._fused_adamw_})


class Recorded(TorchDispatchMode):
    """Notes every dense or sparse matrix product and fused optimiser step that runs inside.

    Dense operands are kept as their shapes: a step may hold more of them, one after the other, than fits at once.
    Operands of the same shape share one tensor of random numbers.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, tuple[Any, ...], dict[str, Any]]] = []
        self._operands: dict[tuple[Any, ...], Tensor] = {}

    def __torch_dispatch__(
        self, func: Any, types: Iterable[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func.overloadpacket in PRODUCTS:
            self.calls.append((func, *tree_map(self._like, (args, kwargs))))
        elif func.overloadpacket in UPDATES:  # in place: on copies, so that replaying them trains nothing
            self.calls.append((func, *tree_map(_copy, (args, kwargs))))
        return func(*args, **kwargs)

    def _like(self, value: Any) -> Any:
        if not isinstance(value, Tensor) or value.layout != torch.strided:
            return value
        key = (tuple(value.shape), value.stride(), value.dtype)
        if key not in self._operands:
            operand = torch.empty_strided(*key[:2], dtype=value.dtype, device=value.device)
            self._operands[key] = operand.uniform_(-1, 1) if value.is_floating_point() else operand.zero_()
        return self._operands[key]

    def replay(self) -> None:
        for func, args, kwargs in self.calls:
            func(*args, **kwargs)


def _copy(value: Any) -> Any:
    return value.clone() if isinstance(value, Tensor) else value


class RecordedStep(Callback):
    """The products of the second step of a fit's last epoch: forward, backward, opponents and optimiser."""

    STEP = 1

    def __init__(self) -> None:
        self.recorded = Recorded()

    def _is_now(self, trainer: pl.Trainer, batch_idx: int) -> bool:
        return trainer.current_epoch + 1 == trainer.max_epochs and batch_idx == self.STEP

    def on_train_batch_start(self, trainer: pl.Trainer, module: pl.LightningModule, batch: Any, batch_idx: int) -> None:
        if self._is_now(trainer, batch_idx):
            self.recorded.__enter__()

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._is_now(trainer, batch_idx):
            self.recorded.__exit__(None, None, None)

    @torch.no_grad()
    def seconds(self) -> float:
        """Of all recorded products, one after the other."""
        start = time.perf_counter()
        self.recorded.replay()
        return time.perf_counter() - start
