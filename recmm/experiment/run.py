"""One run: draw the masks, train, select on validation, test once, write the record."""

import contextlib
import logging
import os
import signal
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.utilities.exceptions import SIGTERMException

from recmm.datamodules.base import MultimodalDataModule
from recmm.errors import CheckpointError, ConfigError
from recmm.evaluation.strata import stratify
from recmm.experiment.callbacks import Checkpoints, KeepRankings, UnchangedData
from recmm.experiment.checkpoints import VerifiedCheckpoints, read_checkpoint, write_checkpoint
from recmm.experiment.config.build import build, build_model, configure
from recmm.experiment.config.folder import choice_of
from recmm.experiment.config.identity import published_identity, signature, uses_modalities
from recmm.experiment.config.publishable import publishable
from recmm.experiment.curves import draw_curves
from recmm.experiment.loggers import close_loggers
from recmm.experiment.machine import choose_threads, peak_memory_mb, start_peak_memory
from recmm.experiment.progress import EpochBar, print_closing
from recmm.experiment.records import Record, open_record
from recmm.experiment.study import Pruning
from recmm.experiment.tables import RankingTables
from recmm.models.base import Recommender

log = logging.getLogger(__name__)

MONITOR = "val/recall@20"
TIED_SHARE = 0.95
"""Share of users whose list holds one score only, from which on a method counts as collapsed."""


def train(cfg: DictConfig) -> float:
    """Train, select and test as configured, in Hydra's run folder.

    Returns:
        The validation metric that selects, at the best epoch; NaN if a search pruned the run.

    Raises:
        RunError: the folder is in use or holds another run, what is in it is damaged, or it cannot be written.
        NonFiniteLossError: a loss term became NaN or infinite.
        DataError, MissingSettingError: the dataset cannot be read, or the missing setting cannot be drawn on it.
    """
    start_peak_memory()
    hydra = HydraConfig.get()
    folder, choices = Path(hydra.runtime.output_dir), dict(hydra.runtime.choices)
    in_sweep = hydra.mode == RunMode.MULTIRUN
    with _leaving_no_empty(folder):
        _refuse(cfg, in_sweep=in_sweep)
        callbacks = [build(node) for node in cfg.callbacks.values()]  # first, because this checks their settings
        datamodule = configure(build(cfg.dataset), cfg)
        data = UnchangedData(datamodule.dataset)  # before its digest is computed
        torch.set_num_threads(choose_threads(cfg.trainer.threads, len(datamodule.dataset.train)))
        about: dict[str, Any] = {
            "data_digest": datamodule.dataset.digest,
            "split_name": datamodule.dataset.split.name,
            "uses_modalities": uses_modalities(cfg),
        }
        own_signature, own_identity = signature(cfg, **about), published_identity(cfg, **about)
    with open_record(
        folder,
        signature=own_signature,
        identity=own_identity,
        resume=cfg.ckpt != "never",
        demanded=cfg.ckpt == "last" and not in_sweep,  # a sweep has new jobs, too
        overwrite=cfg.overwrite,
    ) as record:
        monitor = monitor_of(cfg)
        if record.finished:
            made_under = record.result["missing"]  # methods without modalities have one signature for all settings
            log.info("Nothing to do: %s holds the finished run with this signature (missing=%s).", folder, made_under)
        else:
            record.write_config(cfg)
            record.update(monitor=monitor, **describe(cfg, choices, datamodule))
            if record.writes:
                with record.writing("masks.npz") as path:
                    datamodule.masks.save(path)
            _execute(cfg, record, datamodule, [*callbacks, data], monitor)
            if record.result.get("status") != "pruned":  # only the first process has one
                data.check(ends=True)
    if record.writes and not in_sweep:  # a sweep prints its own table
        print_closing(record.result, folder)
    return float(record.result.get(monitor, "nan"))  # nan: pruned by a search


def monitor_of(cfg: DictConfig) -> str:
    """The validation metric that selects the best epoch, and in a search the best values."""
    return str(cfg.callbacks.get("early_stopping", {}).get("monitor", MONITOR))


def describe(cfg: DictConfig, choices: dict[str, Any], datamodule: MultimodalDataModule) -> dict[str, Any]:
    """The part of `result.json` that describes the run: choices, data, masks. Logs a summary of the masks."""
    dataset, masks = datamodule.dataset, datamodule.masks
    log.info("%s", masks.summary())
    return {
        "model": choices["model"],
        "uses_modalities": uses_modalities(cfg),
        "dataset": choices["dataset"],
        "missing": choices["missing"],
        "imputer": choice_of(type(datamodule.imputer)),
        "seed": cfg.seed,
        "settings_source": cfg.settings_source,
        "data": {
            "digest": dataset.digest,
            "split": dataset.split.name,
            "recipe": dataset.split.recipe,
            "modalities": dataset.features.dims,
            "statistics": dataset.statistics(),
            "notes": dataset.notes,
        },
        "masks": {
            "digest": masks.digest,
            "rates": masks.rates,
            "sees_test_items": masks.sees_test_items,
            "replaced": masks.replaced,
            "provenance": masks.provenance,
        },
    }


@contextlib.contextmanager
def _leaving_no_empty(folder: Path) -> Iterator[None]:
    """Remove the run's folder after an error if it is still empty: Hydra makes it before anything is checked."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            folder.rmdir()
        raise


def _refuse(cfg: DictConfig, *, in_sweep: bool) -> None:
    """Refuse combinations of keys that exclude each other."""
    settings = cfg.trainer
    if settings.check_val_every_n_epoch > settings.max_epochs:
        raise ConfigError(
            f"trainer.check_val_every_n_epoch={settings.check_val_every_n_epoch} is greater than "
            f"trainer.max_epochs={settings.max_epochs}: no epoch would be validated, and none selected."
        )
    one_listed = OmegaConf.is_list(settings.devices) and len(settings.devices) == 1
    one_device = one_listed or settings.devices in (1, "1")
    n_started = int(os.environ["WORLD_SIZE"]) if "TORCHELASTIC_RUN_ID" in os.environ else 1
    if n_started > 1 and one_device:
        raise ConfigError(
            f"torchrun started {n_started} processes, but with trainer.devices={settings.devices} each would be "
            f"a separate run in the same folder. Add trainer.devices={n_started} trainer.strategy=ddp."
        )
    if in_sweep and not one_device:  # "auto" may mean several
        raise ConfigError(
            f"trainer.devices={settings.devices} with -m: each further process of a distributed run would start "
            "the sweep again. Run the jobs one by one without -m, or use one device per job."
        )


def _execute(
    cfg: DictConfig,
    record: Record,
    datamodule: MultimodalDataModule,
    callbacks: list[Callback],
    monitor: str,
) -> None:
    """Train, load the best epoch on validation, rank validation and test with it, complete the record."""
    model = build_model(cfg, datamodule.catalog)
    settings = publishable(cfg)["model"]
    checkpoints = Checkpoints(record, monitor=monitor, method=settings)
    tables = RankingTables()
    if cfg.sweep.trial is not None:
        callbacks = [*callbacks, Pruning(record, checkpoints, cfg.sweep.trial)]
    loggers = [build(node, record=record) for node in cfg.logger.values()]
    trainer = make_trainer(cfg.trainer, loggers, [*callbacks, checkpoints, KeepRankings(tables)])
    record.result["batch_size"] = model.batch_size  # model.training.batch_size may be auto
    record.result["machine"] = record.result.get("machine", {}) | {"processes": trainer.world_size}
    failed = True
    try:
        for logger in loggers:
            logger.log_hyperparams(publishable(cfg))
        if model.trained:
            trainer.fit(model, datamodule, ckpt_path=record.resume_from, weights_only=True)
            if record.result.get("status") == "pruned":
                return
            model.load_state_dict(read_checkpoint(record.checkpoint("best"))["state_dict"])
        trainer.validate(model, datamodule, verbose=False)
        if model.trained:
            _require_same(model, monitor, checkpoints.best_score, exactly=record.attempt == 1)
        else:
            with record.writing("checkpoints/best.ckpt") as path:
                trainer.save_checkpoint(path, weights_only=False)
        trainer.test(model, datamodule, verbose=False)
        _deploy_as_tested(record, model)
        complete(record, datamodule, tables, checkpoints, model.results)
        failed = False
    except SystemExit as error:
        if trainer.interrupted and isinstance(error.__context__, KeyboardInterrupt):  # as Lightning raises it
            raise KeyboardInterrupt from None
        if isinstance(error, SIGTERMException):  # it has no exit code, so a scheduler would see success
            raise SystemExit(128 + signal.SIGTERM) from None
        raise
    finally:
        close_loggers(loggers, failed=failed)


def _require_same(model: Recommender, monitor: str, score: float, *, exactly: bool) -> None:
    """See that the best checkpoint scores what its epoch did.

    Args:
        exactly: whether one process made both numbers; another one may have had other threads or libraries. A GPU sums
            in any order.

    Raises:
        CheckpointError: it does not.
    """
    again, tolerance = model.results[monitor], 1e-6 if exactly and model.device.type == "cpu" else 1e-3
    if not abs(again - score) <= tolerance:
        raise CheckpointError(
            f"{monitor} is {again:.6f} with best.ckpt, but was {score:.6f} in the epoch that wrote it: the checkpoint "
            "or the data are not what they were, or the method draws at random when it ranks. ckpt=never starts anew."
        )


def _deploy_as_tested(record: Record, model: Recommender) -> None:
    """Have best.ckpt recommend from the features that the test saw, where validation saw others."""
    if not (record.writes and model.uses_modalities) or model.view("val").digest == model.view("test").digest:
        return
    path = record.checkpoint("best")
    content = read_checkpoint(path)
    with torch.no_grad():
        content["deployed"] = model.eval().deployable(model.view("test"))
    with record.writing("checkpoints/best.ckpt"):
        write_checkpoint(content, path)


def make_trainer(settings: DictConfig, loggers: list[Any], callbacks: list[Callback]) -> pl.Trainer:
    """Lightning's trainer as all runs use it: deterministic algorithms, our progress bar, no sanity steps."""
    accelerator, strategy = settings.accelerator, settings.strategy
    if accelerator == "auto":  # Apple's GPUs lack double precision and sparse products
        accelerator = "gpu" if torch.cuda.is_available() else "cpu"
    if strategy == "ddp":  # a step may give some parameters no gradient
        strategy = "ddp_find_unused_parameters_true"
    # Advice that does not apply: batches are slices of arrays in memory, so worker processes would not help.
    warnings.filterwarnings("ignore", ".*does not have many workers.*")
    warnings.filterwarnings("ignore", ".*Sparse CSR tensor support is in beta.*")
    warnings.filterwarnings("ignore", ".*treespec, LeafSpec.*")  # Lightning uses a deprecated part of torch
    warnings.filterwarnings("ignore", ".*sync_dist=True.*")  # logged values are the same in every process
    logging.getLogger("pytorch_lightning.utilities.rank_zero").setLevel(logging.WARNING)  # hardware lists and tips
    told = [callback for callback in callbacks if isinstance(callback, Checkpoints) and callback.record.writes]
    bars = [EpochBar(callback) for callback in told if settings.progress]
    trainer = pl.Trainer(
        max_epochs=settings.max_epochs,
        accelerator=accelerator,
        devices=settings.devices,
        strategy=strategy,
        precision=settings.precision,
        limit_train_batches=settings.limit_train_batches,
        gradient_clip_val=settings.gradient_clip_val,
        check_val_every_n_epoch=settings.check_val_every_n_epoch,
        logger=loggers or False,
        callbacks=[*callbacks, *bars],
        plugins=[VerifiedCheckpoints()],
        enable_checkpointing=any(isinstance(callback, Checkpoints) for callback in callbacks),  # Lightning adds no own
        deterministic="warn",
        num_sanity_val_steps=0,
        log_every_n_steps=1,
        use_distributed_sampler=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # it only costs time
    return trainer


def complete(
    record: Record,
    datamodule: MultimodalDataModule,
    tables: RankingTables,
    checkpoints: Checkpoints,
    metrics: dict[str, float],
) -> None:
    """Write tables, strata and curves; the record gets the status `done` when it is closed, last of all."""
    accuracy = {name: value for name, value in metrics.items() if name.startswith(("val/", "test/"))}
    record.result |= accuracy | {"best_epoch": checkpoints.best_epoch, "epochs": len(checkpoints.history)}
    record.result.pop("error", None)
    if not record.writes:
        return
    dataset = datamodule.dataset
    tables.write(record, datamodule.catalog)
    strata = stratify(
        tables.ranks(),
        datamodule.masks.test,
        dataset.modalities,
        dataset.train.item_counts(),
        dataset.train.user_counts(),
    )
    if checkpoints.history:
        about = record.result
        title = f"{about['model']} on {about['dataset']} (split {dataset.split.name}), missing {about['missing']}"
        record.write_metrics(checkpoints.history)  # the last row is missing if the run was killed before it was written
        with record.writing("curves.png", optional=True) as path:
            draw_curves(checkpoints.history, checkpoints.monitor, checkpoints.best_epoch, title, path)
    collapse = _collapse(tables.tied_share(), checkpoints.monitor, metrics)
    if collapse:
        log.warning("The method has collapsed: %s. Its numbers say nothing about it.", collapse)
    record.checkpoint("previous").unlink(missing_ok=True)
    record.result |= {"strata": strata.to_dicts(), "peak_memory_mb": peak_memory_mb(), "status": "done"}
    record.result |= {"collapsed": collapse} if collapse else {}


def _collapse(tied: float, monitor: str, metrics: dict[str, float]) -> str | None:
    """Why the numbers are those of a method that tells no items apart; None where they are not."""
    if tied >= TIED_SHARE:
        return f"all items of the lists of {tied:.0%} of the users have the same score"
    return f"{monitor} is exactly 0" if metrics[monitor] == 0 else None
