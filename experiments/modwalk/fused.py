"""ModWalk fused with a backbone, over weights and masks: each seed trains the backbone once, which serves all of them.

    python experiments/modwalk/fused.py model=sgl model.training.lr=0.003 dataset=tiktok_va trainer.max_epochs=25

The arguments are those of train.py for a backbone that looks at no modality, so that its embeddings are the same under
every mask. Appends to variants.csv what the best epoch on validation gives, for each weight and mask. With --test the
frozen weight's best epoch is also ranked on the test split, as `model=modwalk_sgl` would.
"""

import argparse
import time
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from variants import append, compose, variant_of

from recmm.datamodules.base import MultimodalDataModule
from recmm.evaluation.metrics import RankingMetrics
from recmm.evaluation.ranking import rank_positives
from recmm.experiment.config.build import build, build_model, configure
from recmm.experiment.machine import choose_threads
from recmm.experiment.run import make_trainer
from recmm.models.evaluation import Embeddings
from recmm.models.modwalk import ModWalk
from recmm.models.modwalk_fused import fused

WEIGHTS = (0.0, 0.05, 0.1, 0.2, 0.4)
EPS = 1e-3
Split = Literal["val", "test"]


class Walks:
    """The walk's scores of one split's users under one mask, kept in memory."""

    def __init__(self, datamodule: MultimodalDataModule, walk: ModWalk, split: Split) -> None:
        self.batches = datamodule.ranking_batches(split)
        with torch.no_grad():
            self.scores = [walk.score(batch.users, datamodule.view(split)) for batch in self.batches]

    def metrics(self, embeddings: Embeddings, weight: float) -> dict[str, float]:
        found = RankingMetrics()
        for batch, walked in zip(self.batches, self.scores, strict=True):
            products = embeddings.users[batch.users] @ embeddings.items.T
            weights = torch.full((len(batch.users), 1), weight)
            found.update(rank_positives(fused(walked, products, weights, EPS), batch), len(batch.users))
        return {name: float(value) for name, value in found.compute().items()}


class Fusions(Callback):
    """The best validation of every mask and weight, and the embeddings of that epoch."""

    def __init__(self, walks: dict[str, Walks], weights: tuple[float, ...]) -> None:
        self.walks, self.weights = walks, weights
        self.best: dict[tuple[str, float], tuple[dict[str, float], int]] = {}
        self.embeddings: dict[int, Embeddings] = {}

    def on_validation_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        with torch.no_grad():
            embeddings = Embeddings(*(x.clone() for x in pl_module.represent(pl_module.view("val"))))
        self.embeddings[trainer.current_epoch] = embeddings
        for name, walks in self.walks.items():
            for weight in self.weights:
                found = walks.metrics(embeddings, weight)
                if found["recall@20"] > self.best.get((name, weight), ({"recall@20": -1.0}, 0))[0]["recall@20"]:
                    self.best[name, weight] = found, trainer.current_epoch
        values = [self.best[next(iter(self.walks)), w][0]["recall@20"] for w in self.weights]
        own = pl_module.results["val/recall@20"]
        print(trainer.current_epoch, f"{own:.4f}", *(f"{v:.4f}" for v in values), flush=True)


def masks(name: str) -> list[str]:
    """The arguments of one mask: "full", "mtmt:SEED", "rate:RATE:SEED"."""
    kind, *rest = name.split(":")
    keys = ("missing.rate", "missing.seed") if kind == "rate" else ("missing.seed",)
    return [f"missing={kind}", *(f"{key}={value}" for key, value in zip(keys, rest, strict=False))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="+")
    parser.add_argument("--missing", default="full", help="comma list of full, mtmt:SEED, rate:RATE:SEED")
    parser.add_argument("--weights", default=",".join(map(str, WEIGHTS)))
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--walk", default="", help="comma list of the walk's keys, e.g. damping=0.5,hops=4")
    parser.add_argument("--test", action="store_true", help="rank the test split by each best epoch")
    given = parser.parse_intermixed_args()
    rest = [argument for argument in given.overrides if not argument.startswith("model")]
    walk_keys = [f"model.{key}" for key in given.walk.split(",") if key]
    weights = tuple(map(float, given.weights.split(",")))
    walks: dict[str, dict[str, Walks]] = {"val": {}, "test": {}}
    for name in given.missing.split(","):
        cfg = compose([*rest, "model=modwalk", *walk_keys, *masks(name)])
        datamodule = configure(build(cfg.dataset), cfg)
        walk = build_model(cfg, datamodule.catalog)
        assert isinstance(walk, ModWalk)
        for split in ("val", "test") if given.test else ("val",):
            walks[split][name] = Walks(datamodule, walk, split)
    for seed in given.seeds.split(","):
        started = time.perf_counter()
        cfg = compose([*given.overrides, f"seed={seed}"])
        datamodule = configure(build(cfg.dataset), cfg)
        torch.set_num_threads(choose_threads(cfg.trainer.threads, len(datamodule.dataset.train)))
        callback = Fusions(walks["val"], weights)
        pl.seed_everything(cfg.seed, verbose=False)
        try:  # what an interrupted training has shown is logged, too
            make_trainer(cfg.trainer, [], [callback]).fit(build_model(cfg, datamodule.catalog), datamodule)
        finally:
            for (name, weight), (found, epoch) in callback.best.items():
                test: dict[str, float] = {}
                if given.test:
                    test = walks["test"][name].metrics(callback.embeddings[epoch], weight)
                variant = f"{variant_of(given.overrides, cfg)} backbone_weight={weight} {given.walk.replace(',', ' ')}"
                model = next(a.partition("=")[2] for a in given.overrides if a.startswith("model="))
                append(
                    f"modwalk_{model}",
                    variant.strip(),
                    datamodule.dataset,
                    compose([*rest, *masks(name), f"seed={seed}"]),
                    epoch + 1,
                    time.perf_counter() - started,
                    found,
                    test,
                )


if __name__ == "__main__":
    main()
