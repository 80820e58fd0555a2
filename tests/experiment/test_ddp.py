"""Two processes are one run: the same batches, the same gradients, the same evaluation, one record.

torchrun starts this file, whose ``outcome`` every process goes through; pytest goes through it once more, alone.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import pytorch_lightning as lightning
import torch
from omegaconf import OmegaConf
from polars.testing import assert_frame_equal
from torch import Tensor, distributed

from recmm.data.catalog import Catalog
from recmm.data.synthetic import synthetic
from recmm.datamodules.base import InMemory
from recmm.errors import ConfigError
from recmm.experiment import run
from recmm.experiment.callbacks import KeepRankings
from recmm.experiment.records import Record
from recmm.experiment.tables import RankingTables
from recmm.models import BM3, CI2MG, LATTICE, VBPR, I3MRec, InvPref, LightGCN
from recmm.models.base import Recommender
from recmm.models.training import Training
from recmm.seeding import seed_torch
from tests.models.staged import Staged

ROOT = Path(__file__).parents[2]
TABLES = ("ranks", "topk", "per_user")
# 521 pairs: eight batches whose halves are not equal, and a last one that leaves a process without a triple.
TRAINING = Training(batch_size=65)

pytestmark = pytest.mark.slow

# Whose losses are means over triples, or depend on no triple.
SEPARABLE: dict[str, Callable[[Catalog], Recommender]] = {
    "lightgcn": lambda catalog: LightGCN(catalog, ego_l2=0.1, training=TRAINING),
    "ci2mg": lambda catalog: CI2MG(catalog, contrast=False, lambda3=1e-3, training=TRAINING),
    "vbpr": lambda catalog: VBPR(catalog, frobenius=0, training=TRAINING),
    "lattice": lambda catalog: LATTICE(catalog, k=3, training=TRAINING),
    "bm3": lambda catalog: BM3(catalog, dropout=0, training=TRAINING),
    "invpref": lambda catalog: InvPref(catalog, cluster_interval=1, training=TRAINING),
    "staged": lambda catalog: Staged(catalog, pretrain=1, noise=0.0, training=TRAINING),  # with an opponent
}
# Losses within a batch; parameters with an optimiser of their own, or with two.
IN_BATCH: dict[str, Callable[[Catalog], Recommender]] = {
    "ci2mg": lambda catalog: CI2MG(catalog, training=TRAINING),
    "i3mrec": lambda catalog: I3MRec(catalog, training=TRAINING),
    "i3mrec, code": lambda catalog: I3MRec(
        catalog,
        irm={"penalty": "gradient_variance"},
        masks={"n_sampled": 2},
        club={"in_main": True, "plateau": True},
        training=TRAINING,
    ),
}


class Gradients(lightning.Callback):
    """Keeps what the optimiser steps with."""

    def __init__(self) -> None:
        self.steps: list[dict[str, Tensor]] = []

    def on_before_optimizer_step(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, optimizer: Any
    ) -> None:
        stepped = {id(p) for group in optimizer.param_groups for p in group["params"]}  # an opponent steps by itself
        gradients = ((name, p.grad) for name, p in module.named_parameters() if id(p) in stepped)
        self.steps.append({name: gradient.clone() for name, gradient in gradients if gradient is not None})


def trainer_of(n_processes: int, *callbacks: lightning.Callback, epochs: int = 1) -> lightning.Trainer:
    settings = OmegaConf.load(ROOT / "conf" / "trainer" / "default.yaml")
    more = {"accelerator": "cpu", "max_epochs": epochs, "progress": False}
    several = {"devices": n_processes, "strategy": "ddp"} if n_processes > 1 else {}
    return run.make_trainer(OmegaConf.merge(settings, more, several), [], list(callbacks))  # type: ignore[arg-type]


def outcome(n_processes: int, folder: Path) -> dict[str, Any]:
    """What one process sees of some training and some evaluation; the tables go to ``folder``."""
    dataset = synthetic(n_users=60, n_items=40, seed=0)
    seen: dict[str, Any] = {"gradients": {}, "losses": {}, "trained": {}, "metrics": {}}
    for kind, methods in (("separable", SEPARABLE), ("in batch", IN_BATCH)):
        for name, build in methods.items():
            seed_torch(0, 0, "initialisation")
            model, gradients = build(dataset.catalog()), Gradients()
            assert model.in_batch_losses == (kind == "in batch")
            if kind == "in batch" and n_processes == 1:
                continue
            trainer_of(n_processes, gradients, epochs=2).fit(model, InMemory(dataset))
            seen["trained"][f"{name}, {kind}"] = {
                key: value for key, value in model.state_dict().items() if isinstance(value, Tensor)
            }
            if kind == "separable":
                seen["gradients"][name] = gradients.steps
                seen["losses"][name] = {key: x for key, x in model.results.items() if key.startswith("train/")}

    one_user = dataset.val.users == dataset.val.users[0]
    rest = replace(dataset.val, users=dataset.val.users[one_user], items=dataset.val.items[one_user])
    for name, catalogue in (("all", dataset), ("one user", replace(dataset, val=rest))):
        tables = RankingTables()
        seed_torch(0, 0, "initialisation")  # stands for a checkpoint: the same parameters everywhere
        model = LightGCN(dataset.catalog())
        trainer = trainer_of(n_processes, KeepRankings(tables))
        trainer.validate(model, InMemory(catalogue), verbose=False)
        trainer.test(model, InMemory(catalogue), verbose=False)
        seen["metrics"][name] = model.results
        if trainer.is_global_zero:
            (folder / name).mkdir()
            tables.write(Record(folder / name, {}))
    return seen


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return tmp_path_factory.mktemp("alone"), tmp_path_factory.mktemp("two")


@pytest.fixture(scope="module")
def alone(folders: tuple[Path, Path]) -> dict[str, Any]:
    return outcome(1, folders[0])


def torchrun(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WANDB")}
    command = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *arguments)
    return subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=environment | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        timeout=900,
        check=False,
    )


@pytest.fixture(scope="module")
def two(folders: tuple[Path, Path]) -> list[dict[str, Any]]:
    done = torchrun(__file__, str(folders[1]))
    assert done.returncode == 0, done.stderr
    return [torch.load(folders[1] / f"{rank}.pt", weights_only=True) for rank in range(2)]


def differ(a: dict[str, Tensor], b: dict[str, Tensor]) -> float:
    assert a.keys() == b.keys() and a
    return max(float((a[name] - b[name]).abs().max()) for name in a)


@pytest.mark.parametrize("method", SEPARABLE)
def test_every_step_has_the_gradient_of_the_whole_batch(
    method: str, alone: dict[str, Any], two: list[dict[str, Any]]
) -> None:
    steps = alone["gradients"][method]
    assert len(steps) == 2 * 9 + (2 if method == "staged" else 0)  # two batches of items before
    for of_process in two:
        assert len(of_process["gradients"][method]) == len(steps)
        assert max(map(differ, of_process["gradients"][method], steps)) < 1e-6
        assert of_process["losses"][method] == pytest.approx(alone["losses"][method], abs=1e-6)


def test_processes_do_not_drift_apart(two: list[dict[str, Any]]) -> None:
    first, second = (process["trained"] for process in two)
    assert len(first) == len(SEPARABLE) + len(IN_BATCH)
    for name, state in first.items():
        assert differ(state, second[name]) == 0, name


def test_an_evaluation_is_that_of_one_process(
    folders: tuple[Path, Path], alone: dict[str, Any], two: list[dict[str, Any]]
) -> None:
    for name, metrics in alone["metrics"].items():
        assert {"val/recall@20", "test/recall@20", "test/gini@20"} <= metrics.keys()
        for of_process in two:
            assert of_process["metrics"][name] == metrics
        for table in TABLES:
            one, both = (pl.read_parquet(folder / name / f"{table}.parquet") for folder in folders)
            # A product of matrices may round differently when it has other rows.
            assert_frame_equal(one, both, check_exact=table != "topk", abs_tol=1e-6)


def test_torchrun_leaves_one_record(tmp_path: Path) -> None:
    common = ("train.py", "dataset.n_users=60", "dataset.n_items=40", "trainer.max_epochs=1", "trainer.accelerator=cpu")
    arguments = (*common, "model=i3mrec", "logger=csv", f"hydra.run.dir={tmp_path / 'run'}")
    done = torchrun(*arguments, "trainer.devices=2", "trainer.strategy=ddp")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("record:") == 1 and "Error" not in done.stderr
    assert (done.stdout + done.stderr).count("I3MRec has loss terms that depend on a batch as a whole") == 1
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["status"] == "done" and result["attempt"] == 1 and result["machine"]["processes"] == 2
    users = pl.read_parquet(tmp_path / "run" / "per_user.parquet").group_by("split").agg(pl.col("user").n_unique())
    assert dict(users.iter_rows()) == {"val": 60, "test": 60}
    again = torchrun(*arguments, "trainer.devices=2", "trainer.strategy=ddp")  # both processes leave it as it is
    assert again.returncode == 0 and again.stdout.count("record:") == 1
    assert json.loads((tmp_path / "run" / "result.json").read_text()) == result


def test_torchrun_with_one_device_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "any")
    monkeypatch.setenv("WORLD_SIZE", "2")
    cfg = OmegaConf.create({"trainer": OmegaConf.load(ROOT / "conf" / "trainer" / "default.yaml")})
    with pytest.raises(ConfigError, match=r"torchrun started 2 .* Add trainer.devices=2 trainer.strategy=ddp"):
        run._refuse(cfg, in_sweep=False)


if __name__ == "__main__":
    where = Path(sys.argv[1])
    torch.save(outcome(2, where), where / f"{os.environ['RANK']}.pt")
    distributed.destroy_process_group()
