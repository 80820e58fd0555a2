"""A run killed at any moment and continued with ckpt=last ends like an uninterrupted one, bit for bit."""

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import torch
from polars.testing import assert_frame_equal

ARGUMENTS = (
    "model=i3mrec",
    "missing=mtmt",
    "logger=csv",
    "dataset.n_users=150",
    "dataset.n_items=90",
    "model.training.batch_size=256",
    "model.training.lr=0.01",
    "trainer.max_epochs=7",
    "callbacks.early_stopping.patience=2",
    "trainer.threads=1",
    "trainer.progress=false",
)

# Each sabotage is put before the run: the process kills itself when it gets there.
KILL = "import os, signal\ndef die(): os.kill(os.getpid(), signal.SIGKILL)\n"
SABOTAGE = {
    "in mid-epoch": """
from recmm.models.base import Recommender as R
step = R.training_step
def training_step(self, batch, batch_idx):
    if self.current_epoch == 2 and batch_idx == 3: die()
    return step(self, batch, batch_idx)
R.training_step = training_step
""",
    "during validation": """
from recmm.models.base import Recommender as R
step = R.validation_step
def validation_step(self, batch, batch_idx):
    if self.current_epoch == 2: die()
    return step(self, batch, batch_idx)
R.validation_step = validation_step
""",
    "between best and last": """
from recmm.experiment import callbacks
place = callbacks.place_copy
n_placed = 0
def place_copy(source, target):
    global n_placed
    place(source, target)
    n_placed += 1
    if n_placed == 2: die()
callbacks.place_copy = place_copy
""",
    "before the test": """
from recmm.models.base import Recommender as R
def test_step(self, batch, batch_idx): die()
R.test_step = test_step
""",
    "in the first epoch": """
from recmm.models.base import Recommender as R
def training_step(self, batch, batch_idx): die()
R.training_step = training_step
""",
}


def run(folder: Path, *more: str, sabotage: str = "") -> subprocess.CompletedProcess[str]:
    script = f"{KILL}{sabotage}\nfrom recmm.experiment.launch import main\nraise SystemExit(main())\n"
    command = (sys.executable, "-c", script, *ARGUMENTS, f"hydra.run.dir={folder}", *more)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "WANDB_MODE": "disabled"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600, check=False)


def metrics_of(folder: Path) -> list[dict[str, str]]:
    """metrics.csv without what a clock says."""
    with (folder / "metrics.csv").open() as file:
        return [{k: v for k, v in row.items() if not k.startswith("seconds/")} for row in csv.DictReader(file)]


def numbers_of(folder: Path) -> dict[str, object]:
    result = json.loads((folder / "result.json").read_text())
    assert result["status"] == "done"
    keys = ("signature", "best_epoch", "epochs", "strata", "masks", "data")
    return {k: v for k, v in result.items() if k.startswith(("val/", "test/")) or k in keys}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "whole"
    finished = run(folder)
    assert finished.returncode == 0, finished.stderr
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("moment", SABOTAGE)
def test_killed_and_resumed(moment: str, uninterrupted: Path, tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    killed = run(folder, sabotage=SABOTAGE[moment])
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert json.loads((folder / "result.json").read_text())["status"] == "running"
    resumed = run(folder, "ckpt=last")
    assert resumed.returncode == 0, resumed.stderr

    assert numbers_of(folder) == numbers_of(uninterrupted)
    assert metrics_of(folder) == metrics_of(uninterrupted)
    for table in ("ranks", "topk", "per_user"):
        assert_frame_equal(
            *(pl.read_parquet(where / f"{table}.parquet") for where in (folder, uninterrupted)), check_exact=True
        )
    for name in ("best", "last"):
        mine, theirs = (
            torch.load(where / "checkpoints" / f"{name}.ckpt", weights_only=True) for where in (folder, uninterrupted)
        )
        assert mine["epoch"] == theirs["epoch"]
        assert all(torch.equal(mine["state_dict"][key], value) for key, value in theirs["state_dict"].items())
        assert repr(mine["optimizer_states"]) == repr(theirs["optimizer_states"])
        assert repr(mine["side_optimizers"]) == repr(theirs["side_optimizers"])
    assert json.loads((folder / "result.json").read_text())["attempt"] == 2
    assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == ["best.ckpt", "last.ckpt"]


@pytest.mark.slow
def test_ctrl_c_leaves_a_resumable_record(uninterrupted: Path, tmp_path: Path) -> None:
    folder = tmp_path / "interrupted"
    press = SABOTAGE["in mid-epoch"].replace("die()", "os.kill(os.getpid(), signal.SIGINT)")
    interrupted = run(folder, sabotage=press)
    assert interrupted.returncode != 0
    assert "Traceback" not in interrupted.stderr
    assert json.loads((folder / "result.json").read_text())["status"] == "interrupted"
    assert run(folder, "ckpt=last").returncode == 0
    assert numbers_of(folder) == numbers_of(uninterrupted)


@pytest.mark.slow
def test_a_loss_that_is_lost_stops_the_run_by_name(tmp_path: Path) -> None:
    folder = tmp_path / "nan"
    spoil = """
from recmm.models.i3mrec import I3MRec as M
losses = M.losses
def spoiled(self, batch, view):
    terms = losses(self, batch, view)
    return terms | {"consistency": terms["consistency"] * float("nan")} if self.current_epoch == 1 else terms
M.losses = spoiled
"""
    failed = run(folder, sabotage=spoil)
    assert failed.returncode == 1
    assert "term 'consistency' became NaN" in failed.stderr and "epoch 1" in failed.stderr
    assert "Traceback" not in failed.stderr
    result = json.loads((folder / "result.json").read_text())
    assert result["status"] == "failed" and "consistency" in result["error"]["message"]
