"""Phases of a method's training: what is trained in which epochs, on which batches, against which opponents."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from recmm.missing.view import ModalityView

Losses = Callable[[Any, ModalityView], dict[str, Tensor]]
"""A batch and the training view -> named, weighted scalar terms; their sum is trained."""
Parameters = Callable[[], Iterable[nn.Parameter]]


@dataclass(frozen=True)
class Items:
    """Batches of items: a stage's losses then get int64 [size], all items of the catalogue once an epoch, shuffled."""

    batch_size: int


@dataclass(frozen=True)
class Opponent:
    """A second player, such as the critic of a GAN. It takes one step before every step of the method.

    Args:
        parameters: what it trains; the method's optimiser leaves these alone.
        losses: its terms; their gradient is taken with respect to ``parameters`` alone.
        optimizer: makes its optimiser from a list of parameters.
    """

    parameters: Parameters
    losses: Losses
    optimizer: Callable[[list[nn.Parameter]], torch.optim.Optimizer]


@dataclass(frozen=True)
class Stage:
    """One phase of training; each has an optimiser of its own, made when the phase begins.

    Args:
        name: shown in the progress bar and in ``metrics.csv``.
        epochs: how many; None, for the last stage, takes all that are left of ``trainer.max_epochs``.
        losses: what is trained; None: the method's ``losses``.
        parameters: what the optimiser trains; None: the method's ``main_parameter_groups``.
        lr: learning rate; None: ``training.lr``.
        batches: ``Items``, or None for training pairs.
        ranks: False for a stage before which ranking makes no sense: it is not validated, so it has no say in early
            stopping and in the choice of the best epoch, and its epochs do not count in ``trainer.max_epochs``.
        opponents: name -> second players.
        start: called when the stage begins, before its optimiser is made; it may set weights anew.
    """

    name: str = "main"
    epochs: int | None = None
    losses: Losses | None = None
    parameters: Parameters | None = None
    lr: float | None = None
    batches: Items | None = None
    ranks: bool = True
    opponents: Mapping[str, Opponent] = field(default_factory=dict)
    start: Callable[[], None] | None = None


class Running(NamedTuple):
    """A stage with its number, from 0, and the epoch in which it begins."""

    number: int
    first_epoch: int
    stage: Stage


class Schedule:
    """Which stage runs in which epoch; a function of the epoch alone, so that a resumed run needs no state for it.

    ``max_epochs`` counts the stages that rank. A stage that does not rank adds its own epochs, at most ``max_epochs``
    each, so that a short trial is short as a whole.

    Args:
        stages: in their order.
        max_epochs: of the ranking stages together; -1: without end.

    Attributes:
        total_epochs: of all stages; -1: without end.

    Raises:
        ValueError: no stages, a last stage that does not rank, or a stage before the last one without ``epochs``.
    """

    def __init__(self, stages: Sequence[Stage], max_epochs: int) -> None:
        if not stages or not stages[-1].ranks:
            raise ValueError("The last stage of a method has to rank: its epochs are what is validated and selected.")
        limit = float("inf") if max_epochs < 0 else float(max_epochs)
        left = limit
        self._running: list[Running] = []
        epoch = 0.0
        for index, stage in enumerate(stages):
            is_last = index == len(stages) - 1
            if stage.epochs is None and not is_last:
                raise ValueError(f"Stage {stage.name!r} is not the last one: it needs a number of epochs.")
            at_most = left if stage.ranks else limit
            n_epochs = at_most if stage.epochs is None else min(stage.epochs, at_most)
            left -= n_epochs if stage.ranks else 0
            if n_epochs:
                self._running.append(Running(index, int(epoch), stage))
            epoch += n_epochs
        self.total_epochs = -1 if epoch == float("inf") else int(epoch)

    def at(self, epoch: int) -> Running:
        """The stage of an epoch, counted from 0."""
        return [running for running in self._running if running.first_epoch <= epoch][-1]
