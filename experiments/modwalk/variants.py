"""Validation metrics of every variant of a command line, appended to variants.csv; the test split is never ranked.

    python experiments/modwalk/variants.py -m model=modwalk dataset=tiktok_va missing=full model.kappa=null,5

The arguments are those of train.py. A trained method is judged by the best of its validations, with early stopping.
"""

import csv
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import Callback, EarlyStopping

from recmm.data.dataset import MultimodalDataset
from recmm.datamodules.base import MultimodalDataModule
from recmm.experiment.config.build import build, build_model, configure
from recmm.experiment.config.folder import config_folder
from recmm.experiment.config.jobs import jobs
from recmm.experiment.machine import choose_threads
from recmm.experiment.run import make_trainer

LOG = Path(__file__).with_name("variants.csv")
MONITOR = "val/recall@20"


class Best(Callback):
    """The metrics of the best validation so far."""

    def __init__(self) -> None:
        self.results: dict[str, float] = {}
        self.epochs = 0

    def on_validation_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        if pl_module.results[MONITOR] > self.results.get(MONITOR, -1.0):
            self.results, self.epochs = dict(pl_module.results), trainer.current_epoch + 1


def validated(cfg: DictConfig, datamodule: MultimodalDataModule) -> tuple[dict[str, float], int]:
    """The metrics of the best validation, and after how many epochs it was; 0 without training."""
    pl.seed_everything(cfg.seed, verbose=False)
    model, best = build_model(cfg, datamodule.catalog), Best()
    stopping = EarlyStopping(MONITOR, mode="max", patience=cfg.callbacks.early_stopping.patience)
    trainer = make_trainer(cfg.trainer, [], [best, stopping])
    if model.trained:
        trainer.fit(model, datamodule)
    else:
        trainer.validate(model, datamodule, verbose=False)
    return best.results, best.epochs if model.trained else 0


def variant_of(arguments: list[str], cfg: DictConfig) -> str:
    """The model's keys that the command line names, with this job's values."""
    keys = [argument.partition("=")[0].lstrip("+") for argument in arguments if "=" in argument]
    named = sorted(key for key in keys if key.startswith("model."))
    return " ".join(f"{key.removeprefix('model.')}={_short(OmegaConf.select(cfg, key))}" for key in named) or "defaults"


def _short(value: Any) -> str:
    return str(OmegaConf.to_container(value) if OmegaConf.is_config(value) else value).replace(" ", "")


def compose(overrides: list[str]) -> DictConfig:
    """As train.py would compose and check it."""
    (cfg,) = jobs(overrides, config_folder())
    return cfg


def append(
    model: str,
    variant: str,
    dataset: MultimodalDataset,
    cfg: DictConfig,
    epochs: int,
    seconds: float,
    val: Mapping[str, float],
    test: Mapping[str, float],
) -> None:
    """One row of the log; ``cfg`` says under which mask."""
    missing = cfg.missing
    row = {
        "model": model,
        "variant": variant,
        "dataset": dataset.name,
        "split": dataset.split.name,
        "missing": f"{cfg.hydra.runtime.choices.missing} {missing.get('rate', '')}".strip(),
        "mask_seed": missing.seed,
        "seed": cfg.seed,
        "epochs": epochs,
        "seconds": f"{seconds:.1f}",
        "val_recall@20": f"{val['recall@20']:.4f}",
        "val_ndcg@20": f"{val['ndcg@20']:.4f}",
        "test_recall@20": f"{test['recall@20']:.4f}" if test else "",
        "test_ndcg@20": f"{test['ndcg@20']:.4f}" if test else "",
    }
    is_new = not LOG.exists()
    with LOG.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*row], lineterminator="\n")
        if is_new:
            writer.writeheader()
        writer.writerow(row)
    print(*row.values(), flush=True)


def main() -> None:
    arguments = [*sys.argv[1:], "trainer.progress=false", "logger=csv"]
    model = next((argument.partition("=")[2] for argument in arguments if argument.startswith("model=")), "default")
    read: dict[str, MultimodalDataModule] = {}
    for cfg in list(jobs(arguments, config_folder())):
        node = OmegaConf.to_yaml(cfg.dataset, resolve=True)
        datamodule = configure(read.setdefault(node, build(cfg.dataset)), cfg)
        torch.set_num_threads(choose_threads(cfg.trainer.threads, len(datamodule.dataset.train)))
        started = time.perf_counter()
        found, epochs = validated(cfg, datamodule)
        val = {name.removeprefix("val/"): value for name, value in found.items() if name.startswith("val/")}
        seconds = time.perf_counter() - started
        append(model, variant_of(arguments, cfg), datamodule.dataset, cfg, epochs, seconds, val, {})


if __name__ == "__main__":
    main()
