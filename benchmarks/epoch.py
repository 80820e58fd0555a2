"""Seconds of a training epoch and of a full validation ranking: recmm against a bare loop, alternating in one run.

    python benchmarks/epoch.py                                   # LightGCN and I3-MRec on the embedded catalogue
    python benchmarks/epoch.py dataset=tiktok_va                 # on real data (RECMM_DATA)
    python benchmarks/epoch.py dataset=synthetic dataset.scale=4 --methods lightgcn --rounds 5

Prints medians and their ratio per method, and the process's peak memory. Ratios of medians in one run are what counts;
seconds on a shared machine are not.
"""

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from bare_loop import BARE_LOOPS
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, open_dict

from recmm.data.ranking_batches import EvaluationSettings
from recmm.datamodules.base import MultimodalDataModule
from recmm.experiment.build import build
from recmm.experiment.callbacks import Checkpoints
from recmm.experiment.launch import config_folder
from recmm.experiment.records import Record, peak_memory_mb
from recmm.experiment.run import make_trainer
from recmm.models.base import Recommender

EPOCHS = 3  # of one round; the first warms up and is left out


def compose_config(overrides: list[str]) -> DictConfig:
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        return compose("train", overrides)


class Timed:
    """A method inside recmm, trained by its own trainer in rounds of a few epochs."""

    def __init__(self, cfg: DictConfig) -> None:
        self.cfg = cfg
        self.datamodule: MultimodalDataModule = build(cfg.dataset)
        missing, imputer = (build(cfg[node]) for node in ("missing", "imputer"))
        self.datamodule.configure(missing=missing, imputer=imputer, evaluation=EvaluationSettings(**cfg.eval))
        self.model: Recommender = build(cfg.model, catalog=self.datamodule.catalog)

    def round(self) -> tuple[list[float], list[float]]:
        """Training and validation seconds of the round's epochs but the first."""
        with tempfile.TemporaryDirectory() as folder:
            record = Record(Path(folder), {})
            record.checkpoint("last").parent.mkdir()
            checkpoints = Checkpoints(record, monitor="val/recall@20", method={})
            with open_dict(self.cfg):
                self.cfg.trainer.max_epochs = EPOCHS
                self.cfg.trainer.progress = False
            make_trainer(self.cfg.trainer, [], [checkpoints]).fit(self.model, self.datamodule)
            rows: list[dict[str, Any]] = checkpoints.history[1:]
        return [row["seconds/train"] for row in rows], [row["seconds/val"] for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", help="configuration as for train.py, e.g. dataset=tiktok_va")
    parser.add_argument("--methods", default="lightgcn,i3mrec", help="comma separated, of: " + ", ".join(BARE_LOOPS))
    parser.add_argument("--rounds", type=int, default=4, help="alternations")
    arguments = parser.parse_args()
    pl.seed_everything(0, verbose=False)
    for method in arguments.methods.split(","):
        timed = Timed(compose_config([f"model={method}", "settings=null", "logger=csv", *arguments.overrides]))
        bare = BARE_LOOPS[method](timed.datamodule.dataset, timed.cfg.model.training.batch_size)
        seconds: dict[str, list[float]] = {name: [] for name in ("bare_train", "bare_val", "train", "val")}
        bare.epoch(), bare.validate()  # warm up
        for _ in range(arguments.rounds):
            for _ in range(EPOCHS - 1):
                seconds["bare_train"].append(bare.epoch())
                seconds["bare_val"].append(bare.validate())
            train, val = timed.round()
            seconds["train"] += train
            seconds["val"] += val
        medians = {name: statistics.median(values) for name, values in seconds.items()}
        for what in ("train", "val"):
            ours, floor = medians[what], medians[f"bare_{what}"]
            print(
                f"{method:10} {what:5}  recmm {ours:.3f} s  bare loop {floor:.3f} s  ratio {ours / floor:.2f}",
                flush=True,
            )
    print(f"peak memory {peak_memory_mb()} MB")


if __name__ == "__main__":
    main()
