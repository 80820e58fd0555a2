"""`python -m recmm check`: run one training step and one ranking of every job on an excerpt of its data."""

import logging
import time
from collections.abc import Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from recmm.data.dataset import MultimodalDataset
from recmm.data.excerpt import excerpt
from recmm.datamodules.base import InMemory
from recmm.errors import own_error, wants_traceback
from recmm.experiment.config.build import build, build_model, configure, dataset_reader
from recmm.experiment.config.folder import config_folder
from recmm.experiment.config.identity import config_hash
from recmm.experiment.config.jobs import check_arguments
from recmm.experiment.run import make_trainer


def dry_run(arguments: Sequence[str]) -> bool:
    """Try every job of these arguments of ``train.py`` and print which would fail; writes no record.

    Jobs that differ only in their seed are tried once. The data are read in full; the methods get an excerpt.

    Returns:
        Whether all jobs work.

    Raises:
        ConfigError: an argument or a YAML file is wrong.
    """
    console = Console(soft_wrap=True, highlight=False, markup=False)
    jobs = check_arguments(arguments, config_folder())
    tried: dict[str, DictConfig] = {}
    for cfg in jobs:
        cfg.seed = 0
        tried.setdefault(config_hash(cfg), cfg)
    logging.getLogger("recmm").setLevel(logging.WARNING)
    read, n_failed = dataset_reader(), 0
    for cfg in tried.values():
        start = time.monotonic()
        try:
            _try(cfg, excerpt(read(cfg)))
            told = "ok"
        except Exception as error:
            if wants_traceback():
                raise
            n_failed += 1
            cause = own_error(error) or error
            told = f"{type(cause).__name__}: {cause}"
        console.print(f"{_named(cfg)}: {told} ({time.monotonic() - start:.1f} s)")
    console.print(f"{len(jobs)} jobs, {len(tried)} tried, {n_failed} would fail")
    return n_failed == 0


def _named(cfg: DictConfig) -> str:
    arguments: Any = OmegaConf.to_container(cfg.hydra.overrides.task)
    return " ".join(arguments) or "no arguments"


def _try(cfg: DictConfig, dataset: MultimodalDataset) -> None:
    for node in cfg.callbacks.values():
        build(node)
    datamodule = configure(InMemory(dataset), cfg)
    model = build_model(cfg, datamodule.catalog)
    one_step = {"max_epochs": 1, "limit_train_batches": 1, "check_val_every_n_epoch": 1, "progress": False}
    trainer = make_trainer(OmegaConf.merge(cfg.trainer, one_step), [], [])  # type: ignore[arg-type]
    if model.trained:
        trainer.fit(model, datamodule)
    trainer.test(model, datamodule, verbose=False)
