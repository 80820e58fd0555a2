"""Callbacks of a run: checkpoints with the history of metrics, early stopping, collection of ranked lists."""

import os
import time
from dataclasses import replace
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.callbacks import Checkpoint as CheckpointBase
from pytorch_lightning.callbacks import EarlyStopping as LightningEarlyStopping

from recmm.data.dataset import MultimodalDataset
from recmm.data.files.mapped import MappedFiles
from recmm.errors import ConfigError, DataError, RunError
from recmm.evaluation.metrics import RankingMetrics
from recmm.experiment.checkpoints import place_copy
from recmm.experiment.records import Record
from recmm.experiment.tables import RankingTables
from recmm.models.base import RankedBatch, Recommender

WRITING_SHARE = 0.05
"""Share of an epoch's time that writing `last` may take after every epoch."""
WRITING_INTERVAL = 180.0
"""Seconds between two writes of `last` where writing takes more than this share."""
REHASHED_BYTES = 1 << 28
"""Features up to this size are read once more at the end of a run."""


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
    """Writes `best` and `last` atomically at the ends of epochs, and keeps the metrics of all epochs.

    ``best`` is written with every improvement. ``last`` is written with it, after the first and the last epoch, and
    else after every epoch, or at most once in WRITING_INTERVAL where writing takes more than WRITING_SHARE of an
    epoch's time. The ``last`` before stays as ``previous``, for the case that ``last`` is damaged.

    ``best`` is written before ``last``. A run killed in between resumes from the older ``last``, repeats the epochs
    with the same numbers, and writes both again.

    Args:
        record: receives checkpoints and metrics.
        monitor: the validation metric that selects ``best``; larger is better. Never a test metric.
        method: class path and settings in plain types, stored so that the checkpoint alone restores the method.

    Raises:
        RunError: a checkpoint cannot be written; or the run that is continued has fewer epochs, and the stages of the
            method begin in other epochs now.
    """

    def __init__(self, record: Record, *, monitor: str, method: dict[str, Any]) -> None:
        self.record, self.monitor, self.method = record, monitor, method
        self.history: list[dict[str, Any]] = []
        self.best_score, self.best_epoch = -float("inf"), -1
        self._epoch_started = 0.0
        self._validation_seconds = 0.0
        self._written_at = -float("inf")
        self._writing_seconds = 0.0

    def state_dict(self) -> dict[str, Any]:
        return {"history": self.history, "best_score": self.best_score, "best_epoch": self.best_epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.history = list(state_dict["history"])
        self.best_score, self.best_epoch = state_dict["best_score"], state_dict["best_epoch"]

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        assert isinstance(pl_module, Recommender)
        for row in checkpoint["callbacks"].get(self.state_key, {}).get("history", ()):
            now = pl_module.stage_at(int(row["epoch"])).name
            if row.get("stage", now) != now:
                raise RunError(
                    f"Epoch {row['epoch']} of this run was of the stage {row['stage']!r}, but with the larger "
                    f"trainer.max_epochs it belongs to {now!r}: the smaller one had cut a stage, so the run cannot be "
                    "continued for longer. Start it anew."
                )

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
        ends = trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs
        due = improved or ends or self._is_due(seconds + self._validation_seconds)
        if trainer.strategy.broadcast(due):  # clocks differ between processes
            started = time.perf_counter()
            with self.record.writing("checkpoints/last.ckpt"):
                self._save(trainer, improved)
            self._written_at = time.perf_counter()
            self._writing_seconds = self._written_at - started
        self.record.write_metrics(self.history)

    def _is_due(self, epoch_seconds: float) -> bool:
        is_cheap = self._writing_seconds <= WRITING_SHARE * epoch_seconds
        return is_cheap or time.perf_counter() - self._written_at >= WRITING_INTERVAL

    def _save(self, trainer: pl.Trainer, improved: bool) -> None:
        fresh, last = self.record.checkpoint("fresh"), self.record.checkpoint("last")
        trainer.save_checkpoint(fresh, weights_only=False)  # optimisers and loops too
        if trainer.is_global_zero:
            if improved:
                place_copy(fresh, self.record.checkpoint("best"))
            if last.exists():  # killed here, a run continues from `previous`
                os.replace(last, self.record.checkpoint("previous"))
            os.replace(fresh, last)
        trainer.strategy.barrier()  # no process may read `best` before it is written

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint["method"] = self.method


class UnchangedData(Callback):
    """Ends a run whose feature files change under it: its record would name data that it was not made from.

    Features stay memory-mapped until the views are made. Files are looked at before the fit, at every evaluation and at
    the end; where one was touched, the digest of the data decides.

    Args:
        dataset: of the run; its digest must not have been computed yet, so that it is of what is there now.

    Raises:
        DataError: the data have another digest than at the start.
        TruncatedFileError: a file was cut short.
    """

    def __init__(self, dataset: MultimodalDataset) -> None:
        self._dataset, self._files = dataset, MappedFiles(dataset.features.values.values())

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self.check()

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.check()

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.check()

    def check(self, *, ends: bool = False) -> None:
        """Compare files, and the content if a file was touched or if the run ``ends`` and reading it is cheap."""
        changed = self._files.changed()
        if not changed and not (ends and 0 < self._files.n_bytes <= REHASHED_BYTES):
            return
        if replace(self._dataset).digest != self._dataset.digest:
            names = ", ".join(str(path) for path in changed) or "A feature file"
            raise DataError(
                f"{names} changed while the run was using it: the numbers would stand under a digest of other data. "
                "Leave the files alone while a run reads them, and start again."
            )


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
