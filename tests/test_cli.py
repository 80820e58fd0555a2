"""`python -m recmm`: commands, and `train` as a second door to the same entry."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import recmm
from recmm.cli import app

REPOSITORY = Path(recmm.__file__).resolve().parents[1]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["model=lightgcn", "seed=1"],
        ["-m", "seed=0,1", "model=lightgcn"],
        ["seed=0,1", "--multirun"],
        ["--help"],
        ["--cfg", "job", "-p", "eval", "seed=1"],
        ["~callbacks.early_stopping", "+model.dim=8", "--config-dir", "mine"],
    ],
)
def test_train_hands_its_arguments_on_as_they_are(monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    seen: list[list[str]] = []
    monkeypatch.setattr("recmm.experiment.launch.main", lambda given: seen.append(list(given)))
    result = CliRunner().invoke(app, ["train", *arguments])
    assert result.exit_code == 0, result.output
    assert seen == [arguments]


def test_version() -> None:
    assert CliRunner().invoke(app, ["--version"]).output == f"recmm {recmm.__version__}\n"


def test_without_a_command_the_commands_are_listed() -> None:
    assert "train" in CliRunner().invoke(app, []).output


def test_an_unknown_command_is_refused() -> None:
    assert CliRunner().invoke(app, ["trian"]).exit_code == 2


def python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=env, capture_output=True, text=True, check=False
    )


def test_both_doors_lead_to_the_same_configuration(tmp_path: Path) -> None:
    arguments = ["--cfg", "job", "model=lightgcn", "model.dim=8"]
    module = python(tmp_path, "-m", "recmm", "train", *arguments)
    script = python(tmp_path, str(REPOSITORY / "train.py"), *arguments)
    assert module.returncode == script.returncode == 0, module.stderr
    assert "dim: 8" in module.stdout and module.stdout == script.stdout


def test_a_typo_is_the_same_sentence_and_exit_code(tmp_path: Path) -> None:
    result = python(tmp_path, "-m", "recmm", "train", "trainer.max_epoch=1")
    assert result.returncode == 2
    assert result.stderr.startswith("ConfigError: There is no key trainer.max_epoch; did you mean 'max_epochs'?")
