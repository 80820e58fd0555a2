"""A run killed at any moment and continued with ckpt=last ends like an uninterrupted one, bit for bit."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from polars.testing import assert_frame_equal

from tests.forks import run_script

ROOT = Path(__file__).parents[2]
ARGUMENTS = (
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

# Each sabotage is put before the run: the process kills itself when it gets there. N_EPOCHS is what a whole run takes.
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
    "after the last checkpoint": """
from recmm.experiment.records import Record
write_metrics = Record.write_metrics
def write_metrics_but_the_last(self, history):
    if len(history) == N_EPOCHS: die()
    write_metrics(self, history)
Record.write_metrics = write_metrics_but_the_last
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


# A method with a stage on items (two epochs), then one against a critic (``tests/models/staged.py``).
STAGED = ("model=lightgcn", "model._target_=tests.models.staged.Staged", "+model.pretrain=2", "trainer.max_epochs=3")
STAGED_SABOTAGE = {
    f"in epoch {epoch}, {moment}": f"""
from recmm.models.base import Recommender as R
step = R.training_step
def training_step(self, batch, batch_idx):
    if self.current_epoch == {epoch} and batch_idx == 1: die()
    return step(self, batch, batch_idx)
R.training_step = training_step
"""
    for epoch, moment in ((1, "before the change of stage"), (2, "at it"), (3, "after it"))
}


def command(folder: Path, *more: str, sabotage: str = "") -> tuple[str, ...]:
    script = f"{KILL}{sabotage}\nfrom recmm.experiment.launch import main\nraise SystemExit(main())\n"
    return (sys.executable, "-c", script, *ARGUMENTS, f"hydra.run.dir={folder}", *more)


def environment() -> dict[str, str]:
    return {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "WANDB_MODE": "disabled",
        "PYTHONPATH": str(ROOT),
        "RECMM_TRUST": "tests",
    }


def run(folder: Path, *more: str, sabotage: str = "") -> subprocess.CompletedProcess[str]:
    _, _, script, *arguments = command(folder, *more, sabotage=sabotage)
    return run_script(script, *arguments, environment=environment(), cwd=ROOT)


def result_of(folder: Path) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return result


def metrics_of(folder: Path) -> list[dict[str, str]]:
    """metrics.csv without what a clock says."""
    with (folder / "metrics.csv").open() as file:
        return [{k: v for k, v in row.items() if not k.startswith("seconds/")} for row in csv.DictReader(file)]


def numbers_of(folder: Path) -> dict[str, object]:
    result = result_of(folder)
    assert result["status"] == "done"
    keys = ("signature", "best_epoch", "epochs", "strata", "masks", "data")
    return {k: v for k, v in result.items() if k.startswith(("val/", "test/")) or k in keys}


def same(a: Any, b: Any) -> bool:
    """Whether two nested states are equal, tensors in every bit."""
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return isinstance(b, type(a)) and len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a whole run of a model; each model runs once."""

    @cache
    def folder_of(model: str) -> Path:
        folder = tmp_path_factory.mktemp("runs") / model
        finished = run(folder, *(STAGED if model == "staged" else (f"model={model}",)))
        assert finished.returncode == 0, finished.stderr
        return folder

    return folder_of


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "moment"),
    # i3mrec_code adds a scheduler, and parameters that two optimisers train
    [*(("i3mrec", moment) for moment in SABOTAGE), ("i3mrec_code", "in mid-epoch")],
)
def test_killed_and_resumed(model: str, moment: str, uninterrupted: Callable[[str], Path], tmp_path: Path) -> None:
    whole = uninterrupted(model)
    sabotage = SABOTAGE[moment].replace("N_EPOCHS", str(len(metrics_of(whole))))
    check_resumed(tmp_path / "killed", whole, (f"model={model}",), sabotage)


@pytest.mark.slow
@pytest.mark.parametrize("moment", STAGED_SABOTAGE)
def test_a_method_with_stages_and_an_opponent_is_resumed(
    moment: str, uninterrupted: Callable[[str], Path], tmp_path: Path
) -> None:
    whole = uninterrupted("staged")
    rows = metrics_of(whole)
    assert [row["stage"] for row in rows] == ["generation"] * 2 + ["joint"] * 3
    assert [bool(row["val/recall@20"]) for row in rows] == [False, False, True, True, True]
    check_resumed(tmp_path / "killed", whole, STAGED, STAGED_SABOTAGE[moment])


def check_resumed(folder: Path, whole: Path, arguments: tuple[str, ...], sabotage: str) -> None:
    """A run that is killed where ``sabotage`` says, then resumed, ends like the ``whole`` one in every bit."""
    killed = run(folder, *arguments, sabotage=sabotage)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert result_of(folder)["status"] == "running"
    resumed = run(folder, *arguments, "ckpt=last")
    assert resumed.returncode == 0, resumed.stderr

    assert numbers_of(folder) == numbers_of(whole)
    assert metrics_of(folder) == metrics_of(whole)
    for table in ("ranks", "topk", "per_user"):
        assert_frame_equal(
            *(pl.read_parquet(where / f"{table}.parquet") for where in (folder, whole)), check_exact=True
        )
    for name in ("best", "last"):
        mine, theirs = (
            torch.load(where / "checkpoints" / f"{name}.ckpt", weights_only=True) for where in (folder, whole)
        )
        for key in ("epoch", "state_dict", "optimizer_states", "side_optimizers"):
            assert same(mine[key], theirs[key]), f"{name}.ckpt differs in {key}"
    assert result_of(folder)["attempt"] == 2
    assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == ["best.ckpt", "last.ckpt"]


@pytest.mark.slow
def test_ctrl_c_leaves_a_resumable_record(uninterrupted: Callable[[str], Path], tmp_path: Path) -> None:
    folder = tmp_path / "interrupted"
    # A test runner in the background hands on that SIGINT is ignored; at a terminal it is not.
    heed = "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    press = heed + SABOTAGE["in mid-epoch"].replace("die()", "os.kill(os.getpid(), signal.SIGINT)")
    interrupted = run(folder, sabotage=press)
    assert interrupted.returncode == 130
    assert "Traceback" not in interrupted.stderr
    assert result_of(folder)["status"] == "interrupted"
    assert run(folder, "ckpt=last").returncode == 0
    assert numbers_of(folder) == numbers_of(uninterrupted("i3mrec"))


def wait_until(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"nothing happened for {seconds} s"
        time.sleep(0.05)


@pytest.mark.slow
def test_a_folder_belongs_to_one_process_and_sigterm_frees_it(tmp_path: Path) -> None:
    folder, asleep, awake = tmp_path / "held", tmp_path / "asleep", tmp_path / "awake"
    tiny = ("dataset.n_users=40", "dataset.n_items=30", "trainer.max_epochs=1")
    nap = f"""
import time
from pathlib import Path
from recmm.models.base import Recommender as R
step = R.training_step
def training_step(self, batch, batch_idx):
    Path({str(asleep)!r}).touch()
    end = time.monotonic() + 120
    while not Path({str(awake)!r}).exists() and time.monotonic() < end: time.sleep(0.05)
    return step(self, batch, batch_idx)
R.training_step = training_step
"""
    with (tmp_path / "output").open("w") as output:
        first = subprocess.Popen(
            command(folder, *tiny, sabotage=nap), stdout=output, stderr=subprocess.STDOUT, env=environment()
        )
    try:
        wait_until(lambda: asleep.exists() or first.poll() is not None)
        assert first.poll() is None, (tmp_path / "output").read_text()
        before = result_of(folder)
        assert before["status"] == "running"
        second = run(folder, *tiny, "ckpt=last")
        assert second.returncode == 1 and "Another run" in second.stderr
        assert "Traceback" not in second.stderr
        assert result_of(folder) == before
        first.send_signal(signal.SIGTERM)
        awake.touch()  # a signal is acted upon between two steps
        assert first.wait(timeout=120) == 128 + signal.SIGTERM
    finally:
        first.kill()
    assert result_of(folder)["status"] == "interrupted", (tmp_path / "output").read_text()
    third = run(folder, *tiny, "ckpt=last")
    assert third.returncode == 0, third.stderr
    assert result_of(folder)["status"] == "done" and result_of(folder)["attempt"] == 2


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
    result = result_of(folder)
    assert result["status"] == "failed" and "consistency" in result["error"]["message"]
