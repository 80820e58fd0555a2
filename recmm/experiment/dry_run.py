"""Before a long sweep: compose every job, build every method on a few rows, run one step and one ranking of it."""

import logging
import os
import time
from collections.abc import Sequence
from functools import cache
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict
from rich.console import Console

from recmm.data.dataset import MultimodalDataset
from recmm.data.excerpt import excerpt
from recmm.data.ranking_batches import EvaluationSettings
from recmm.datamodules.base import MultimodalDataModule
from recmm.errors import own_error
from recmm.experiment.build import build
from recmm.experiment.check import check_arguments
from recmm.experiment.identity import config_hash
from recmm.experiment.launch import config_folder
from recmm.experiment.run import make_trainer
from recmm.models.base import Recommender
from recmm.seeding import seed_torch


def dry_run(arguments: Sequence[str]) -> bool:
    """Try every job that these arguments of ``train.py`` ask for and say what would go wrong; leaves no record.

    Jobs that differ in their seed alone are tried once. The data are read in full, the methods see an excerpt of it.

    Returns:
        Whether all of them work.

    Raises:
        ConfigError: an argument or a YAML file is wrong.
    """
    console = Console(soft_wrap=True, highlight=False, markup=False)
    jobs = check_arguments(arguments, config_folder())
    tried: dict[str, DictConfig] = {}
    for cfg in jobs:
        with open_dict(cfg):
            seed, cfg.seed = cfg.seed, 0
            tried.setdefault(config_hash(cfg), cfg)
            cfg.seed = seed
    logging.getLogger("recmm").setLevel(logging.WARNING)
    rows = _excerpts()
    n_failed = 0
    for cfg in tried.values():
        start = time.monotonic()
        try:
            _try(cfg, rows(OmegaConf.to_yaml(cfg.dataset, resolve=True)))
            told = "ok"
        except Exception as error:
            if os.environ.get("HYDRA_FULL_ERROR") == "1":
                raise
            n_failed += 1
            told = f"{type(own_error(error) or error).__name__}: {own_error(error) or error}"
        console.print(f"{_named(cfg)}: {told} ({time.monotonic() - start:.1f} s)")
    console.print(f"{len(jobs)} jobs, {len(tried)} tried, {n_failed} would fail")
    return n_failed == 0


def _named(cfg: DictConfig) -> str:
    arguments: Any = OmegaConf.to_container(cfg.hydra.overrides.task)
    return " ".join(arguments) or "no arguments"


def _excerpts() -> Any:
    @cache
    def rows(node: str) -> MultimodalDataset:
        datamodule: MultimodalDataModule = build(OmegaConf.create(node))  # type: ignore[arg-type]
        return excerpt(datamodule.dataset)

    return rows


class _Excerpt(MultimodalDataModule):
    def __init__(self, dataset: MultimodalDataset) -> None:
        super().__init__()
        self.load = lambda: dataset  # type: ignore[method-assign]


def _try(cfg: DictConfig, dataset: MultimodalDataset) -> None:
    for node in [*cfg.callbacks.values()]:
        build(node)
    datamodule = _Excerpt(dataset)
    datamodule.configure(
        missing=build(cfg.missing), imputer=build(cfg.imputer), evaluation=EvaluationSettings(**cfg.eval)
    )
    seed_torch(cfg.seed, 0, "initialisation")
    model: Recommender = build(cfg.model, catalog=datamodule.catalog)
    one_step = {"max_epochs": 1, "limit_train_batches": 1, "check_val_every_n_epoch": 1, "progress": False}
    trainer = make_trainer(OmegaConf.merge(cfg.trainer, one_step), [], [])  # type: ignore[arg-type]
    if model.trained:
        trainer.fit(model, datamodule)
    trainer.test(model, datamodule, verbose=False)
