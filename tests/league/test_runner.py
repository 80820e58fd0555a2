"""A league runs, is interrupted and goes on: which jobs run, what the rows hold, whose job a job is."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from filelock import FileLock

import recmm.league.runner as runner_module
from recmm.errors import ConfigError, NonFiniteLossError, RunError
from recmm.experiment.config.build import build_model
from recmm.experiment.verification import read_result
from recmm.league.command import PLACE
from recmm.league.jobs import Jobs
from recmm.league.league import read_league
from recmm.league.rows import read_rows, write_rows
from recmm.league.runner import Runner
from recmm.league.standing import Standing
from tests.forks import KILL_IN_THE_SECOND_RUN, run_script

RESULTS = PLACE / "results" / "made.csv"


@pytest.fixture
def trained(hydra_here: pytest.MonkeyPatch) -> list[list[str]]:
    """The arguments of every run that is started."""
    started: list[list[str]] = []
    train = runner_module.train_in_process

    def note(arguments: list[str]) -> int:
        started.append(arguments)
        return train(arguments)

    hydra_here.setattr(runner_module, "train_in_process", note)
    hydra_here.setattr("recmm.experiment.run.draw_curves", lambda *args: None)
    return started


def run(file: str, *only: str, **keywords: Any) -> bool:
    return Runner(Jobs(read_league(file)), PLACE, **keywords).run(only)


def test_every_cell_gets_its_trials_and_the_winner_its_seeds(
    trained: list[list[str]], finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, rows = "tiny.yaml", read_rows(RESULTS)
    cells = [(row["model"], row["missing"]) for row in rows]
    assert list(dict.fromkeys(cells)) == [
        *(("popularity", "any"), ("mfbpr", "any"), ("vbpr", "full"), ("vbpr", "rate0.9")),
    ], "the cheapest first, methods without features once"
    assert [cells.count(cell) for cell in dict.fromkeys(cells)] == [2, 3, 3, 3]
    assert [row["kind"] for row in rows if row["model"] == "mfbpr"] == ["trial", "trial", "seed"]
    assert all(row["cpu_seconds"] > 0 and row["status"] == "done" and row["results_version"] for row in rows)
    assert {row["mask_seed"] for row in rows if row["missing"] == "any"} == {None}
    trials = [row for row in rows if (row["model"], row["missing"], row["kind"]) == ("vbpr", "full", "trial")]
    winner = max(trials, key=lambda row: row["val_recall@20"])
    [again] = [row for row in rows if (row["model"], row["missing"], row["kind"]) == ("vbpr", "full", "seed")]
    assert again["overrides"] == winner["overrides"].replace("seed=0 m", "seed=1 m"), "selected on validation"
    best = yaml.safe_load((PLACE / "best" / "made_full_vbpr.yaml").read_text())
    assert f"model.training.lr={best['model']['training']['lr']:g} " in winner["overrides"]
    assert len(list((PLACE / "best").iterdir())) == 4
    assert run(file) and not trained, "started again there is nothing to do"
    assert "0 done" in capsys.readouterr().err
    write_rows(RESULTS, [row | {"results_version": row["results_version"] - 1} for row in rows])
    standing = Standing(Jobs(read_league(file)), PLACE / "results", ["popularity"])
    assert [standing.state(job) for _, job in standing.cells[0].jobs()] == ["stale"], "no winner yet"


def test_a_finished_run_without_its_row_is_not_run_again(trained: list[list[str]], finished: Path) -> None:
    """A kill between the end of a run and its row."""
    before = read_rows(RESULTS)
    write_rows(RESULTS, before[:-1])
    assert run("tiny.yaml", "vbpr") and len(trained) == 1
    assert read_rows(RESULTS) == before, "the seconds, too, are those of the run"


def test_the_hours_end_between_jobs_and_another_process_keeps_its_job(
    league_file: Callable[..., str], trained: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    file = league_file(seeds=[0])
    times = iter(range(0, 36_000, 600))
    assert run(file, hours=0.6, clock=lambda: float(next(times)))
    assert len(trained) == 1 and "hours are over" in capsys.readouterr().err
    standing = Standing(Jobs(read_league(file)), PLACE / "results", ["mfbpr"])
    [cell] = standing.cells
    folder = cell.trials[0].folder.parent / ".league"
    with FileLock(folder / f"{cell.trials[0].configuration}.lock"):
        assert run(file, "mfbpr")
    assert "1 done, 1 elsewhere" in capsys.readouterr().err
    assert len(read_rows(RESULTS)) == 2


def test_a_loss_that_is_lost_counts_as_a_trial_and_another_failure_does_not(
    league_file: Callable[..., str], trained: list[list[str]], hydra_here: pytest.MonkeyPatch
) -> None:
    errors: dict[str, Exception] = {"0.001": NonFiniteLossError("NaN"), "0.01": RunError("The disk is full.")}

    def fail(cfg: Any, *args: Any) -> Any:
        if error := errors.get(str(cfg.model.training.lr)):
            raise error
        return build_model(cfg, *args)

    hydra_here.setattr("recmm.experiment.run.build_model", fail)
    file = league_file(seeds=[0, 1])
    assert not run(file, "mfbpr"), "one failed"
    [row] = read_rows(RESULTS)
    assert row["status"] == "diverged" and row["val_recall@20"] is None
    errors.clear()
    assert run(file, "mfbpr")
    assert [(row["status"], row["kind"]) for row in read_rows(RESULTS)] == [
        *(("diverged", "trial"), ("done", "trial"), ("done", "seed")),
    ]


def test_more_trials_need_a_budget_of_seconds_and_names_are_checked(league_file: Callable[..., str]) -> None:
    grid = {"mfbpr": {"seconds": 2, "trials": ["model.dim=4,8", "model.dim=16"]}}
    with pytest.raises(ConfigError, match="3 trials of 2 s exceed the budget of 2 trials or 0 CPU seconds"):
        Jobs(read_league(league_file(methods=grid))).trials()
    jobs = Jobs(read_league(league_file(methods=grid, cpu_seconds=6)))
    assert [job.values for job in jobs.trials()] == [("model.dim=4",), ("model.dim=8",), ("model.dim=16",)]
    with pytest.raises(ConfigError, match="no method mgcn: choose among mfbpr"):
        jobs.trials(["mgcn"])


@pytest.mark.slow
def test_a_league_that_is_killed_in_the_middle_of_a_run_goes_on(league_file: Callable[..., str]) -> None:
    methods = {"mfbpr": {"seconds": 3, "trials": "model.training.lr=0.001,0.01 model.dim=4"}}
    file = league_file(methods=methods, arguments="trainer.max_epochs=4", seeds=[0])
    start, environment = "\nfrom recmm.cli import main\nmain()\n", {**os.environ, "OMP_NUM_THREADS": "1"}
    arguments = ("league", "run", "--league", file)
    ended = run_script(KILL_IN_THE_SECOND_RUN + start, *arguments, environment=environment, cwd=Path.cwd())
    assert ended.returncode != 0 and len(read_rows(RESULTS)) == 1
    again = run_script(start, *arguments, environment=environment, cwd=Path.cwd())
    assert again.returncode == 0 and "1 done" in again.stderr, "the finished run is not repeated"
    rows = read_rows(RESULTS)
    assert [row["epochs"] for row in rows] == [4, 4] and len({row["signature"] for row in rows}) == 2
    attempts = [read_result(path.parent) for path in Path("multirun_outputs/league").glob("mfbpr*/result.json")]
    assert sorted(result["attempt"] for result in attempts if result) == [1, 2], "the killed run went on"
