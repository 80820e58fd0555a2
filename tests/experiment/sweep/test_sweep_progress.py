"""The line over a whole sweep, from records that are written while it watches."""

import json
from pathlib import Path

import pytest

from recmm.experiment.sweep import progress as sweep_progress
from recmm.experiment.sweep.plan import NEW, Job
from recmm.experiment.sweep.progress import SweepProgress, duration, print_outcomes


def write(job: Job, status: str, attempt: int = 1) -> None:
    job.folder.mkdir(exist_ok=True)
    (job.folder / "result.json").write_text(json.dumps({"status": status, "attempt": attempt}))


def test_the_estimate_follows_the_finished_jobs_of_each_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = 0.0
    monkeypatch.setattr(sweep_progress.time, "monotonic", lambda: clock)
    models = ("fast", "slow", "fast", "slow", "slow")
    jobs = [
        Job(("missing=rate", f"seed={number}"), tmp_path / f"{model}-{number}", model, NEW, 0)
        for number, model in enumerate(models)
    ]
    watch = SweepProgress("mine", jobs, jobs)
    write(jobs[0], "running")
    write(jobs[1], "running")
    watch.look()
    assert watch.seconds_left() is None
    clock = 10.0
    write(jobs[0], "done")
    write(jobs[2], "running")
    watch.look()
    # Side by side two at a time: slow (as long as the only finished one, 10 s gone), fast 10, slow 10, slow 10.
    assert watch.seconds_left() == pytest.approx((0 + 10 + 10 + 10) / 2)
    clock = 30.0
    write(jobs[1], "failed")
    watch.look()
    assert watch.seconds_left() == pytest.approx((0 + 30 + 30) / 1)
    told = capsys.readouterr().err.splitlines()
    assert told[0].startswith("[1/5] fast-0  seed=0: done in 10 s") and told[0].endswith("about 15 s left")
    assert told[1].startswith("[2/5] slow-1  seed=1: failed in 30 s") and told[1].endswith("about 60 s left")


def test_what_an_earlier_start_left_counts_only_when_it_runs_again(tmp_path: Path) -> None:
    job = Job((), tmp_path / "job", "model", "failed", attempt=1)
    write(job, "failed", attempt=1)
    watch = SweepProgress("mine", [job], [job])
    watch.look()
    assert watch.seconds_left() is None
    write(job, "done", attempt=2)
    watch.look()
    assert watch.seconds_left() == 0


def test_the_closing_table_names_what_differs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    jobs = [Job(("model=a", f"missing.rate={rate}"), tmp_path / f"a-{rate}", "a", NEW, 0) for rate in (0.1, 0.9)]
    print_outcomes(jobs, {jobs[0].folder: ("done", ""), jobs[1].folder: ("failed", "no data")}, tmp_path)
    printed = capsys.readouterr().out
    rows = [[cell.strip() for cell in line.split("│")[1:4]] for line in printed.splitlines() if line.startswith("│")]
    assert rows == [["a-0.1", "missing.rate=0.1", "done"], ["a-0.9", "missing.rate=0.9", "failed"]]
    assert "a-0.9: failed: no data" in printed and printed.splitlines()[-1] == f"1 done, 1 failed: {tmp_path}"


@pytest.mark.parametrize(
    ("seconds", "text"), [(41.7, "42 s"), (89.9, "90 s"), (180, "3 min"), (3599, "1 h 00 min"), (7500, "2 h 05 min")]
)
def test_durations_are_read_at_a_glance(seconds: float, text: str) -> None:
    assert duration(seconds) == text
