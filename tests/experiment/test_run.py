"""One real run from the command line, and everything that it leaves behind."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from omegaconf import OmegaConf

from recmm.missing.masks import Masks
from tests.forks import run_script

ROOT = Path(__file__).parents[2]
SMALL = ("dataset.n_users=150", "dataset.n_items=90", "trainer.max_epochs=3", "trainer.threads=1")

pytestmark = pytest.mark.slow


def train(folder: Path, *arguments: str, starts_others: bool = False) -> subprocess.CompletedProcess[str]:
    """A run in a process of its own; one that ``starts_others`` has to be started as a person does, to be repeated."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WANDB")}
    environment |= {"OMP_NUM_THREADS": "1", "WANDB_DIR": str(folder)}
    arguments = (*SMALL, f"hydra.run.dir={folder}", *arguments)
    if starts_others:
        command = (sys.executable, "train.py", *arguments)
        return subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, env=environment, timeout=600, check=False
        )
    script = "from recmm.experiment.launch import main\nraise SystemExit(main())\n"
    return run_script(script, *arguments, environment=environment, cwd=ROOT)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    folder = tmp_path_factory.mktemp("runs") / "i3mrec"
    done = train(folder, "model=i3mrec", "missing=mtmt")
    assert done.returncode == 0, done.stderr
    return folder, done


def result_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "result.json").read_text())


def test_the_record_is_complete(finished: tuple[Path, Any]) -> None:
    folder, done = finished
    result = result_of(folder)
    assert result["status"] == "done" and len(result["signature"]) == 16
    assert result["model"] == "i3mrec" and result["missing"] == "mtmt" and result["imputer"] == "zero"
    assert result["data"]["split"] == "synthetic" and result["data"]["statistics"]["users"] == 150
    assert OmegaConf.load(folder / "config.yaml").imputer._target_ == "recmm.missing.imputers.Zero"
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert len(pl.read_csv(folder / "metrics.csv")) == result["epochs"] == 3
    assert "30.0%" in done.stdout and str(folder / "curves.png") in done.stdout
    assert list((folder / "wandb").glob("offline-run-*")), "W&B writes offline unless told otherwise"
    assert Masks.load(folder / "masks.npz").digest == result["masks"]["digest"]
    assert {"host"} <= result["peak_memory_mb"].keys() and result["wall_seconds"] > 0
    assert result["cpu_seconds"] > 0


def test_metrics_can_be_made_again_from_the_tables(finished: tuple[Path, Any]) -> None:
    folder, _ = finished
    result = result_of(folder)
    per_user, ranks = pl.read_parquet(folder / "per_user.parquet"), pl.read_parquet(folder / "ranks.parquet")
    for split in ("val", "test"):
        users = per_user.filter(split=split)
        for metric in ("recall@20", "ndcg@10", "map@50", "mrr@5"):
            assert users[metric].mean() == pytest.approx(result[f"{split}/{metric}"], rel=1e-12)
        hits = ranks.filter(split=split).group_by("user").agg((pl.col("rank") <= 20).mean())
        assert hits["rank"].mean() == pytest.approx(result[f"{split}/recall@20"], abs=1e-9)
    test = ranks.filter(split="test")
    for group in {row["group"] for row in result["strata"]}:
        rows = [row for row in result["strata"] if row["group"] == group and row["metric"] == "recall@20"]
        assert sum(row["n"] for row in rows) == len(test)
        micro = sum(row["n"] * row["value"] for row in rows) / len(test)
        assert micro == pytest.approx((test["rank"] <= 20).mean())


def test_the_best_checkpoint_suffices_to_recommend(finished: tuple[Path, Any]) -> None:
    """Validation and test share a mask under mtmt, so the lists of the test are those of the stored embeddings."""
    folder, _ = finished
    content = torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)
    catalog, deployed = content["catalog"], content["deployed"]
    scores = deployed["users"] @ deployed["items"].T
    scores[catalog["train_users"], catalog["train_items"]] = -torch.inf
    top = pl.read_parquet(folder / "topk.parquet").filter(split="test", position=1)
    assert np.array_equal(scores.argmax(1).numpy()[top["user"].to_numpy()], top["item"].to_numpy())
    assert catalog["item_ids"][0] == "item0" and len(catalog["user_ids"]) == 150
    assert (
        content["method"]["_target_"] == "recmm.models.I3MRec" and content["epoch"] == result_of(folder)["best_epoch"]
    )
    for name in ("best", "last"):
        assert str(folder).encode() not in (folder / "checkpoints" / f"{name}.ckpt").read_bytes()


def test_a_finished_run_is_not_run_again(finished: tuple[Path, Any]) -> None:
    folder, _ = finished
    before = {path.name: path.stat().st_mtime_ns for path in folder.rglob("*") if path.name != ".lock"}
    again = train(folder, "model=i3mrec", "missing=mtmt", "logger=csv")
    assert again.returncode == 0 and "Nothing to do" in again.stdout and "recall@20" in again.stdout
    assert {path.name: path.stat().st_mtime_ns for path in folder.rglob("*") if path.name != ".lock"} == before


def test_two_ddp_processes_share_a_folder_that_one_of_them_writes(tmp_path: Path) -> None:
    common = ("model=lightgcn", "logger=csv", "trainer.accelerator=cpu")
    alone, together = tmp_path / "alone", tmp_path / "together"
    assert train(alone, *common).returncode == 0
    done = train(together, *common, "trainer.devices=2", "trainer.strategy=ddp", starts_others=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("record:") == 1 and "Error" not in done.stderr
    results = [result_of(folder) for folder in (alone, together)]
    assert results[0]["signature"] == results[1]["signature"]
    metrics = [{k: v for k, v in result.items() if k.startswith(("val/", "test/"))} for result in results]
    assert metrics[0] == pytest.approx(metrics[1], abs=0.01)  # another rounding may exchange two neighbours in a list
    losses = [pl.read_csv(folder / "metrics.csv")["train/loss"] for folder in (alone, together)]
    assert losses[0].to_list() == pytest.approx(losses[1].to_list(), rel=1e-5)
    rows = [len(pl.read_parquet(folder / "ranks.parquet")) for folder in (alone, together)]
    assert rows[0] == rows[1]


def test_hiding_modalities_hurts_on_the_embedded_catalogue(tmp_path: Path) -> None:
    """The catalogue would be no test bed for missing modalities otherwise."""
    larger = ("dataset.n_users=500", "dataset.n_items=300", "trainer.max_epochs=12", "model.training.lr=0.01")
    common = ("model=i3mrec", "logger=csv", "callbacks=none", "imputer=zero", *larger)
    found = {}
    for name, missing in (("natural", ("missing=natural",)), ("hidden", ("missing=rate", "missing.rate=0.9"))):
        assert train(tmp_path / name, *common, *missing).returncode == 0
        found[name] = result_of(tmp_path / name)["val/recall@20"]
    assert found["hidden"] < 0.9 * found["natural"]


def test_several_devices_in_a_sweep_are_refused(tmp_path: Path) -> None:
    refused = train(tmp_path / "x", "-m", "seed=0,1", "trainer.devices=2", f"hydra.sweep.dir={tmp_path / 'sweep'}")
    assert refused.returncode == 1 and "would start the sweep again" in refused.stdout


def test_nothing_is_left_of_a_run_whose_data_cannot_be_read(tmp_path: Path) -> None:
    failed = train(tmp_path / "x", "dataset.natural_missing=2")
    assert failed.returncode == 1 and "Error" in failed.stderr and not (tmp_path / "x").exists()
