"""Sweeps that are started again, fail, are killed: what runs, what is left alone, what the person is told."""

import errno
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from filelock import FileLock
from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException
from omegaconf import OmegaConf

from recmm.errors import DataError, RunError
from recmm.experiment.config.identity import identity, signature, uses_modalities
from recmm.experiment.records import open_record, read_result
from recmm.experiment.sweep.sweeper import guarded, threads_each
from recmm.experiment.verification import result_digest

SMALL = ("dataset.n_users=60", "dataset.n_items=40", "logger=csv")
SEEDS = ("-m", *SMALL, "model=i3mrec", "missing=full", "sweep.name=mine", "seed=0,1,2")


class Trainer:
    """Stands in for the training: opens a real record, and fails for the seeds that it was told."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, str | None]] = []
        self.failing: set[int] = set()
        self.data = "data"

    def __call__(self, cfg: Any) -> float:
        folder = Path(HydraConfig.get().runtime.output_dir)
        about: dict[str, Any] = {
            "data_digest": self.data,
            "split_name": "split",
            "uses_modalities": uses_modalities(cfg),
        }
        record = open_record(
            folder,
            signature=signature(cfg, **about),
            identity=identity(cfg, **about),
            resume=cfg.ckpt != "never",
            overwrite=cfg.overwrite,
        )
        with record as opened:
            self.seen.append((cfg.seed, cfg.ckpt))
            if cfg.seed in self.failing:
                raise DataError(f"Seed {cfg.seed} is out of order.")
            opened.update(status="done", **{"val/recall@20": 0.25})
        return 0.25


@pytest.fixture
def train(hydra_here: pytest.MonkeyPatch) -> Trainer:
    trainer = Trainer()
    hydra_here.setattr("recmm.experiment.run.train", trainer)
    split = SimpleNamespace(name="split")
    hydra_here.setattr(
        "recmm.experiment.sweep.plan.dataset_reader",
        lambda: lambda cfg: SimpleNamespace(digest=trainer.data, split=split),
    )
    return trainer


def folder_of(seed: int, sweep: Path) -> Path:
    [folder] = sweep.glob(f"*-s{seed}-????????")
    return folder


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    return tmp_path / "multirun_outputs" / "mine"


def test_what_is_done_is_skipped(
    start: Callable[..., int], train: Trainer, sweep: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start(*SEEDS) == 0
    assert train.seen == [(0, "auto"), (1, "auto"), (2, "auto")]
    before = {path: path.stat().st_mtime_ns for path in sweep.glob("*/result.json")}
    capsys.readouterr()
    assert start(*SEEDS, "seed=0,1,2,3") == 0
    assert train.seen[3:] == [(3, "auto")]
    assert before.items() <= {path: path.stat().st_mtime_ns for path in sweep.glob("*/result.json")}.items()
    assert "3 skipped, 1 done" in capsys.readouterr().out


def test_a_failure_stops_nothing_and_is_run_again(
    start: Callable[..., int], train: Trainer, sweep: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train.failing = {1}
    assert start(*SEEDS) == 1
    assert [seed for seed, _ in train.seen] == [0, 1, 2]
    out = capsys.readouterr().out
    assert "2 done, 1 failed" in out and "failed: Seed 1 is out of order." in out
    traceback = (folder_of(1, sweep) / "error.log").read_text()
    assert "Traceback" in traceback and "Seed 1 is out of order." in traceback
    assert "Seed 1 is out of order." in (folder_of(1, sweep) / "train.log").read_text()
    assert not (folder_of(0, sweep) / "error.log").exists()

    assert start(*SEEDS, "sweep.retry_failed=false") == 1
    assert len(train.seen) == 3
    assert "Seed 1 is out of order." in capsys.readouterr().out
    train.failing = set()
    assert start(*SEEDS) == 0
    assert train.seen[3:] == [(1, "never")]
    assert not (folder_of(1, sweep) / "error.log").exists()
    [aside] = sweep.glob("*-s1-*.old-1")
    assert "Seed 1 is out of order." in json.loads((aside / "result.json").read_text())["error"]["message"]


def test_on_request_no_job_starts_after_a_failure(
    start: Callable[..., int], train: Trainer, sweep: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train.failing = {1}
    assert start(*SEEDS, "sweep.on_error=stop") == 1
    assert [seed for seed, _ in train.seen] == [0, 1]
    assert "1 not started" in capsys.readouterr().out
    train.failing = set()
    assert start(*SEEDS, "sweep.on_error=stop") == 0
    assert [seed for seed, _ in train.seen[2:]] == [1, 2]


def test_what_was_killed_goes_on_from_its_last_checkpoint(
    start: Callable[..., int], train: Trainer, sweep: Path
) -> None:
    assert start(*SEEDS) == 0
    for seed, status in ((1, "running"), (2, "interrupted")):
        file = folder_of(seed, sweep) / "result.json"
        result = json.loads(file.read_text()) | {"status": status}
        file.write_text(json.dumps(result | {"sha256": result_digest(result)}))
    assert start(*SEEDS) == 0
    assert train.seen[3:] == [(1, "auto"), (2, "auto")]
    assert (read_result(folder_of(1, sweep)) or {})["attempt"] == 2


def test_what_another_process_works_on_is_left_to_it(
    start: Callable[..., int], train: Trainer, sweep: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start(*SEEDS) == 0
    with FileLock(folder_of(1, sweep) / ".lock"):
        assert start(*SEEDS) == 0
    assert len(train.seen) == 3
    assert "another process is running it" in capsys.readouterr().out


def test_a_job_that_another_process_starts_meanwhile_is_left_to_it(
    start: Callable[..., int], train: Trainer, sweep: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The lock is taken between the plan and the job: no failure, no `error.log`, and on_error=stop does not stop."""
    locks: list[FileLock] = []

    def meanwhile(cfg: Any) -> float:
        folder = Path(HydraConfig.get().runtime.output_dir)
        if cfg.seed == 1 and not locks:
            folder.mkdir(parents=True, exist_ok=True)
            locks.append(FileLock(folder / ".lock", is_singleton=False))
            locks[0].acquire()
        return train(cfg)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("recmm.experiment.run.train", meanwhile)
        assert start(*SEEDS, "sweep.on_error=stop") == 0
    assert [seed for seed, _ in train.seen] == [0, 2]
    out = capsys.readouterr().out
    assert "1 elsewhere" in out and "another process is running it" in out and "2 done" in out
    assert not list(sweep.glob("*/error.log")) and not (sweep / ".called_off").exists()
    locks[0].release()


BAD = {
    "empty": "",
    "cut": '{"format_version": 1, "sta',
    "a list": "[1, 2]",
    "wrong types": '{"format_version": 1, "status": 7, "attempt": "x", "identity": 3}',
    "deep": "[" * 100_000,
    "halves of characters": '{"status": "done", "model": "\\ud800"}',
    "a huge number": '{"status": "done", "signature": "s", "val/recall@20": 1e308}',
}


def test_a_record_that_cannot_be_read_stops_no_other_job(
    start: Callable[..., int], train: Trainer, sweep: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seeds = f"seed={','.join(map(str, range(len(BAD) + 2)))}"
    assert start(*SEEDS, seeds) == 0
    for seed, text in enumerate(BAD.values()):
        (folder_of(seed, sweep) / "result.json").write_text(text)
    loop = folder_of(len(BAD), sweep) / "result.json"
    loop.unlink()
    loop.symlink_to(loop.name)
    capsys.readouterr()
    assert start(*SEEDS, f"{seeds},90") == 1
    assert [seed for seed, _ in train.seen[len(BAD) + 2 :]][-1] == 90
    out = capsys.readouterr().out
    assert "1 skipped" in out and "unreadable: " in out and "Traceback" not in out
    for seed in (0, 1, 2, 3, 4, 5, len(BAD)):
        assert f"{folder_of(seed, sweep).name}: unreadable: " in out


def test_a_finished_record_that_was_changed_is_called_damaged_and_made_again_on_request(
    start: Callable[..., int], train: Trainer, sweep: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start(*SEEDS) == 0
    path = folder_of(1, sweep) / "result.json"
    path.write_text(path.read_text().replace("0.25", "0.75"))
    capsys.readouterr()
    assert start(*SEEDS) == 1
    out = capsys.readouterr().out
    assert "1 damaged" in out and "overwrite=true" in out and len(train.seen) == 3
    assert start(*SEEDS, "overwrite=true") == 0
    assert read_result(folder_of(1, sweep))["val/recall@20"] == 0.25  # type: ignore[index]


def test_other_data_under_the_same_name_are_refused_not_skipped(
    start: Callable[..., int], train: Trainer, sweep: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start(*SEEDS) == 0
    train.data = "changed"
    assert start(*SEEDS) == 1
    assert len(train.seen) == 3
    assert "data.digest differ" not in (out := capsys.readouterr().out) and 'data.digest: was "data"' in out
    assert start(*SEEDS, "overwrite=true") == 0
    assert len(list(sweep.glob("*.old-1"))) == 3


def test_a_method_without_modalities_runs_once_for_all_missing_settings(
    start: Callable[..., int], train: Trainer, sweep: Path
) -> None:
    arguments = ("-m", *SMALL, "sweep.name=mine", "model=lightgcn,i3mrec", "missing=full,mtmt", "seed=0")
    assert start(*arguments) == 0
    names = sorted(path.parent.name.rpartition("-")[0] for path in sweep.glob("*/result.json"))
    assert names == ["i3mrec-synthetic-full-s0", "i3mrec-synthetic-mtmt-s0", "lightgcn-synthetic-any-s0"]


def test_the_name_depends_on_what_is_run_and_not_on_how(
    start: Callable[..., int], train: Trainer, tmp_path: Path
) -> None:
    what = ("-m", *SMALL, "model=i3mrec", "seed=0,1")
    assert start(*what) == 0
    assert start(*reversed(what), "sweep.on_error=stop", "sweep.retry_failed=false") == 0
    assert len(train.seen) == 2
    [sweep] = (tmp_path / "multirun_outputs").iterdir()
    assert sweep.name.startswith("sweep-")
    assert OmegaConf.load(sweep / "sweep.yaml")[-1] == f"sweep.name={sweep.name}"


def test_jobs_side_by_side_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)

    def threads(threads: int | None = None, **launcher: Any) -> int | None:
        return threads_each(OmegaConf.create({"hydra": {"launcher": launcher}, "trainer": {"threads": threads}}))

    assert [threads(n_jobs=n) for n in (1, 2, 3, 8, 16)] == [8, 4, 2, 1, 1]
    assert [threads(n_jobs=n) for n in (-1, -2, -7, -20)] == [1, 1, 4, 8]
    assert threads(cpus_per_task=6) == 6 and threads(cpus_per_task=None) is None
    assert threads(ray={"remote": {"num_cpus": 3}}) == 3 and threads(ray={"init": {}, "remote": {}}) is None
    assert threads() is None
    assert threads(n_jobs=4, threads=1) is None  # said by the user


@pytest.mark.slow
def test_a_sweep_killed_in_mid_job_ends_like_an_uninterrupted_one(
    tmp_path: Path, run_apart: Callable[..., int]
) -> None:
    """Hydra's own sweeper would begin again at job 0 and write over it."""
    arguments = (
        *("-m", *SMALL, "dataset.n_users=150", "dataset.n_items=90", "model=i3mrec", "seed=0,1,2", "sweep.name=mine"),
        *("settings=null", "trainer.max_epochs=4", "trainer.threads=1", "model.training.lr=0.01"),
    )

    def run(output: str, *, killed: bool = False) -> int:
        return run_apart(*arguments, f"paths.output={tmp_path / output}", killed=killed)

    def numbers(output: str) -> dict[str, Any]:
        results = (read_result(path.parent) for path in tmp_path.glob(f"{output}/mine/*/result.json"))
        return {
            r["signature"]: {k: v for k, v in r.items() if k.startswith(("val/", "test/")) or k == "best_epoch"}
            for r in results
            if r is not None
        }

    assert run("killed", killed=True) == -signal.SIGKILL
    statuses = {
        path.parent.name[-11:-9]: json.loads(path.read_text())["status"] for path in tmp_path.rglob("result.json")
    }
    assert statuses == {"s0": "done", "s1": "running"}
    first = folder_of(0, tmp_path / "killed" / "mine")
    before = {path.name: path.stat().st_mtime_ns for path in first.rglob("*") if path.name != ".lock"}
    assert run("killed") == 0
    assert {path.name: path.stat().st_mtime_ns for path in first.rglob("*") if path.name != ".lock"} == before
    assert (read_result(folder_of(1, tmp_path / "killed" / "mine")) or {})["attempt"] == 2
    assert run("whole") == 0
    assert numbers("killed") == numbers("whole")
    assert len(numbers("whole")) == 3
    assert not list((tmp_path / "killed" / "mine").glob("*.old-*"))


def test_a_full_disk_does_not_hide_why_a_job_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: Any) -> float:
        raise RunError("masks.npz cannot be written (No space left on device).")

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("recmm.experiment.sweep.sweeper.replace_atomically", full)
    with pytest.raises(CompactHydraException, match=r"masks\.npz cannot be written"):
        guarded(fails, OmegaConf.create({"sweep": {"on_error": "continue"}}), tmp_path)
