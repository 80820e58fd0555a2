"""What W&B's own tools read back from the offline files of real runs, and that W&B never costs a run."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import wandb

from recmm.experiment.loggers import close_loggers, wandb_logger
from recmm.experiment.records import Record

SMALL = ("dataset.n_users=60", "dataset.n_items=40", "trainer.max_epochs=2", "trainer.threads=1")
COMMON = (*SMALL, "trainer.progress=false", "missing=rate", "missing.rate=0.5")

# A test runner in the background hands on that SIGINT is ignored; at a terminal it is not. The signal goes to the whole
# process group, as from a terminal or a scheduler: to the process that writes W&B's file, too.
KILL_IN_EPOCH_1 = """
import os, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from recmm.models.base import Recommender as R
step = R.training_step
def training_step(self, batch, batch_idx):
    if self.current_epoch == 1: HOW
    return step(self, batch, batch_idx)
R.training_step = training_step
"""
SPOIL = """
import wandb
from recmm.models.mfbpr import MFBPR
losses = MFBPR.losses
MFBPR.losses = lambda self, batch, view: {name: term * float("nan") for name, term in losses(self, batch, view).items()}
init = wandb.init
def failing_init(**settings):
    if "random" in settings["tags"]: raise wandb.errors.CommError("no answer")
    return init(**settings)
wandb.init = failing_init
"""


def run(*arguments: str, sabotage: str) -> subprocess.CompletedProcess[str]:
    script = f"{sabotage}\nfrom recmm.experiment.launch import main\nraise SystemExit(main())\n"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WANDB")}
    environment |= {"OMP_NUM_THREADS": "1", "WANDB_ERROR_REPORTING": "false", "WANDB__SERVICE_WAIT": "300"}
    return subprocess.run(
        (sys.executable, "-c", script, *COMMON, *arguments),
        capture_output=True,
        text=True,
        env=environment,
        timeout=600,
        check=False,
        start_new_session=True,
    )


def inspect(folder: Path) -> dict[str, Any]:
    """The single offline run of a folder: what `run`, `exit` say, rows of the history, the summary, media files."""
    (path,) = (folder / "wandb").glob("offline-run-*")
    command = (sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(path))
    lines = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True).stdout.splitlines()
    found: dict[str, Any] = {"run": None, "history": [], "summary": {}, "exit": None, "folder": path}
    for record in map(json.loads, lines):
        kind, content = record["type"], record.get(record["type"])
        if kind == "history":
            found["history"].append(content["item"])
        elif kind == "summary":
            found["summary"] |= content["update"]
        elif kind in ("run", "exit"):
            assert found[kind] is None, f"two records of kind {kind}: runs were merged"
            found[kind] = content
    return found


def result_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "result.json").read_text())


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The run folders of four jobs in one process: one trains, one has nothing to train, one fails, one has no W&B."""
    folder = tmp_path_factory.mktemp("sweeps") / "comparison"
    models = ("mfbpr", "lightgcn_m", "popularity", "random")
    finished = run("-m", f"model={','.join(models)}", f"hydra.sweep.dir={folder}", sabotage=SPOIL)
    assert finished.returncode == 1, finished.stderr
    results = {result_of(path.parent)["model"]: path.parent for path in folder.glob("*/result.json")}
    assert set(results) == set(models), finished.stderr
    return results


@pytest.mark.slow
def test_a_finished_run_says_what_it_is(sweep: dict[str, Path]) -> None:
    folder = sweep["lightgcn_m"]
    found, result = inspect(folder), result_of(folder)
    run, config = found["run"], found["run"]["config"]["update"]
    assert found["exit"]["exit_code"] == 0
    assert (run["project"], run["run_group"], run["display_name"]) == ("recmm", "comparison", folder.name)
    assert run["job_type"] == "train" and run["tags"] == ["lightgcn_m", "synthetic", "rate", "rate=0.5"]
    assert result["signature"] in run["run_id"]
    about = config["record"]
    assert about["signature"] == result["signature"] and about["label"] == "lightgcn_m, synthetic, rate, rate=0.5"
    assert about["data_digest"] == result["data"]["digest"] and about["masks_digest"] == result["masks"]["digest"]
    for key in ("model.dim", "model.training.lr", "missing.rate", "seed", "trainer.max_epochs"):
        value: Any = config
        for part in key.split("."):
            value = value[part]
        assert value == result["identity"][key], key


@pytest.mark.slow
def test_curves_end_with_the_fit_and_the_summary_is_that_of_the_record(sweep: dict[str, Path]) -> None:
    folder = sweep["lightgcn_m"]
    found, result = inspect(folder), result_of(folder)
    *curves, last = found["history"]
    assert sorted({row["epoch"] for row in curves}) == [0, 1]
    validated = [row["val/recall@20"] for row in curves if "val/recall@20" in row]
    assert len(validated) == 2 and max(validated) == pytest.approx(result["val/recall@20"], abs=1e-6)
    assert sum("train/loss" in row for row in curves) == 2 and not any("test/recall@20" in row for row in curves)
    metrics = {name: value for name, value in result.items() if name.startswith(("val/", "test/"))}
    assert len(metrics) > 20
    assert {name: found["summary"][name] for name in metrics} == pytest.approx(metrics)
    assert {name: last[name] for name in metrics if name.startswith("test/")} == pytest.approx(
        {name: value for name, value in metrics.items() if name.startswith("test/")}
    )
    assert last["missing/rate"] == 0.5
    assert found["summary"]["best_epoch"] == result["best_epoch"] and found["summary"]["wall_seconds"] > 0
    picture = found["folder"] / "files" / found["summary"]["curves.path"]
    assert picture.read_bytes() == (folder / "curves.png").read_bytes()


@pytest.mark.slow
def test_nothing_to_train_is_an_evaluation_under_any_setting(sweep: dict[str, Path]) -> None:
    found, result = inspect(sweep["popularity"]), result_of(sweep["popularity"])
    assert found["run"]["job_type"] == "evaluate" and found["run"]["tags"] == ["popularity", "synthetic", "any"]
    assert found["exit"]["exit_code"] == 0
    assert found["summary"]["test/recall@20"] == pytest.approx(result["test/recall@20"])
    assert not any("missing/rate" in row for row in found["history"])


@pytest.mark.slow
def test_a_failed_run_is_not_shown_as_finished(sweep: dict[str, Path]) -> None:
    found = inspect(sweep["mfbpr"])
    assert result_of(sweep["mfbpr"])["status"] == "failed" and found["exit"]["exit_code"] == 1
    assert not any(name.startswith("test/") for name in found["summary"])


@pytest.mark.slow
def test_a_run_that_wandb_refuses_is_complete(sweep: dict[str, Path]) -> None:
    assert result_of(sweep["random"])["status"] == "done" and not (sweep["random"] / "wandb").exists()
    log = (sweep["random"] / "train.log").read_text()
    assert log.count("W&B could not start (CommError: no answer)") == 1


@pytest.mark.slow
@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGKILL", -9)])
def test_a_run_ended_by_a_signal(name: str, code: int, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    kill = "os.kill(os.getpid(), signal.SIGKILL)" if name == "SIGKILL" else f"os.killpg(0, signal.{name})"
    ended = run("model=mfbpr", f"hydra.run.dir={folder}", sabotage=KILL_IN_EPOCH_1.replace("HOW", kill))
    assert ended.returncode == code, ended.stderr
    found = inspect(folder)
    if name == "SIGKILL":  # nobody was there to say how it ended: the record is what counts
        assert found["exit"] is None and result_of(folder)["status"] == "running"
    else:
        assert found["exit"]["exit_code"] == 1 and result_of(folder)["status"] == "interrupted"
        assert "val/recall@20" in found["summary"] and "test/recall@20" not in found["summary"]


class FakeRun:
    """Stands for W&B where it breaks at a chosen call."""

    def __init__(self, broken: str) -> None:
        self.broken, self.exit_codes, self.summary = broken, [], self

    def define_metric(self, *_: Any, **__: Any) -> None: ...

    def log(self, row: dict[str, Any]) -> None:
        self._fail_if("log")

    def update(self, values: dict[str, Any]) -> None:
        self._fail_if("summary")

    def finish(self, exit_code: int) -> None:
        self.exit_codes.append(exit_code)
        self._fail_if("finish")

    def _fail_if(self, call: str) -> None:
        if call == self.broken:
            raise wandb.errors.Error(f"{call} is broken")


def record_in(folder: Path) -> Record:
    folder.mkdir(parents=True)
    about = {"model": "lightgcn_m", "dataset": "synthetic", "missing": "mtmt", "imputer": "zero"}
    digests = {"data": {"split": "synthetic", "digest": "d"}, "masks": {"digest": "m"}}
    return Record(folder, {"signature": "0" * 16, "attempt": 1, "uses_modalities": True, **about, **digests})


CONFIG = {
    "model": {"_target_": "recmm.models.LightGCNM", "fusion": ["visual", "textual"]},
    "missing": {"train_rate": 0.3, "test_rate": 0.5, "seed": 0},
}


@pytest.mark.parametrize("broken", ["log", "summary", "finish"])
def test_whatever_breaks_is_said_once(
    broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fake = FakeRun(broken)
    monkeypatch.setattr(wandb, "init", lambda **_: fake)
    logger = wandb_logger(record_in(tmp_path / "sweep" / "run"))
    with caplog.at_level(logging.WARNING):
        logger.log_hyperparams(CONFIG)
        logger.log_metrics({"train/loss": 1.0}, step=0)
        logger.log_metrics({"train/loss": 0.5}, step=1)
        close_loggers([logger], failed=False)
    assert [f"{broken} is broken" in message for message in caplog.messages] == [True]
    assert fake.exit_codes == [0]


def test_only_ctrl_c_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(**_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(wandb, "init", interrupted)
    with pytest.raises(KeyboardInterrupt):
        wandb_logger(record_in(tmp_path / "sweep" / "run")).log_hyperparams(CONFIG)


def test_further_processes_of_a_distributed_run_open_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wandb, "init", lambda **_: pytest.fail("a second process opened a run"))
    record = record_in(tmp_path / "sweep" / "run")
    record.writes = False
    logger = wandb_logger(record)
    logger.log_hyperparams(CONFIG)
    logger.log_metrics({"train/loss": 1.0})
    close_loggers([logger], failed=False)


@pytest.mark.parametrize(
    ("environment", "mode"),
    [({}, "offline"), ({"WANDB_API_KEY": "k"}, "online"), ({"WANDB_API_KEY": "k", "WANDB_MODE": "offline"}, "offline")],
)
def test_what_wandb_is_told(
    environment: dict[str, str], mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    told: dict[str, Any] = {}
    monkeypatch.setattr(wandb, "init", lambda **settings: told.update(settings) or FakeRun("nothing"))
    logger = wandb_logger(record_in(tmp_path / "sweep" / "run"), project="p", group="g")
    logger.log_hyperparams(CONFIG)
    logger.log_hyperparams({"another": "call"})  # Lightning's own, for a method that saves its hyper-parameters
    assert (told["mode"], told["project"], told["group"]) == (mode, "p", "g")
    assert told["settings"].reinit == "create_new" and told["id"].startswith("0" * 16)
    assert told["tags"] == ["lightgcn_m", "synthetic", "mtmt", "train_rate=0.3", "test_rate=0.5"]
    assert told["config"]["model"]["fusion"] == "[visual,textual]"
