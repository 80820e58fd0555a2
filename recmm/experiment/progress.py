"""The output of a run: a progress bar over the epochs, and a table of results at the end."""

import sys
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from recmm.experiment.callbacks import Checkpoints

SHOWN = ("recall", "ndcg", "precision", "hit")
CUTOFFS = (10, 20, 50)


class EpochBar(Callback):
    """A progress bar with the loss and metric of the last epoch; without a terminal, one line per 10 epochs.

    Args:
        checkpoints: has the metrics of all epochs and the best epoch.
    """

    def __init__(self, checkpoints: Checkpoints) -> None:
        self.checkpoints = checkpoints
        self._console = Console(stderr=True)
        self._bar: Progress | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not self._console.is_terminal:
            return
        self._bar = Progress(
            TextColumn("epoch"),
            MofNCompleteColumn(),
            BarColumn(),
            TextColumn("{task.fields[batch]}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[told]}"),
            console=self._console,
        )
        self._task = self._bar.add_task(
            "epochs", total=trainer.max_epochs, completed=trainer.current_epoch, told="", batch=""
        )
        self._bar.start()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._bar is not None and batch_idx % 4 == 0:
            self._bar.update(self._task, batch=f"batch {batch_idx + 1}/{trainer.num_training_batches}")

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.current_epoch > 0 and self.checkpoints.history:
            self._tell(trainer)

    def _tell(self, trainer: pl.Trainer) -> None:
        row, seen = self.checkpoints.history[-1], self.checkpoints
        stage = f"{row['stage']}  " if "stage" in row else ""
        told = (
            f"{stage}loss {row['train/loss']:.4f}  {seen.monitor} {row.get(seen.monitor, float('nan')):.4f}  "
            f"best {seen.best_score:.4f} (epoch {seen.best_epoch + 1})"
        )
        if self._bar is not None:
            self._bar.update(self._task, completed=len(seen.history), told=told)
        elif len(seen.history) % 10 == 0:
            print(f"epoch {int(row['epoch']) + 1}/{trainer.max_epochs}  {told}", file=sys.stderr, flush=True)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.checkpoints.history:
            self._tell(trainer)
        self._close()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def print_closing(result: dict[str, Any], folder: Path) -> None:
    """Print the validation and test accuracy, the choices and seed that they belong to, and the record's folder."""
    table = Table("metric")
    for split in ("validation", "test"):
        table.add_column(split, justify="right")
    for metric in SHOWN:
        for k in CUTOFFS:
            name = f"{metric}@{k}"
            table.add_row(name, *(f"{result[f'{split}/{name}']:.4f}" for split in ("val", "test")))
    header = (
        f"{result['model']} on {result['dataset']} (split {result['data']['split']}), missing {result['missing']}, "
        f"imputer {result['imputer']}, settings {result['settings_source']}, seed {result['seed']}"
    )
    console = Console(soft_wrap=True, highlight=False)
    console.print(header, table, sep="\n")
    if result["best_epoch"] >= 0:
        console.print(f"best {result['monitor']} in epoch {result['best_epoch'] + 1} of {result['epochs']}")
    if (folder / "curves.png").is_file():
        console.print(f"curves: {folder / 'curves.png'}")
    console.print(f"record: {folder}")
