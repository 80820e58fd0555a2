"""The same runs on the CPU and on a GPU: do they give the same numbers, and how long does an epoch take?

    python benchmarks/device_check.py --out results                   # LightGCN, MGCN and I3-MRec, five epochs each
    python benchmarks/device_check.py --methods sgl,ci2mg --epochs 2 dataset=tiktok_va
    python benchmarks/device_check.py --short                         # a small catalogue, two epochs, for a test

Each method is trained twice from the same weights, batches and negatives, first on the CPU, then on the GPU; without a
GPU twice on the CPU. Random numbers that are drawn on the device (dropout, random subgraphs) differ between the two.
Prints, and writes to ``device_check.csv`` in --out, the largest difference of a loss term relative to its size in the
first epoch, where both have seen the same, and validation Recall@20 and NDCG@20 at the end. Exit code 1 if a loss term
of the first epoch differs by more than 1e-3, or if a metric differs by more than 0.02.
"""

import argparse
import csv
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from epoch import compose_config
from pytorch_lightning.callbacks import Callback

from recmm.experiment.config.build import build, build_model, configure
from recmm.experiment.run import make_trainer

LOSS_TOLERANCE, METRIC_TOLERANCE = 1e-3, 0.02
METRICS = ("val/recall@20", "val/ndcg@20")
SHORT = ["dataset.n_users=200", "dataset.n_items=120"]


class Watch(Callback):
    """Everything that is measured in each epoch, and the seconds of its training."""

    def __init__(self) -> None:
        self.epochs: list[dict[str, float]] = []
        self.seconds: list[float] = []

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._keep(trainer, pl_module)
        self._started = _now(pl_module.device)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.seconds.append(_now(pl_module.device) - self._started)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._keep(trainer, pl_module)

    def _keep(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """The epoch that has just ended: a callback is asked before the method has published its losses."""
        if pl_module.results:
            self.epochs.append(dict(pl_module.results))


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def trained(overrides: list[str], accelerator: str) -> Watch:
    cfg = compose_config(overrides)
    cfg.trainer.accelerator, cfg.trainer.progress = accelerator, False
    datamodule = configure(build(cfg.dataset), cfg)
    watch = Watch()
    make_trainer(cfg.trainer, [], [watch]).fit(build_model(cfg, datamodule.catalog), datamodule)
    return watch


def compared(method: str, reference: Watch, other: Watch, where: str) -> dict[str, Any]:
    first, second = reference.epochs[0], other.epochs[0]
    terms = [name for name in first if name.startswith("train/")]
    loss = max(abs(first[name] - second[name]) / max(abs(first[name]), 1e-8) for name in terms)
    row: dict[str, Any] = {"method": method, "device": where, "loss_difference": f"{loss:.1e}"}
    for name in METRICS:
        a, b = reference.epochs[-1][name], other.epochs[-1][name]
        row |= {f"{name} cpu": f"{a:.4f}", f"{name} device": f"{b:.4f}"}
    row["cpu_s"], row["device_s"] = (f"{statistics.median(w.seconds[1:] or w.seconds):.3f}" for w in (reference, other))
    metric = max(abs(reference.epochs[-1][name] - other.epochs[-1][name]) for name in METRICS)
    row["same"] = loss <= LOSS_TOLERANCE and metric <= METRIC_TOLERANCE
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", help="configuration as for train.py, e.g. dataset=tiktok_va")
    parser.add_argument("--methods", default="lightgcn,mgcn,i3mrec", help="choices of the group model")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--short", action="store_true", help="a small catalogue and two epochs")
    parser.add_argument("--out", type=Path, default=Path())
    arguments = parser.parse_intermixed_args()
    epochs = 2 if arguments.short else arguments.epochs
    common = [f"trainer.max_epochs={epochs}", "logger=csv", "settings=null", "~callbacks.early_stopping"]
    common += [*(SHORT if arguments.short else []), *arguments.overrides]
    accelerator = "gpu" if torch.cuda.is_available() else "cpu"
    where = torch.cuda.get_device_name() if accelerator == "gpu" else "cpu"
    print(f"torch {torch.__version__}, {where}", flush=True)
    rows = []
    for method in arguments.methods.split(","):
        overrides = [f"model={method}", *common]
        rows.append(compared(method, trained(overrides, "cpu"), trained(overrides, accelerator), where))
        print("  ".join(f"{name} {value}" for name, value in rows[-1].items()), flush=True)
    arguments.out.mkdir(parents=True, exist_ok=True)
    with (arguments.out / "device_check.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    sys.exit(not all(row["same"] for row in rows))


if __name__ == "__main__":
    main()
