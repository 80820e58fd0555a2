"""Searches: what is drawn, run, told and shown; restarts, failures, deaths; and that test has no part in any of it."""

import itertools
import json
import re
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
import yaml
from filelock import FileLock
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.plugins.launcher import Launcher
from hydra.utils import get_class
from omegaconf import OmegaConf

from recmm.errors import ConfigError, DataError, NonFiniteLossError
from recmm.experiment import launch
from recmm.experiment.config.identity import identity, signature, uses_modalities
from recmm.experiment.config.jobs import check_arguments
from recmm.experiment.records import open_record, read_result
from recmm.experiment.search.space import Dimension, Space, read_space
from recmm.experiment.study import open_study
from recmm.experiment.sweep.plan import Job
from recmm.experiment.sweep.sweeper import launch as launch_jobs
from recmm.experiment.verification import result_digest

optuna = pytest.importorskip("optuna")

SMALL = ("dataset.n_users=60", "dataset.n_items=40", "logger=csv", "sweep.name=mine")
NO_SPACE = "hydra.sweeper.params=null"  # the method's own is left out
GRID = ("search=default", NO_SPACE, *SMALL, "model=lightgcn", "hydra.sweeper.sampler=grid")
TWO = ("model.dim=8,16", "model.n_layers=1")
FOUR = ("model.dim=8,16", "model.n_layers=1,2")
IN_ORDER = [(8, 1), (8, 2), (16, 1), (16, 2)]
SPACES = sorted(path.stem for path in (launch.config_folder() / "search").glob("*.yaml") if path.stem != "default")


class Trainer:
    """Stands in for the training: opens a real record, and scores, prunes, fails or dies as it was told."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int]] = []  # dim, layers
        self.resumed: list[bool] = []
        self.pruned: set[tuple[int, int]] = set()
        self.raised: dict[tuple[int, int], BaseException] = {}

    def __call__(self, cfg: Any) -> float:
        values = (cfg.model.dim, cfg.model.n_layers)
        about: dict[str, Any] = {
            "data_digest": "data",
            "split_name": "split",
            "uses_modalities": uses_modalities(cfg),
        }
        folder, resume = Path(HydraConfig.get().runtime.output_dir), cfg.ckpt != "never"
        self.resumed.append(resume and read_result(folder) is not None)
        record = open_record(
            folder,
            signature=signature(cfg, **about),
            identity=identity(cfg, **about),
            resume=resume,
            overwrite=cfg.overwrite,
        )
        with record as opened:
            self.seen.append(values)
            if values in self.raised:
                raise self.raised[values]
            if values in self.pruned:
                opened.update(status="pruned")
                return float("nan")
            score = values[0] / 100 + values[1] / 1000
            opened.update(status="done", settings_source=cfg.settings_source, **{"val/recall@20": score})
        return score


@pytest.fixture
def train(hydra_here: pytest.MonkeyPatch) -> Trainer:
    trainer = Trainer()
    storages: dict[Path, Any] = {}
    hydra_here.setattr("recmm.experiment.run.train", trainer)
    split = SimpleNamespace(name="split")
    hydra_here.setattr(
        "recmm.experiment.sweep.plan.dataset_reader", lambda: lambda cfg: SimpleNamespace(digest="data", split=split)
    )
    hydra_here.setattr(  # SQLite takes a second to make, and the slow tests below use it
        "recmm.experiment.study._storage",
        lambda folder: storages.setdefault(folder.resolve(), optuna.storages.InMemoryStorage()),
    )
    return trainer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "multirun_outputs" / "mine"


def study_of(folder: Path) -> Any:
    return open_study(folder, OmegaConf.create({"prune": False}))


def states(folder: Path) -> list[str]:
    return [trial.state.name for trial in study_of(folder).trials]


def test_a_grid_is_tried_in_order_and_once(
    start: Callable[..., int], train: Trainer, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start(*GRID, *FOUR, "hydra.sweeper.n_trials=3") == 0
    assert train.seen == IN_ORDER[:3]
    assert start(*GRID, *FOUR, "hydra.sweeper.n_trials=3") == 0
    assert len(train.seen) == 3
    assert start(*GRID, *FOUR) == 0  # a greater budget than there are combinations goes on with the same study
    assert train.seen == IN_ORDER
    assert [trial.value for trial in study_of(folder).trials] == pytest.approx([0.081, 0.082, 0.161, 0.162])
    captured = capsys.readouterr()
    assert "Search (grid): 3 of 4 combinations, by val/recall@20." in captured.err
    assert "4 done, 0 pruned, 0 failed" in captured.out


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_samplers_that_draw_waste_no_run_on_what_is_known(
    start: Callable[..., int], train: Trainer, folder: Path, sampler: str
) -> None:
    assert start(*GRID, *FOUR, f"hydra.sweeper.sampler={sampler}") == 0
    assert sorted(train.seen) == IN_ORDER
    assert set(states(folder)) == {"COMPLETE"} and len(states(folder)) >= 4  # repetitions have the known value
    values = {(t.params["model.dim"], t.params["model.n_layers"]): t.value for t in study_of(folder).trials}
    assert values[("16", "2")] == pytest.approx(0.162)


def test_finished_runs_are_told_and_not_made_again(start: Callable[..., int], train: Trainer, folder: Path) -> None:
    assert start("-m", *SMALL, "model=lightgcn", "model.dim=8,16", "model.n_layers=1") == 0  # a plain sweep
    assert start(*GRID, *FOUR) == 0
    assert train.seen == [(8, 1), (16, 1), (8, 2), (16, 2)]
    assert [trial.value for trial in study_of(folder).trials] == pytest.approx([0.081, 0.082, 0.161, 0.162])


def test_what_fails_stops_nothing_and_is_tried_again(
    start: Callable[..., int], train: Trainer, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train.raised = {(8, 2): DataError("Two layers are out of order.")}
    assert start(*GRID, *FOUR) == 1
    assert train.seen == IN_ORDER
    captured = capsys.readouterr()
    assert "failed: Two layers are out of order." in captured.err and "1 failed" in captured.out
    assert states(folder) == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]

    assert start(*GRID, *FOUR, "sweep.retry_failed=false") == 1
    assert len(train.seen) == 4
    train.raised = {}
    assert start(*GRID, *FOUR) == 0
    assert train.seen[4:] == [(8, 2)]
    assert states(folder) == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE", "COMPLETE"]


def test_on_request_nothing_starts_after_a_failure(start: Callable[..., int], train: Trainer, folder: Path) -> None:
    train.raised = {(8, 1): DataError("One layer is out of order.")}
    assert start(*GRID, *TWO, "sweep.on_error=stop") == 1
    assert train.seen == [(8, 1)]
    train.raised = {}
    assert start(*GRID, *TWO, "sweep.on_error=stop") == 0
    assert train.seen[1:] == [(8, 1), (16, 1)]


def test_hopeless_runs_are_no_failures_and_not_made_again(
    start: Callable[..., int], train: Trainer, folder: Path
) -> None:
    train.pruned = {(16, 2)}
    train.raised = {(16, 1): NonFiniteLossError("The loss became NaN.")}
    assert start(*GRID, *FOUR) == 0
    assert states(folder) == ["COMPLETE", "COMPLETE", "PRUNED", "PRUNED"]
    assert yaml.safe_load((folder / "best.yaml").read_text())["model"] == {"dim": 8, "n_layers": 2}
    assert start(*GRID, *FOUR) == 0
    assert len(train.seen) == 4


def test_nothing_but_hopeless_runs_is_no_success(start: Callable[..., int], train: Trainer, folder: Path) -> None:
    train.pruned = set(IN_ORDER)
    assert start(*GRID, *TWO) == 1
    assert not (folder / "best.yaml").exists()


def test_an_interrupted_search_ends_like_an_uninterrupted_one(
    start: Callable[..., int], train: Trainer, folder: Path
) -> None:
    space = ("model.dim=int(interval(8,99))", "model.n_layers=1,2")
    arguments = (*GRID, *space, "hydra.sweeper.sampler=tpe", "hydra.sweeper.n_trials=4")
    assert start(*arguments, "sweep.name=whole") == 0
    whole = list(train.seen)
    train.seen, train.resumed, train.raised = [], [], {whole[2]: KeyboardInterrupt()}
    assert start(*arguments) == 130
    assert states(folder) == ["COMPLETE", "COMPLETE", "RUNNING"]
    train.raised = {}
    assert start(*arguments) == 0
    assert train.seen == [*whole[:3], *whole[2:]]
    assert train.resumed == [False, False, False, True, False]
    assert states(folder) == ["COMPLETE", "COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]


def test_what_ended_while_the_search_was_dead_is_told(start: Callable[..., int], train: Trainer, folder: Path) -> None:
    train.raised = {(8, 2): KeyboardInterrupt()}
    assert start(*GRID, *FOUR) == 130
    [file] = (path for path in folder.glob("*/result.json") if json.loads(path.read_text())["status"] != "done")
    result = json.loads(file.read_text()) | {"status": "done", "val/recall@20": 0.5}
    file.write_text(json.dumps(result | {"sha256": result_digest(result)}))
    assert start(*GRID, *FOUR) == 0
    assert train.seen == IN_ORDER
    assert [trial.value for trial in study_of(folder).trials] == pytest.approx([0.081, 0.5, 0.161, 0.162])


def test_runs_that_another_process_works_on_are_left_to_it(
    start: Callable[..., int], train: Trainer, folder: Path
) -> None:
    train.raised = {(8, 2): KeyboardInterrupt()}
    assert start(*GRID, *FOUR) == 130
    train.raised = {}
    [file] = (path for path in folder.glob("*/result.json") if json.loads(path.read_text())["status"] != "done")
    with FileLock(file.parent / ".lock"):
        assert start(*GRID, *FOUR) == 1
    assert states(folder) == ["COMPLETE", "RUNNING", "COMPLETE", "COMPLETE"]
    assert start(*GRID, *FOUR) == 0
    assert train.seen[-1] == (8, 2)
    with FileLock(folder / ".search.lock"):
        assert start(*GRID, *FOUR) == 1


def test_trials_go_out_in_batches(
    start: Callable[..., int], train: Trainer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []

    def counting(launcher: Launcher, jobs: Sequence[Job], threads: int | None, **options: bool) -> Any:
        sizes.append(len(jobs))
        return launch_jobs(launcher, jobs, threads, **options)

    monkeypatch.setattr("recmm.experiment.search.searcher.launch", counting)
    assert start(*GRID, *FOUR, "hydra.sweeper.sampler=random", "hydra.sweeper.n_jobs=3") == 0
    assert sizes == [3, 1] and sorted(train.seen) == IN_ORDER
    assert "RUNNING" not in states(folder)


def test_what_is_found_can_be_pasted_and_kept(
    start: Callable[..., int], train: Trainer, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start("search=default", NO_SPACE, *SMALL, "model=lightgcn", *FOUR, "seed=3") == 0
    captured = capsys.readouterr()
    [command] = [line for line in captured.out.splitlines() if line.startswith("python train.py ")]
    assert start(*command.split()[2:]) == 0
    assert train.seen[-1] == (16, 2)
    [again] = (tmp_path / "multirun_outputs" / "single").iterdir()
    assert (folder / again.name).is_dir()  # the same run
    assert (read_result(again) or {})["settings_source"] == "validation"
    best = yaml.safe_load((folder / "best.yaml").read_text())
    assert best == {"settings_source": "validation", "model": {"dim": 16, "n_layers": 2}}
    assert (folder / "best.yaml").read_text().startswith("# @package _global_\n") and command in (
        folder / "best.yaml"
    ).read_text()
    trials = pl.read_csv(folder / "trials.csv")
    assert trials["val/recall@20"].max() == pytest.approx(0.162) and trials["run"].n_unique() == 4
    assert "test/" not in captured.out + captured.err + (folder / "trials.csv").read_text()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("callbacks.early_stopping.monitor=test/recall@20",), 2, "models are selected on validation"),
        (("seed=0,1",), 2, "seed has several values"),
        (("model.ego_l2=interval(0.0,1.0)",), 2, "sampler=grid needs listed values, but model.ego_l2"),
        (("hydra.sweeper.n_trials=0",), 2, "n_trials=0 is too small"),
        (("hydra.sweeper.sampler=best",), 2, "hydra.sweeper.sampler"),
        (("overwrite=true",), 2, "another sweep.name"),
    ],
)
def test_what_cannot_be_searched_is_refused_in_a_sentence(
    start: Callable[..., int],
    train: Trainer,
    arguments: tuple[str, ...],
    code: int,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert start(*GRID, *FOUR, *arguments) == code
    told = capsys.readouterr().err
    assert message in told and "Traceback" not in told
    assert not train.seen


def test_a_study_compares_like_with_like(
    start: Callable[..., int], train: Trainer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start(*GRID, *TWO) == 0
    assert start(*GRID, *TWO, "trainer.max_epochs=3", "model.dim=8,16,32") == 1
    told = capsys.readouterr().err
    assert "trainer.max_epochs: was 1000, is 3" in told and "values of model.dim" in told
    assert start(*GRID, *TWO, "trainer.threads=1", "hydra.sweeper.prune=false") == 0
    assert len(train.seen) == 2


def test_without_optuna_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ConfigError, match=r"pip install 'recmm\[search\]'"):
        open_study(Path(), OmegaConf.create({"prune": False}))


def plain(value: str) -> float | str:
    """A number, or the name of a choice."""
    try:
        return float(value)
    except ValueError:
        return {"none": "null"}.get(value.lower(), value.lower())  # as YAML spells it


@pytest.mark.parametrize("space", SPACES)
def test_every_listed_value_of_a_shipped_space_is_valid(space: str) -> None:
    jobs = check_arguments([f"search={space}", "dataset=tiktok_va", "missing=mtmt"], launch.config_folder())
    listed = {key: str(values).split(",") for key, values in jobs[0].hydra.sweeper.params.items()}
    for key, values in listed.items():
        assert set(map(plain, values)) == {plain(str(OmegaConf.select(job, key))) for job in jobs}
    assert {job.hydra.runtime.choices.model for job in jobs} == {space}


@pytest.mark.parametrize("model", ["mgcn", "lightgcn_m"])
def test_the_default_search_has_the_space_of_the_method(model: str) -> None:
    named, default = (
        check_arguments([f"search={search}", f"model={model}", "dataset=tiktok_va"], launch.config_folder())
        for search in (model, "default")
    )
    assert default[0].hydra.sweeper.params == named[0].hydra.sweeper.params and len(default) == len(named) > 1
    assert {job.hydra.runtime.choices.model for job in default} == {model}


def test_every_trained_method_has_a_space() -> None:
    models = {path.stem: OmegaConf.load(path) for path in (launch.config_folder() / "model").glob("*.yaml")}
    bases = {name for name, node in models.items() if "_target_" in node and get_class(node._target_).trained}
    assert bases <= set(SPACES)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("missing=full,mtmt", "missing has several values"),
        ("callbacks.early_stopping.monitor=val/recall@20,test/recall@20", "monitor has several values"),
        ("model.dim=8", "search space is empty"),
        ("model.dim=int(interval(9,8))", "model.dim: from 9 to 8 is not a valid interval"),
        ("model.ego_l2=tag(log,interval(0,1))", "not a valid interval on a logarithmic scale"),
    ],
)
def test_what_is_no_space_is_refused(argument: str, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        read_space(OverridesParser.create().parse_overrides([argument]))


def test_spaces_are_written_in_hydras_syntax() -> None:
    arguments = ("a=1", "model.a=x,y", "model.b=choice(1,2)", "model.c=range(1,4)", "model.d=int(interval(1,3))")
    real = ("+model.e=tag(log,interval(1e-4,1))", "model.a=y,z,y", "seed=3")  # of two arguments the last one counts
    space = read_space(OverridesParser.create().parse_overrides([*arguments, *real]))
    values = {key: None if d.values is None else list(d.values) for key, d in space.dimensions.items()}
    listed = {"model.a": ["y", "z"], "model.b": ["1", "2"], "model.c": ["1", "2", "3"], "model.d": [1, 2, 3]}
    assert values == listed | {"+model.e": None}
    assert space.dimensions["+model.e"].distribution() == optuna.distributions.FloatDistribution(1e-4, 1, log=True)
    assert space.dimensions["model.d"].distribution() == optuna.distributions.IntDistribution(1, 3)
    assert list(space.fixed) == ["a=1", "seed=3"]
    drawn = {"model.a": "z", "model.b": "2", "model.c": "3", "model.d": 1, "+model.e": 0.00123456}
    assert space.arguments(drawn) == ["model.a=z", "model.b=2", "model.c=3", "model.d=1", "+model.e=0.001235"]


def test_combinations_come_like_nested_loops() -> None:
    space = Space({"a": Dimension(["x", "y"]), "b": Dimension(range(3, 6)), "c": Dimension(["0", "1"])}, [])
    expected = list(itertools.product("xy", (3, 4, 5), "01"))
    assert space.size == 12
    assert [space.key(space.unseen([], number)) for number in range(12)] == expected
    assert space.key(space.unseen(expected[10:] + expected[:2], 10)) == expected[2]  # past the end, the first ones


HOPELESS = (
    *(*GRID, "trainer.max_epochs=6"),
    *("hydra.sweeper.prune_startup=2", "hydra.sweeper.prune_warmup=2", "trainer.threads=1", "trainer.progress=false"),
)


@pytest.mark.slow
def test_a_hopeless_learning_rate_is_pruned(
    start: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert start(*HOPELESS, "hydra.sweeper.prune_startup=3", "model.training.lr=0.02,0.05,0.01,1e-9") == 0
    folder = tmp_path / "multirun_outputs" / "mine"
    trials = study_of(folder).trials
    assert [trial.state.name for trial in trials] == ["COMPLETE"] * 3 + ["PRUNED"]
    assert [max(trial.intermediate_values) for trial in trials] == [5, 5, 5, 2]  # epochs, counted from 0
    for trial in trials[:3]:
        result = read_result(folder / trial.user_attrs["run"]) or {}
        assert trial.value == result["val/recall@20"] == pytest.approx(max(trial.intermediate_values.values()))
        assert result["status"] == "done" and "test/recall@20" in result
    hopeless = read_result(folder / trials[3].user_attrs["run"]) or {}
    assert hopeless["status"] == "pruned"
    assert not [key for key in hopeless if key.startswith(("val/", "test/"))]
    captured = capsys.readouterr()
    assert "3 done, 1 pruned" in captured.out
    assert "test/" not in captured.out + captured.err


@pytest.mark.slow
def test_runs_in_other_processes_report_and_are_pruned(
    start: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    monkeypatch.chdir(tmp_path)
    joblib = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "model.training.lr=0.02,0.05,0.01,1e-9")
    assert start(*HOPELESS, *joblib) == 0
    trials = study_of(tmp_path / "multirun_outputs" / "mine").trials
    assert [trial.params["model.training.lr"] for trial in trials] == ["0.02", "0.05", "0.01", "1e-09"]
    assert [trial.state.name for trial in trials[:2]] == ["COMPLETE"] * 2 and trials[3].state.name == "PRUNED"
    assert list(trials[3].intermediate_values) == [0, 1, 2]
    starts = [trial.datetime_start for trial in trials]
    assert starts[1] < trials[0].datetime_complete < starts[2]  # two were asked for at once


@pytest.mark.slow
def test_a_search_killed_in_mid_run_ends_like_an_uninterrupted_one(
    tmp_path: Path, run_apart: Callable[..., int]
) -> None:
    arguments = (
        *HOPELESS,
        *("hydra.sweeper.sampler=random", "hydra.sweeper.n_trials=4", "model.n_layers=1,2"),
        "model.training.lr=tag(log,interval(1e-3,1e-1))",
    )

    def run(output: str, *, killed: bool = False) -> int:
        return run_apart(*arguments, f"paths.output={tmp_path / output}", killed=killed)

    assert run("killed", killed=True) == -signal.SIGKILL
    killed = tmp_path / "killed" / "mine"
    assert states(killed) == ["COMPLETE", "RUNNING"]
    assert run("killed") == 0
    assert run("whole") == 0

    again, whole = study_of(killed).trials, study_of(tmp_path / "whole" / "mine").trials
    assert [trial.state.name for trial in again][:2] == ["COMPLETE", "FAIL"]
    assert len(again) == 5 and len(whole) == 4
    told = [(t.params, t.state, t.value, t.intermediate_values) for t in again if t.state.name != "FAIL"]
    assert told == [(t.params, t.state, t.value, t.intermediate_values) for t in whole]
    assert (read_result(killed / again[1].user_attrs["run"]) or {})["attempt"] == 2
    assert not list(killed.glob("*.old-*"))
