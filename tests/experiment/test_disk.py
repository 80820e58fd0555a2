"""Disks that are full, folders that are deleted and data that change while a run is at work: one sentence each."""

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recmm.data.formats import write_canonical
from recmm.data.synthetic import synthetic
from recmm.experiment.verification import verify
from tests.experiment.runs import at_epoch, result_of, run

NEEDED = ("config.yaml", "masks.npz", "fresh.ckpt", "metrics.csv", "ranks.parquet", "per_user.parquet", "result.json")


@pytest.mark.parametrize("name", NEEDED)
def test_a_full_disk_is_one_sentence(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, n_written = tmp_path / "run", 0

    def replace(source: Path, target: Path) -> None:
        nonlocal n_written
        n_written += Path(target).name == name
        if Path(target).name == name and (name != "result.json" or n_written > 3):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
        move(source, target)

    move = os.replace
    monkeypatch.setattr("recmm.data.files.atomic.os.replace", replace)
    assert run(folder) == 1
    told = capsys.readouterr().err
    file = "last.ckpt" if name == "fresh.ckpt" else name
    assert f"{folder}" in told and f"{file} cannot be written (No space left on device)" in told
    assert "Make room" in told and "Traceback" not in told and told.count("\n") == 1
    monkeypatch.undo()
    if name != "result.json":
        assert result_of(folder)["status"] == "failed" and file in result_of(folder)["error"]["message"]
    assert not [path for path in folder.rglob("*") if ".partial" in path.name]
    assert run(folder) == 0 and verify(folder, deep=True) == []


def test_a_picture_never_fails_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", full)
    assert run(tmp_path / "run") == 0
    assert verify(tmp_path / "run", deep=True) == [] and not (tmp_path / "run" / "curves.png").exists()
    assert "curves.png could not be made" in (tmp_path / "run" / "train.log").read_text()


@pytest.mark.parametrize("gone", ["", "config.yaml", "masks.npz", "train.log", "checkpoints"])
def test_what_is_deleted_meanwhile_is_missed(
    gone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"

    def delete() -> None:
        if (folder / gone).is_dir():
            shutil.rmtree(folder / gone)
        else:
            (folder / gone).unlink()

    at_epoch(monkeypatch, 1, delete)
    assert run(folder) == 1
    told = capsys.readouterr().err
    assert "was deleted or replaced while the run was writing" in told and told.count("\n") == 1
    assert (gone or "the folder itself") in told
    assert folder.exists() is bool(gone) and (not gone or result_of(folder)["status"] != "done")


@pytest.fixture
def features(tmp_path: Path) -> Path:
    """The feature file of a canonical folder."""
    write_canonical(synthetic(n_users=40, n_items=30, modalities=("visual",), seed=0), tmp_path / "data")
    (file,) = (tmp_path / "data").rglob("visual*.npy")
    return file


def run_on(features: Path, folder: Path) -> int:
    return run(folder, "model=vbpr", data=("dataset=canonical", f"dataset.folder={data_of(features)}"))


def data_of(features: Path) -> Path:
    return next(parent for parent in features.parents if (parent / "manifest.json").exists())


def overwrite(file: Path) -> None:
    content = np.load(file, mmap_mode="r+")
    content[3] += 1
    content.flush()
    os.utime(file, (1, 1))


CHANGES = {
    "written in place": overwrite,
    "cut": lambda file: os.truncate(file, file.stat().st_size // 2),
    "empty": lambda file: os.truncate(file, 0),
}


@pytest.mark.parametrize("epoch", [0, 2])
@pytest.mark.parametrize("change", CHANGES)
def test_features_that_change_end_the_run(
    change: str, epoch: int, features: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    at_epoch(monkeypatch, epoch, lambda: CHANGES[change](features))
    assert run_on(features, tmp_path / "run") == 1
    told = capfd.readouterr().err
    assert str(features) in told and "Traceback" not in told and told.count("\n") == 1
    assert result_of(tmp_path / "run")["status"] == "failed"


@pytest.mark.parametrize(
    "touch",
    [
        lambda file: os.utime(file, (1, 1)),
        lambda file: os.replace(shutil.copy(file, f"{file}2"), file),
    ],
    ids=["touched", "replaced"],
)
def test_features_with_the_same_content_do_not(
    touch: Any, features: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_epoch(monkeypatch, 1, lambda: touch(features))
    assert run_on(features, tmp_path / "run") == 0


def test_scores_that_all_tie_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from recmm.models.lightgcn import LightGCN

    represent = LightGCN.represent

    def collapsed(self: LightGCN, view: Any) -> Any:
        made = represent(self, view)
        return made._replace(items=made.items * 0)

    assert run(tmp_path / "sound") == 0 and "collapsed" not in result_of(tmp_path / "sound")
    monkeypatch.setattr(LightGCN, "represent", collapsed)
    assert run(tmp_path / "run") == 0
    assert "100% of the users have the same score" in result_of(tmp_path / "run")["collapsed"]
    assert "The method has collapsed" in (tmp_path / "run" / "train.log").read_text()
