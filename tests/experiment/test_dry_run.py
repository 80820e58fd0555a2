"""`python -m recmm check`: what a long sweep would fail at is found in seconds, and nothing is left behind."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from recmm.cli import app
from recmm.errors import ConfigError
from recmm.experiment.dry_run import dry_run

SMALL = ("dataset.n_users=60", "dataset.n_items=40", "missing=mtmt")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_each_job_but_for_its_seed_is_tried_once(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert dry_run(["-m", *SMALL, "model=popularity,i3mrec", "seed=0,1,2"])
    told = capsys.readouterr().out
    assert told.count(": ok (") == 2 and "6 jobs, 2 tried, 0 would fail" in told
    assert list(elsewhere.iterdir()) == []


def test_what_fails_is_named_and_the_rest_is_tried(capsys: pytest.CaptureFixture[str]) -> None:
    # the step itself fails, the configuration is fine
    assert not dry_run(["-m", *SMALL, "model=lightgcn", "model.training.lr=0.01,1e38", "model.n_layers=1"])
    told = capsys.readouterr().out
    assert told.count(": ok (") == 1 and "2 tried, 1 would fail" in told
    assert "model.training.lr=1e+38" in next(line for line in told.splitlines() if "Error" in line)


def test_the_protocol_is_applied_before_the_excerpt_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    small = ("-m", *SMALL, "model=popularity")
    splits = "split=item_cold_start,random_per_user,temporal_leave_one_out,global_temporal"
    assert dry_run([*small, splits, "dataset.timestamps=true"])
    assert "4 jobs, 4 tried, 0 would fail" in capsys.readouterr().out
    assert not dry_run([*small, splits])
    told = capsys.readouterr().out
    assert "4 tried, 2 would fail" in told and told.count("synthetic has no timestamps in train, val, test") == 2
    assert dry_run([*small, "split=item_cold_start,global_temporal", "dataset.timestamps=true", "eval.candidates=cold"])


def test_a_wrong_argument_is_a_sentence(refusal: Callable[..., tuple[int, str]]) -> None:
    with pytest.raises(ConfigError, match="did you mean 'model'"):
        dry_run(["modle=lightgcn"])
    code, message = refusal("check", "modle=lightgcn")
    assert code == 2 and "did you mean 'model'" in message


def test_the_exit_code_says_whether_all_works() -> None:
    assert CliRunner().invoke(app, ["check", *SMALL, "model=popularity"]).exit_code == 0
    missing = ["check", "dataset=canonical", "dataset.folder=nowhere", "model=popularity"]
    result = CliRunner().invoke(app, missing)
    assert result.exit_code == 1 and "nowhere" in result.output
