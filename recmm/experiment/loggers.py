"""Loggers as config choices. The record's own `metrics.csv` is always written; these come on top."""

import hashlib
import os

from pytorch_lightning.loggers import Logger, TensorBoardLogger, WandbLogger

from recmm.experiment.records import Record


def wandb_logger(record: Record, *, project: str = "recmm", group: str | None = None) -> Logger:
    """Weights & Biases, offline unless WANDB_MODE or WANDB_API_KEY says otherwise.

    The run's id comes from its folder (sweep and run), signature and attempt, so that nothing overwrites another run on
    the server; all attempts of a run share its name and, unless ``group`` says otherwise, its sweep as group.
    """
    import wandb  # takes seconds to import, so only where it is chosen

    folder, signature = record.folder.resolve(), record.result["signature"]
    place = hashlib.sha256(f"{folder.parent.name}/{folder.name}".encode()).hexdigest()[:8]
    wanted = os.environ.get("WANDB_MODE", "online" if "WANDB_API_KEY" in os.environ else "offline")
    return WandbLogger(
        project=project,
        name=folder.name,
        group=group or folder.parent.name,
        id=f"{signature}-{place}-{record.attempt}",
        save_dir=record.folder,
        offline=wanted == "offline",
        settings=wandb.Settings(silent=wanted != "online"),
    )


def tensorboard_logger(record: Record) -> Logger:
    """TensorBoard event files in the record's folder `tensorboard`."""
    return TensorBoardLogger(record.folder, name="tensorboard", version=f"attempt-{record.attempt}")


def close_loggers(loggers: list[Logger], *, failed: bool) -> None:
    """End every W&B run with the exit code it deserves, so that a crash is not shown as finished."""
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            logger.experiment.finish(exit_code=int(failed))
