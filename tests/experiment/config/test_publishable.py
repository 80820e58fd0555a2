"""What a record shows of its configuration and of messages, and that a whole record names nobody."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from recmm.experiment.config.identity import register_resolvers
from recmm.experiment.config.publishable import publishable, publishable_text, publishable_values
from tests.experiment.runs import SYNTHETIC, TINY

ROOT = Path(__file__).parents[3]


def test_references_and_names_stand_for_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register_resolvers()
    for name, value in {"TOKEN": "s", "RECMM_DATA": str(tmp_path), "RECMM_SEED": "5", "NUMBER": "7"}.items():
        monkeypatch.setenv(name, value)
    cfg = OmegaConf.create(
        {
            "paths": {"data": "${recmm.path:${oc.env:RECMM_DATA,data}}", "output": str(tmp_path / "out")},
            "folder": "${paths.data}/tiktok",
            "token": "${oc.env:TOKEN}",
            "inner": ["${token}", "of ${token}", str(tmp_path / "x.npy")],
            "default": "${oc.env:ABSENT,${oc.env:TOKEN}}",
            "seed": "${oc.decode:${oc.env:RECMM_SEED}}",
            "number": "${oc.decode:${oc.env:NUMBER}}",
            "same": "${seed}",
            "plain": 0.5,
        }
    )
    assert publishable(cfg) == {
        "paths": {"data": "${oc.env:RECMM_DATA,data}", "output": "out"},
        "folder": "${oc.env:RECMM_DATA,data}/tiktok",
        "token": "${oc.env:TOKEN}",
        "inner": ["${oc.env:TOKEN}", "of ${oc.env:TOKEN}", "x.npy"],
        "default": "${oc.env:ABSENT,${oc.env:TOKEN}}",
        "seed": 5,
        "number": "${oc.env:NUMBER}",
        "same": 5,
        "plain": 0.5,
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("HOME/data/x y.npy is cut", "~/data/x y.npy is cut"),
        ("see HOME: nothing", "see ~: nothing"),
        (f"{os.sep}srv/ann/data/q.py:3", ".../q.py:3"),
        ("'" + "/" + "scratch/ann/x'", "'.../x'"),
        ("file:///" + "srv/ann/x", "file://.../x"),
        ("C:" + "\\Users\\ann\\x.txt", "...\\x.txt"),
        ("val/recall@20 of 3/4/5 at https://example.org/a/b", "val/recall@20 of 3/4/5 at https://example.org/a/b"),
        (f"{ROOT}/recmm/experiment/run.py", "recmm/experiment/run.py"),
    ],
)
def test_folders_leave_messages(text: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "an n"))
    text = text.replace("HOME", str(tmp_path / "an n"))
    assert publishable_text(text) == expected
    assert publishable_values({"a": [text, 3, None]}) == {"a": [expected, 3, None]}


@pytest.mark.slow
def test_a_record_names_nobody(tmp_path: Path) -> None:
    """Under a telltale home, user, remote, host and variable, with W&B and TensorBoard, finished and failed."""
    home = tmp_path / "telltale home"
    project = home / "telltale_project"
    project.mkdir(parents=True)
    for command in (("init", "-q"), ("remote", "add", "origin", "https://telltale:telltale@example.org/telltale.git")):
        subprocess.run(("git", *command), cwd=project, check=True)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("WANDB")} | {
        **{"HOME": str(home), "USER": "telltale", "LOGNAME": "telltale", "EMAIL": "telltale@example.org"},
        **{"TELLTALE": "telltale", "RECMM_DATA": str(home / "data"), "PYTHONPATH": str(ROOT), "WANDB_MODE": "offline"},
    }
    common = (
        *(*TINY, *SYNTHETIC, "logger=default", "paths.output='~/out'", "trainer.max_epochs=1"),
        "+logger.tensorboard._target_=recmm.experiment.loggers.tensorboard_logger",
        "sweep.name=${oc.env:TELLTALE}",
    )
    fail = "import recmm.models.base as b\ndef step(*_): raise ValueError(__import__('pathlib').Path.home())\n"
    fail += "b.Recommender.training_step = step\n"
    begin = (
        "import socket\nsocket.gethostname = lambda: 'telltalehost'\nfrom recmm.experiment.launch import main\nmain()"
    )
    for folder, script in (("whole", begin), ("failed", fail + begin)):
        arguments = (*common, f"hydra.run.dir=runs/{folder}")
        done = subprocess.run(
            (sys.executable, "-c", script, *arguments), cwd=project, env=environment, capture_output=True, check=False
        )
        assert done.returncode == (folder == "failed"), done.stderr.decode()
        files = [path for path in (project / "runs" / folder).rglob("*") if path.is_file()]
        assert {"result.json", "config.yaml", "train.log"} <= {path.name for path in files}
        assert any(path.suffix == ".wandb" for path in files) and any("tfevents" in path.name for path in files)
        telling = [path.name for path in files if b"telltale" in path.read_bytes() or "telltale" in path.name]
        assert not telling
