"""The interface of all methods, and their training."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytorch_lightning as pl
import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from recmm.data.batches import Pairs
from recmm.data.catalog import Catalog
from recmm.errors import ConfigError, NonFiniteLossError
from recmm.missing.view import ModalityView
from recmm.models.evaluation import Embeddings, RankedBatch
from recmm.models.settings import MethodSettings
from recmm.models.stages import Items, Opponent, Running, Schedule, Stage
from recmm.models.state import Stored
from recmm.models.term_sums import TermSums
from recmm.nn.self_fitting import SelfFitting
from recmm.seeding import seed_torch

__all__ = ["Embeddings", "RankedBatch", "Recommender"]

log = logging.getLogger(__name__)


class Recommender(Stored):
    """A method: it says how users and items are represented and what its losses are; the rest is here.

    A subclass implements ``represent`` (or ``score``) and ``losses``, and nests its hyper-parameters as ``Settings``.

    Args:
        catalog: sizes, modality dimensions, training graph.
        values: hyper-parameters that differ from the defaults of ``Settings``.

    Raises:
        ConfigError: an unknown hyper-parameter, a value outside its bounds, or a method that needs modalities on a
            catalogue without any.
    """

    class Settings(MethodSettings):
        """The hyper-parameters of this method."""

    settings: MethodSettings

    uses_modalities: ClassVar[bool] = True
    """False for methods that never look at a view: they give the same numbers under every mask."""
    needs_modalities: ClassVar[bool] = True
    """False for methods that use modalities where there are some, and rank a catalogue without any as well."""
    trained: ClassVar[bool] = True
    """False for baselines that have nothing to learn."""
    n_negatives: int = 1
    """Negatives drawn for each training pair; with 0, ``batch.negatives`` is empty, with k > 1 it is [B, k]."""
    negatives: Literal["fresh", "static"] = "fresh"
    """"fresh": drawn anew in every epoch; "static": once for the whole run, see ``static_negatives``."""
    in_batch_losses: bool = False
    """True if a loss term that depends on the batch is no mean over its triples: a run by several processes, each of
    which sees a part of every batch, then warns that it differs from one by a single process."""

    def __init__(self, catalog: Catalog, **values: Any) -> None:
        super().__init__(catalog)
        self.settings = self.Settings(**values)
        if self.uses_modalities and self.needs_modalities and not catalog.modalities:
            name = type(self).__name__
            raise ConfigError(f"{name} needs at least one modality; name some in dataset.modalities.")
        self._prepared: dict[tuple[str, torch.device], Any] = {}
        self._terms = TermSums()
        self._opponent_terms: dict[str, TermSums] = {}
        self._reported: dict[str, float] = {}
        self._schedule: Schedule | None = None
        self._scheduled_for: pl.Trainer | None = None
        self._running: Running | None = None
        self._opponents: dict[str, torch.optim.Optimizer] = {}
        self._val_batches: int | float = 1.0  # share or number of validation batches, of a trainer

    # ------------------------------------------------------------------ what a method says of itself

    @classmethod
    def sources(cls, values: Mapping[str, Any]) -> dict[str, Path]:
        """Name of a setting -> file whose content is part of what a run is; for most methods there are none.

        Args:
            values: the method's settings.

        Raises:
            ConfigError: a setting lacks a file that it needs.
        """
        return {}

    def prepare(self, view: ModalityView) -> Any:
        """State derived from this view (graphs, plans, normalised features); computed once per view."""
        return None

    def losses(self, batch: Pairs, view: ModalityView) -> dict[str, Tensor]:
        """Named, weighted scalar terms; their sum is trained."""
        raise TypeError(f"{type(self).__name__} has no losses().")

    def stages(self) -> list[Stage]:
        """The phases of training; most methods have one."""
        return [Stage()]

    def start_epoch(self, epoch: int, view: ModalityView) -> None:
        """Called at each epoch's start, after torch's generators were seeded for (seed, epoch)."""

    def main_parameter_groups(self) -> list[dict[str, Any]]:
        """Groups of ``main_parameters`` in torch's form, where some have a learning rate or decay of their own."""
        return [{"params": self.main_parameters()}]

    # ------------------------------------------------------------------ what a method may call

    def prepared(self, view: ModalityView) -> Any:
        """What ``prepare`` made of this view, from a cache under the view's digest and device.

        A method that never looks at a view prepares once for all of them.
        """
        key = (view.digest if self.uses_modalities else "", view.mask.device)
        if key not in self._prepared:
            self._prepared[key] = self.prepare(view)
        return self._prepared[key]

    def report(self, values: Mapping[str, float]) -> None:
        """Note what this epoch showed of the method's inner state; it goes beside the losses as ``method/<name>``."""
        self._reported |= {f"method/{name}": value for name, value in values.items()}

    def of_nodes(self, nodes: Tensor) -> Embeddings:
        """Rows of all nodes of the user-item graph, [n_users + n_items, d], apart."""
        users, items = nodes.split([self.catalog.n_users, self.catalog.n_items])
        return Embeddings(users, items)

    @property
    def n_processes(self) -> int:
        """Of the run; each sees about one n-th of every batch."""
        return 1 if self._trainer is None else self.trainer.world_size

    @property
    def batch_size(self) -> int:
        """Training pairs in a batch, over all processes."""
        return self.settings.training.pairs_in_batch(len(self.catalog.train_users))

    @property
    def full_batch_size(self) -> float:
        """Triples in a full batch of one process, whatever an epoch's last batch holds: the divisor of norms."""
        return self.batch_size / self.n_processes

    # ------------------------------------------------------------------ stages

    @property
    def stage(self) -> Stage:
        """The running stage; the first one before training."""
        return self.stages()[0] if self._running is None else self._running.stage

    @property
    def stage_epoch(self) -> int:
        """The running epoch, counted from 0 at the beginning of its stage."""
        return self.current_epoch - (0 if self._running is None else self._running.first_epoch)

    def stage_at(self, epoch: int) -> Stage:
        """The stage of an epoch of the fit; the first one where there is none."""
        return self.stages()[0] if self._schedule is None else self._schedule.at(epoch).stage

    def batches_at(self, epoch: int) -> Items | None:
        """What the stage of an epoch is trained on: batches of items, or None for training pairs."""
        return None if self._schedule is None else self._schedule.at(epoch).stage.batches

    def setup(self, stage: str) -> None:
        if stage != "fit":
            return
        trainer, stages = self.trainer, self.stages()
        if self._scheduled_for is not trainer:
            self._schedule = Schedule(stages, -1 if trainer.max_epochs is None else trainer.max_epochs)
            self._scheduled_for, self._val_batches = trainer, trainer.limit_val_batches
            trainer.fit_loop.max_epochs = self._schedule.total_epochs
        if any(one.batches != stages[0].batches for one in stages):
            trainer.reload_dataloaders_every_n_epochs = 1  # type: ignore[attr-defined]
        if self.n_processes > 1:
            self._set_up_processes()

    def _set_up_processes(self) -> None:
        # All processes fit the others alike; the loss has no gradient for them that DDP could take.
        trained = {id(p) for p in self.main_parameters()}
        ignored = [name for name, p in self.named_parameters() if id(p) not in trained]
        DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(self, ignored)
        if self.in_batch_losses and self.trainer.is_global_zero:
            log.warning(
                "%s has loss terms that depend on a batch as a whole, of which each of the %d processes sees only its "
                "part: the numbers are not those of a single process with the same model.training.batch_size.",
                type(self).__name__,
                self.n_processes,
            )

    def main_parameters(self) -> list[nn.Parameter]:
        """All parameters but those of opponents and of blocks that fit themselves."""
        apart = [list(one.parameters()) for stage in self.stages() for one in stage.opponents.values()]
        apart += [list(m.parameters()) for m in self.modules() if isinstance(m, SelfFitting) and m.fitted_apart]
        left_out = {id(p) for parameters in apart for p in parameters}
        return [p for p in self.parameters() if id(p) not in left_out]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        if self._schedule is not None and self._stored_epoch is not None:
            self._running = self._schedule.at(self._stored_epoch)  # the optimiser's state that follows is this stage's
        stage, training = self.stage, self.settings.training
        lr = training.lr if stage.lr is None else stage.lr
        kind = torch.optim.AdamW if training.optimizer == "adamw" else torch.optim.Adam
        chosen = self.main_parameter_groups() if stage.parameters is None else [{"params": list(stage.parameters())}]
        groups = [{"initial_lr": group.get("lr", lr)} | group for group in chosen]
        return kind(groups, lr=lr, weight_decay=training.weight_decay, fused=True)

    def opponent_optimizers(self) -> dict[str, torch.optim.Optimizer]:
        for name, opponent in self.stage.opponents.items():
            if name not in self._opponents:
                self._opponents[name] = opponent.optimizer(list(opponent.parameters()))
        return self._opponents

    def on_fit_start(self) -> None:
        self._restore_side_optimizers()

    def _enter_stage(self) -> None:
        """The stage of this epoch; where it begins, with its own start, optimiser and opponents."""
        assert self._schedule is not None
        self._running = self._schedule.at(self.current_epoch)
        number, first_epoch, stage = self._running
        if self.current_epoch == first_epoch and (number or stage.start is not None):
            seed_torch(self.settings.training.seed, self.current_epoch, "stage")
            if stage.start is not None:
                stage.start()
            self._opponents = {}
            of_before = ("train/", "method/")  # another stage may have other terms
            self.results = {name: value for name, value in self.results.items() if not name.startswith(of_before)}
            self.trainer.strategy.setup_optimizers(self.trainer)
        if len(self.stages()) > 1:
            self.trainer.limit_val_batches = self._val_batches if stage.ranks else 0

    # ------------------------------------------------------------------ training

    def on_train_epoch_start(self) -> None:
        self._enter_stage()
        self._terms, self._embeddings, self._reported = TermSums(), None, {}
        self._opponent_terms = {name: TermSums() for name in self.stage.opponents}
        self._decay_learning_rates()
        seed_torch(self.settings.training.seed, self.current_epoch, "method")
        self.start_epoch(self.current_epoch, self.view("train"))

    def _decay_learning_rates(self) -> None:
        """From the epoch alone, counted from the stage's beginning, so that a resumed run needs no state."""
        decay = self.settings.training.lr_decay
        if decay == 1:
            return
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = group["initial_lr"] * decay ** (self.stage_epoch / 50)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        view, weight = self.view("train"), 1.0
        if self.n_processes > 1:  # the gradient is the mean over processes, whose shares may differ in size
            weight = self.trainer.train_dataloader.weight(batch_idx)  # type: ignore[union-attr]
        for name, opponent in self.stage.opponents.items():
            self._step_opponent(name, opponent, batch, view, weight)
        terms = (self.stage.losses or self.losses)(batch, view)
        values = torch.stack(tuple(terms.values()))
        if self.n_processes > 1:
            values = values * weight
        self._terms.add(tuple(terms), values.detach())
        return values.sum()

    def _step_opponent(self, name: str, opponent: Opponent, batch: Any, view: ModalityView, weight: float) -> None:
        """One step of a second player; ``trainer.gradient_clip_val`` holds for it too."""
        parameters = list(opponent.parameters())
        terms = opponent.losses(batch, view)
        values = torch.stack(tuple(terms.values())) * weight
        gradients = torch.autograd.grad(values.sum(), parameters, allow_unused=True)
        for p, gradient in zip(parameters, gradients, strict=True):
            p.grad = torch.zeros_like(p) if gradient is None else gradient
            if self.n_processes > 1:
                distributed.all_reduce(p.grad)
                p.grad /= self.n_processes
        if self.trainer.gradient_clip_val:
            nn.utils.clip_grad_norm_(parameters, self.trainer.gradient_clip_val)
        self.opponent_optimizers()[name].step()
        for p in parameters:  # the method's own backward pass starts from nothing
            p.grad = None
        self._opponent_terms[name].add(tuple(f"{name}/{term}" for term in terms), values.detach())

    def mean_terms(self) -> dict[str, float]:
        """The mean of every loss term over the epoch so far.

        Raises:
            NonFiniteLossError: if a term was NaN or infinite (the first one is named, as it spoils the others after
                it), or if a parameter is.
        """
        means, lost = self._terms.read()
        what = "loss term"
        if not lost:  # the last step of an epoch may have spoiled what the next epoch's terms would show
            finite = [(name, p.detach().isfinite().all()) for name, p in self.named_parameters()]
            what, lost = "parameter", [name for name, is_finite in finite if not is_finite]
        if lost:
            raise NonFiniteLossError(
                f"The {what} {' and '.join(map(repr, lost))} became NaN or infinite in epoch {self.current_epoch}. "
                "Lower model.training.lr or the term's weight, or set trainer.gradient_clip_val."
            )
        return means

    def on_train_epoch_end(self) -> None:
        terms = self.mean_terms()
        losses = {"train/loss": sum(terms.values()), **{f"train/{name}": value for name, value in terms.items()}}
        for sums in self._opponent_terms.values():
            losses |= {f"train/{name}": value for name, value in sums.read()[0].items()}
        self._publish(losses | self._reported)

    def on_validation_epoch_start(self) -> None:
        self.mean_terms()  # a run that has lost its numbers stops here, before it is judged
        super().on_validation_epoch_start()
