"""Seconds of a training epoch and of a full validation ranking: recmm against a bare loop, alternating in one run.

    python benchmarks/epoch.py                                   # LightGCN and I3-MRec on the embedded catalogue
    python benchmarks/epoch.py dataset=tiktok_va                 # on real data (RECMM_DATA)
    python benchmarks/epoch.py dataset=synthetic dataset.scale=4 --methods lightgcn --rounds 5

Prints medians and their ratio per method. Ratios of medians in one run are what counts;
seconds on a shared machine are not.
"""

import argparse
import statistics
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from bare_loop import BARE_LOOPS
from omegaconf import DictConfig, open_dict
from pytorch_lightning.callbacks import Callback

from recmm.experiment.callbacks import Checkpoints
from recmm.experiment.config.build import build, configure
from recmm.experiment.config.folder import config_folder
from recmm.experiment.config.jobs import jobs
from recmm.experiment.machine import peak_memory_mb
from recmm.experiment.records import Record
from recmm.experiment.run import make_trainer
from recmm.models.base import Recommender

EPOCHS = 3  # of one round; the first warms up and is left out
PARTS = {
    "train": "training epoch",
    "val": "full ranking of validation",
    "all": "both, checkpoint and metrics file",
}


def compose_config(overrides: list[str]) -> DictConfig:
    """As train.py would compose and check it."""
    (cfg,) = jobs(overrides, config_folder())
    return cfg


class WholeEpochs(Callback):
    """Seconds from one epoch's start to the next one's: training, validation, checkpoint and metrics file."""

    def __init__(self) -> None:
        self.starts: list[float] = []

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.starts.append(time.perf_counter())

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.starts.append(time.perf_counter())

    def seconds(self) -> list[float]:
        return [stop - start for start, stop in pairwise(self.starts)]


class Timed:
    """A method inside recmm, trained by its own trainer in rounds of a few epochs."""

    def __init__(self, cfg: DictConfig) -> None:
        self.cfg = cfg
        self.datamodule = configure(build(cfg.dataset), cfg)
        self.model: Recommender = build(cfg.model, catalog=self.datamodule.catalog)

    def round(self, *callbacks: Callback) -> dict[str, list[float]]:
        """Seconds of training, of validation and of both with all else, for the round's epochs but the first.

        Of a method with several stages, training and validation are those of the last one.
        """
        with tempfile.TemporaryDirectory() as folder:
            record = Record(Path(folder), {})
            record.checkpoint("last").parent.mkdir()
            checkpoints = Checkpoints(record, monitor="val/recall@20", method={})
            with open_dict(self.cfg):
                self.cfg.trainer.max_epochs = EPOCHS
                self.cfg.trainer.progress = False
            whole = WholeEpochs()
            make_trainer(self.cfg.trainer, [], [whole, checkpoints, *callbacks]).fit(self.model, self.datamodule)
            last = checkpoints.history[-1].get("stage")
            rows: list[dict[str, Any]] = [row for row in checkpoints.history[1:] if row.get("stage") == last]
        return {
            "train": [row["seconds/train"] for row in rows],
            "val": [row["seconds/val"] for row in rows],
            "all": whole.seconds()[1:],
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", help="configuration as for train.py, e.g. dataset=tiktok_va")
    parser.add_argument("--methods", default="lightgcn,i3mrec", help="comma separated, of: " + ", ".join(BARE_LOOPS))
    parser.add_argument("--rounds", type=int, default=4, help="alternations")
    arguments = parser.parse_intermixed_args()
    pl.seed_everything(0, verbose=False)
    for method in arguments.methods.split(","):
        timed = Timed(compose_config([f"model={method}", "settings=null", "logger=csv", *arguments.overrides]))
        bare = BARE_LOOPS[method](timed.datamodule.dataset, timed.cfg.model.training.batch_size)
        seconds: dict[str, list[float]] = {f"{who} {what}": [] for who in ("bare", "recmm") for what in PARTS}
        bare.epoch(), bare.validate()  # warm up
        for _ in range(arguments.rounds):
            for _ in range(EPOCHS - 1):
                train, val = bare.epoch(), bare.validate()
                for what, value in zip(PARTS, (train, val, train + val), strict=True):
                    seconds[f"bare {what}"].append(value)
            for what, values in timed.round().items():
                seconds[f"recmm {what}"] += values
        medians = {name: statistics.median(values) for name, values in seconds.items()}
        for what, text in PARTS.items():
            ours, floor = medians[f"recmm {what}"], medians[f"bare {what}"]
            print(
                f"{method:9} {text:40} recmm {ours:.3f} s  bare loop {floor:.3f} s  ratio {ours / floor:.2f}",
                flush=True,
            )
    print(f"peak memory of this process, bare loops included: {peak_memory_mb()} MB")


if __name__ == "__main__":
    main()
