"""What all methods share: training, validation and test steps, and what a checkpoint holds."""

import logging
from collections.abc import Iterable
from typing import Any, ClassVar, NamedTuple, Protocol

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from recmm.data.batches import Pairs, RankingBatch
from recmm.data.catalog import Catalog
from recmm.errors import ConfigError, NonFiniteLossError
from recmm.evaluation.metrics import ListMetrics, RankingMetrics
from recmm.evaluation.ranking import Ranks, rank_positives, top_k
from recmm.missing.view import ModalityView
from recmm.models.settings import MethodSettings
from recmm.models.term_sums import TermSums
from recmm.models.training import Training
from recmm.seeding import seed_torch

log = logging.getLogger(__name__)

TOP_K = 50
"""Length of the lists that are kept at test."""


class Embeddings(NamedTuple):
    """users [n_users, d], items [n_items, d]; the score of a pair is their inner product."""

    users: Tensor
    items: Tensor


class RankedBatch(NamedTuple):
    """One chunk of users, ranked in full: what the run's record keeps of it."""

    users: Tensor
    ranks: Ranks
    top_items: Tensor
    top_scores: Tensor


class Stateful(Protocol):
    """Whatever can be stored in a checkpoint: optimisers, schedulers."""

    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state_dict: dict[str, Any]) -> None: ...


class Recommender(pl.LightningModule):
    """A method: it says how users and items are represented and what its losses are; the rest is here.

    A subclass implements ``represent`` (or ``score``) and ``losses``, and nests its hyper-parameters as ``Settings``.

    Args:
        catalog: sizes, modality dimensions, training graph.
        values: hyper-parameters that differ from the defaults of ``Settings``.

    Raises:
        ConfigError: an unknown hyper-parameter, a value outside its bounds, or a method that uses modalities on a
            catalogue without any.
    """

    class Settings(MethodSettings):
        """The hyper-parameters of this method."""

    settings: MethodSettings

    uses_modalities: ClassVar[bool] = True
    """False for methods that never look at a view: they give the same numbers under every mask."""
    trained: ClassVar[bool] = True
    """False for floors that have nothing to learn."""
    uses_negatives: ClassVar[bool] = True
    """False for methods whose losses never read ``batch.negatives``: none are drawn, and the column is empty."""
    in_batch_losses: bool = False
    """True if a loss term that depends on the batch is no mean over its triples: a run by several processes, each of
    which sees a part of every batch, then warns that it differs from one by a single process."""

    def __init__(self, catalog: Catalog, training: Training | None = None, **values: Any) -> None:
        super().__init__()
        self.settings = self.Settings(**values, **({} if training is None else {"training": training}))
        if self.uses_modalities and not catalog.modalities:
            name = type(self).__name__
            raise ConfigError(f"{name} needs at least one modality; name some in dataset.modalities.")
        self.catalog = catalog
        self.ranking_metrics = RankingMetrics()
        self.list_metrics = ListMetrics(catalog.item_counts())
        self._prepared: dict[tuple[str, torch.device], Any] = {}
        self._views: dict[tuple[str, torch.device], ModalityView] = {}
        self._embeddings: Embeddings | None = None
        self._side_states: dict[str, dict[str, Any]] = {}
        self._evaluating = False
        self._terms = TermSums()
        self._reported: dict[str, float] = {}
        self.results: dict[str, float] = {}
        """The newest value of everything that was measured, in double precision."""

    # ------------------------------------------------------------------ what a method says of itself

    def prepare(self, view: ModalityView) -> Any:
        """State derived from this view (graphs, plans, normalised features); computed once per view."""
        return None

    def represent(self, view: ModalityView) -> Embeddings:
        """Final embeddings of all users and items under this view."""
        raise TypeError(f"{type(self).__name__} has neither its own represent() nor its own score().")

    def losses(self, batch: Pairs, view: ModalityView) -> dict[str, Tensor]:
        """Named, weighted scalar terms; their sum is trained."""
        raise TypeError(f"{type(self).__name__} has no losses().")

    def start_epoch(self, epoch: int, view: ModalityView) -> None:
        """Called at each epoch's start, after torch's generators were seeded for (seed, epoch)."""

    def main_parameters(self) -> Iterable[nn.Parameter]:
        """What the main optimiser trains."""
        return self.parameters()

    def main_parameter_groups(self) -> list[dict[str, Any]]:
        """Groups of ``main_parameters`` in torch's form, where some have a learning rate or decay of their own."""
        return [{"params": list(self.main_parameters())}]

    def side_optimizers(self) -> dict[str, Stateful]:
        """Further optimisers and schedulers that the method steps itself; they travel in the checkpoint."""
        return {}

    # ------------------------------------------------------------------ what a method may call

    def prepared(self, view: ModalityView) -> Any:
        """What ``prepare`` made of this view, from a cache under the view's digest and device."""
        key = (view.digest, view.mask.device)
        if key not in self._prepared:
            self._prepared[key] = self.prepare(view)
        return self._prepared[key]

    def report(self, values: dict[str, float]) -> None:
        """Note what this epoch showed of the method's inner state; it goes beside the losses as ``method/<name>``."""
        self._reported |= {f"method/{name}": value for name, value in values.items()}

    def score(self, users: Tensor, view: ModalityView) -> Tensor:
        """Scores of all items for ``users`` (int64 [B]) -> float [B, n_items], a new tensor."""
        if not self._evaluating:
            return self._inner_products(users, self.represent(view))
        if self._embeddings is None:  # one representation serves a whole evaluation
            self._embeddings = self.represent(view)
        return self._inner_products(users, self._embeddings)

    @staticmethod
    def _inner_products(users: Tensor, embeddings: Embeddings) -> Tensor:
        return embeddings.users[users] @ embeddings.items.T

    def of_nodes(self, nodes: Tensor) -> Embeddings:
        """Rows of all nodes of the user-item graph, [n_users + n_items, d], apart."""
        users, items = nodes.split([self.catalog.n_users, self.catalog.n_items])
        return Embeddings(users, items)

    # ------------------------------------------------------------------ training

    def view(self, phase: str) -> ModalityView:
        """The datamodule's view of ``phase`` on this module's device."""
        datamodule: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        on_host = datamodule.view(phase)
        key = (on_host.digest, self.device)
        if key not in self._views:
            self._views[key] = on_host.to(self.device)
        return self._views[key]

    @property
    def n_processes(self) -> int:
        """Of the run; each sees about one n-th of every batch."""
        return 1 if self._trainer is None else self.trainer.world_size

    @property
    def full_batch_size(self) -> float:
        """Triples in a full batch of one process, whatever an epoch's last batch holds: the divisor of norms."""
        return self.settings.training.batch_size / self.n_processes

    def setup(self, stage: str) -> None:
        if stage != "fit" or self.n_processes == 1:
            return
        # All processes fit the others alike in ``start_epoch``; the loss has no gradient for them that DDP could take.
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

    def configure_optimizers(self) -> torch.optim.Optimizer:
        settings = self.settings.training
        kind = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
        groups = [{"initial_lr": group.get("lr", settings.lr)} | group for group in self.main_parameter_groups()]
        return kind(groups, lr=settings.lr, weight_decay=settings.weight_decay, fused=True)

    def on_train_epoch_start(self) -> None:
        self._terms, self._embeddings, self._reported = TermSums(), None, {}
        self._decay_learning_rates()
        seed_torch(self.settings.training.seed, self.current_epoch, "method")
        self.start_epoch(self.current_epoch, self.view("train"))

    def _decay_learning_rates(self) -> None:
        """From the epoch alone, so that a resumed run needs no state."""
        decay = self.settings.training.lr_decay
        if decay == 1:
            return
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = group["initial_lr"] * decay ** (self.current_epoch / 50)

    def training_step(self, batch: Pairs, batch_idx: int) -> Tensor:
        terms = self.losses(batch, self.view("train"))
        values = torch.stack(tuple(terms.values()))
        if self.n_processes > 1:  # the gradient is the mean over processes, whose shares may differ in size
            values = values * self.trainer.train_dataloader.weight(batch_idx)  # type: ignore[union-attr]
        self._terms.add(tuple(terms), values.detach())
        return values.sum()

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
        self._publish(losses | self._reported)

    def _publish(self, values: dict[str, float]) -> None:
        self.results |= values
        self.log_dict(values)

    # ------------------------------------------------------------------ validation and test

    def on_validation_epoch_start(self) -> None:
        self.mean_terms()  # a run that has lost its numbers stops here, before it is judged
        self._start_evaluation()

    def on_test_epoch_start(self) -> None:
        self._start_evaluation()

    def _start_evaluation(self) -> None:
        self._evaluating, self._embeddings = True, None
        self.ranking_metrics.reset()
        self.list_metrics.reset()

    # Lightning hands a step's output to the callbacks as it is; the run's record collects it there.
    def validation_step(self, batch: RankingBatch, batch_idx: int) -> RankedBatch | None:  # type: ignore[override]
        return self._rank(batch, self.view("val"), keep=self.trainer.state.fn != "fit")

    def test_step(self, batch: RankingBatch, batch_idx: int) -> RankedBatch | None:  # type: ignore[override]
        return self._rank(batch, self.view("test"), keep=True)

    def _rank(self, batch: RankingBatch, view: ModalityView, *, keep: bool) -> RankedBatch | None:
        scores = self.score(batch.users, view)
        ranks = rank_positives(scores, batch)
        self.ranking_metrics.update(ranks, len(batch.users))
        if not keep:
            return None
        items, values = top_k(scores, TOP_K)
        self.list_metrics.update(items)
        return RankedBatch(batch.users, ranks, items, values)

    def on_validation_epoch_end(self) -> None:
        self._end_evaluation("val", with_lists=self.trainer.state.fn != "fit")

    def on_test_epoch_end(self) -> None:
        self._end_evaluation("test", with_lists=True)

    def _end_evaluation(self, split: str, *, with_lists: bool) -> None:
        self._evaluating = False
        metrics = self.ranking_metrics.compute()
        if with_lists:
            metrics |= self.list_metrics.compute()
        self._publish({f"{split}/{name}": float(value) for name, value in metrics.items()})

    # ------------------------------------------------------------------ checkpoints

    def deployable(self, view: ModalityView) -> dict[str, Tensor]:
        """Tensors that suffice to recommend later: the embeddings, for methods that score by inner products."""
        embeddings = self._embeddings or self.represent(view)  # those of this epoch's validation, if it had one
        return {"users": embeddings.users.cpu(), "items": embeddings.items.cpu()}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["catalog"] = self.catalog.state()
        checkpoint["side_optimizers"] = {name: part.state_dict() for name, part in self.side_optimizers().items()}
        training = self.training
        self.eval()
        with torch.no_grad():
            checkpoint["deployed"] = self.deployable(self.view("val"))
        self.train(training)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self._side_states = checkpoint["side_optimizers"]

    def on_fit_start(self) -> None:
        for name, state in self._side_states.items():  # now, as the parameters are on their device only from here on
            self.side_optimizers()[name].load_state_dict(state)
        self._side_states = {}
