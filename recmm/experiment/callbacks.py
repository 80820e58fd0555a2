"""Callbacks of a run: checkpoints with the history of metrics, early stopping, collection of ranked lists."""

import os
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.callbacks import Checkpoint as CheckpointBase
from pytorch_lightning.callbacks import EarlyStopping as LightningEarlyStopping

from recmm.data.files.atomic import replace_atomically
from recmm.errors import ConfigError
from recmm.evaluation.metrics import RankingMetrics
from recmm.experiment.records import Record
from recmm.experiment.tables import RankingTables
from recmm.models.base import RankedBatch, Recommender


class EarlyStopping(LightningEarlyStopping):
    """Lightning's early stopping. It also stops a resumed run whose patience was already used up.

    Patience counts from the first stage that ranks.

    Args:
        monitor: a validation metric; larger is better. It also selects the best checkpoint.
        patience: validations without improvement after which the run stops.

    Raises:
        ConfigError: ``monitor`` is not a validation metric, or ``patience`` is below 1.
    """

    def __init__(self, *, monitor: str = "val/recall@20", patience: int = 20) -> None:
        super().__init__(monitor=monitor, mode="max", patience=patience, check_finite=False)
        valid = [f"val/{name}" for name in RankingMetrics().names]
        if monitor not in valid:
            raise ConfigError(
                f"callbacks.early_stopping.monitor is {monitor!r}; models are selected on validation, by one of "
                f"{', '.join(valid)}."
            )
        if patience < 1:
            raise ConfigError(f"callbacks.early_stopping.patience is {patience}; expected at least 1 validation.")

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.wait_count >= self.patience:  # killed between the decision to stop and the test
            trainer.should_stop = True

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, Recommender)
        if pl_module.stage.ranks:
            super().on_train_epoch_end(trainer, pl_module)


class Checkpoints(CheckpointBase):
    """Writes `best` and `last` atomically after every epoch, and keeps the metrics of all epochs.

    ``best`` is written before ``last``. A run killed in between resumes from the older ``last``, repeats the epoch with
    the same numbers, and writes both again.

    Args:
        record: receives checkpoints and metrics.
        monitor: the validation metric that selects ``best``; larger is better. Never a test metric.
        method: class path and settings in plain types, stored so that the checkpoint alone restores the method.
    """

    def __init__(self, record: Record, *, monitor: str, method: dict[str, Any]) -> None:
        self.record, self.monitor, self.method = record, monitor, method
        self.history: list[dict[str, Any]] = []
        self.best_score, self.best_epoch = -float("inf"), -1
        self._epoch_started = 0.0
        self._validation_seconds = 0.0

    def state_dict(self) -> dict[str, Any]:
        return {"history": self.history, "best_score": self.best_score, "best_epoch": self.best_epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.history = list(state_dict["history"])
        self.best_score, self.best_epoch = state_dict["best_score"], state_dict["best_epoch"]

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._epoch_started, self._validation_seconds = time.perf_counter(), 0.0

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._validation_started = time.perf_counter()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._validation_seconds = time.perf_counter() - self._validation_started

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, Recommender)
        validated = self._validation_seconds > 0
        kinds = ("train/", "method/", "val/") if validated else ("train/", "method/")
        metrics = {name: value for kind in kinds for name, value in pl_module.results.items() if name.startswith(kind)}
        seconds = time.perf_counter() - self._epoch_started - self._validation_seconds
        timing = {"seconds/train": round(seconds, 4), "seconds/val": round(self._validation_seconds, 4)}
        stage = {"stage": pl_module.stage.name} if len(pl_module.stages()) > 1 else {}
        self.history.append({"epoch": trainer.current_epoch, **stage, **metrics, **timing})
        improved = validated and metrics[self.monitor] > self.best_score
        if improved:
            self.best_score, self.best_epoch = metrics[self.monitor], trainer.current_epoch
        self._save(trainer, improved)
        self.record.write_metrics(self.history)

    def _save(self, trainer: pl.Trainer, improved: bool) -> None:
        fresh = self.record.checkpoint("fresh")
        trainer.save_checkpoint(fresh, weights_only=False)  # optimisers and loops too
        if improved and trainer.is_global_zero:
            place_copy(fresh, self.record.checkpoint("best"))
        if trainer.is_global_zero:
            os.replace(fresh, self.record.checkpoint("last"))
        trainer.strategy.barrier()  # no process may read `best` before it is written

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint["method"] = self.method


def place_copy(source: Path, target: Path) -> None:
    """Replace ``target`` by a copy of ``source`` atomically; a hard link where the file system supports them."""
    spare = target.with_suffix(".new")
    spare.unlink(missing_ok=True)
    try:
        os.link(source, spare)
    except OSError:
        replace_atomically(spare, source.read_bytes())
    os.replace(spare, target)


class KeepRankings(Callback):
    """Collects the ranked lists of the last validation and of the test, for the record's parquet tables.

    In a distributed run the first process receives those of all processes.
    """

    def __init__(self, tables: RankingTables) -> None:
        self.tables = tables

    def on_validation_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int, *_: Any
    ) -> None:
        if isinstance(outputs, RankedBatch):
            self.tables.add("val", outputs)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.state.fn != "fit":
            self.tables.gather("val")

    def on_test_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int, *_: Any
    ) -> None:
        self.tables.add("test", outputs)

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.tables.gather("test")
