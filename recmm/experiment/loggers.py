"""Loggers as config choices. The record's own `metrics.csv` is always written; these come on top."""

import os

from pytorch_lightning.loggers import Logger, TensorBoardLogger, WandbLogger

from recmm.experiment.records import Record


def wandb_logger(record: Record, *, project: str = "recmm", group: str | None = None) -> Logger:
    """Weights & Biases, offline unless WANDB_MODE or WANDB_API_KEY says otherwise.

    The run's id comes from its signature and attempt, so no two attempts overwrite each other on the server; all
    attempts share name and group.
    """
    import wandb  # takes seconds to import, so only where it is chosen

    signature = record.result["signature"]
    wanted = os.environ.get("WANDB_MODE", "online" if "WANDB_API_KEY" in os.environ else "offline")
    return WandbLogger(
        project=project,
        name=record.folder.name,
        group=group or signature,
        id=f"{signature}-{record.attempt}",
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
