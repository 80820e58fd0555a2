"""What a run does with the record in its folder: ckpt=auto, last and never, and more epochs than before."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from recmm.experiment.checkpoints import read_checkpoint
from recmm.experiment.claims import decide
from recmm.experiment.verification import verify
from tests.experiment.runs import at_epoch, numbers_of, result_of, run

EPOCHS = 4


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "whole"
    assert run(folder, epochs=EPOCHS) == 0
    return folder


def interrupt(folder: Path, *arguments: str, epoch: int = 2, epochs: int = EPOCHS) -> None:
    """A run that Ctrl-C ends at the beginning of an epoch."""

    def press() -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        at_epoch(patch, epoch, press)
        assert run(folder, *arguments, epochs=epochs) == 130
    assert result_of(folder)["status"] == "interrupted"


def check_same(folder: Path, whole: Path) -> None:
    assert numbers_of(folder) == numbers_of(whole) and verify(folder, deep=True) == []
    for table in ("ranks", "topk", "per_user"):
        assert_frame_equal(
            *(pl.read_parquet(place / f"{table}.parquet") for place in (folder, whole)), check_exact=True
        )


def test_an_interrupted_run_goes_on_without_being_asked(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    interrupt(folder)
    assert run(folder, epochs=EPOCHS) == 0
    check_same(folder, whole)
    assert result_of(folder)["attempt"] == 2 and "Continuing the interrupted run" in (folder / "train.log").read_text()
    assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == ["best.ckpt", "last.ckpt"]


def test_never_starts_anew(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    interrupt(folder)
    assert run(folder, "ckpt=never", epochs=EPOCHS) == 0
    check_same(folder, whole)
    assert result_of(tmp_path / "run.old-1")["status"] == "interrupted"


def test_last_needs_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path / "typo", "ckpt=last") == 1
    assert "there is no run in" in capsys.readouterr().err and not (tmp_path / "typo" / "result.json").exists()


def test_a_damaged_last_falls_back_to_the_epoch_before(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    interrupt(folder, epoch=3)
    last = folder / "checkpoints" / "last.ckpt"
    epoch = read_checkpoint(last)["epoch"]
    content = bytearray(last.read_bytes())
    content[len(content) // 2] ^= 1
    last.unlink()  # it may be the same file as `best`
    last.write_bytes(content)
    assert read_checkpoint(folder / "checkpoints" / "previous.ckpt")["epoch"] == epoch - 1
    assert run(folder, epochs=EPOCHS) == 0
    check_same(folder, whole)
    told = (folder / "train.log").read_text()
    assert "from previous.ckpt (last.ckpt is damaged" in told


def test_no_checkpoint_that_is_whole(whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "run"
    interrupt(folder)
    for name in ("last", "previous"):
        (folder / "checkpoints" / f"{name}.ckpt").unlink()
        (folder / "checkpoints" / f"{name}.ckpt").write_bytes(b"")
    assert run(folder, "ckpt=last", epochs=EPOCHS) == 1
    assert "last.ckpt is empty" in capsys.readouterr().err
    assert run(folder, epochs=EPOCHS) == 0
    check_same(folder, whole)
    assert (tmp_path / "run.old-1").is_dir()


def test_a_damaged_best_fails_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "run"
    interrupt(folder)
    best = folder / "checkpoints" / "best.ckpt"
    content = bytearray(best.read_bytes())
    content[len(content) // 3] ^= 1
    best.unlink()
    best.write_bytes(content)
    assert run(folder, epochs=EPOCHS) == 1
    assert "best.ckpt is damaged" in capsys.readouterr().err
    with pytest.MonkeyPatch.context() as patch:  # damaged later: found when it is loaded for the test
        at_epoch(patch, EPOCHS - 1, lambda: best.write_bytes(b""))
        patch.setattr("recmm.experiment.callbacks.place_copy", lambda *_: None)
        assert run(folder, "ckpt=never", epochs=EPOCHS) == 1
    assert "best.ckpt is empty" in result_of(folder)["error"]["message"]


def test_a_best_that_scores_otherwise_fails_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from recmm.models.lightgcn import LightGCN

    represent = LightGCN.represent

    def drifting(self: LightGCN, view: Any) -> Any:
        made = represent(self, view)
        return made if self.trainer.state.fn == "fit" else made._replace(items=-made.items)

    monkeypatch.setattr(LightGCN, "represent", drifting)
    assert run(tmp_path / "run") == 1
    assert "in the epoch that wrote it" in result_of(tmp_path / "run")["error"]["message"]


@pytest.mark.parametrize("ended", ["finished", "interrupted"])
def test_more_epochs_end_like_a_run_of_as_many(whole: Path, tmp_path: Path, ended: str) -> None:
    folder = tmp_path / "run"
    if ended == "finished":
        assert run(folder, epochs=2) == 0
    else:
        interrupt(folder, epoch=1, epochs=2)
    before = result_of(folder)
    assert run(folder, "ckpt=last", epochs=EPOCHS) == 0
    check_same(folder, whole)
    assert result_of(folder)["continued_from"] == {
        "max_epochs": 2,
        "status": before["status"],
        "signature": before["signature"],
    }
    assert "trainer.max_epochs was 2 and is 4" in (folder / "train.log").read_text()
    if ended == "finished":  # the shorter run stays a whole record
        assert verify(tmp_path / "run.old-1", deep=True) == [] and result_of(tmp_path / "run.old-1") == before


def test_only_more_epochs_are_continued(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "run"
    assert run(folder, epochs=2) == 0
    before = (folder / "result.json").read_bytes()
    for more, told in ((("ckpt=last", "seed=1"), "seed: was 0"), ((), "trainer.max_epochs: was 2")):
        assert run(folder, *more, epochs=3) == 1
        assert told in capsys.readouterr().err
    assert run(folder, "ckpt=last", epochs=1) == 1
    assert (folder / "result.json").read_bytes() == before


def test_a_stage_that_was_cut_cannot_be_continued(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECMM_TRUST", "tests")
    staged = ("model._target_=tests.models.staged.Staged", "+model.pretrain=2")
    assert run(tmp_path / "run", *staged, epochs=1) == 0
    assert run(tmp_path / "run", *staged, "ckpt=last", epochs=2) == 1
    assert "had cut a stage" in capsys.readouterr().err
    assert verify(tmp_path / "run.old-1") == []


def test_last_is_written_seldom_where_writing_is_slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every epoch here is shorter than 20 writes of its checkpoint; no epoch after the first is the best one."""
    from recmm.experiment.checkpoints import VerifiedCheckpoints

    written = []
    write = VerifiedCheckpoints.save_checkpoint
    monkeypatch.setattr("recmm.experiment.callbacks.WRITING_SHARE", 0.0)

    def save_checkpoint(self: VerifiedCheckpoints, checkpoint: dict[str, Any], path: Path, **_: Any) -> None:
        written.append(checkpoint["epoch"])
        write(self, checkpoint, path)

    monkeypatch.setattr(VerifiedCheckpoints, "save_checkpoint", save_checkpoint)
    frozen = ("model.training.lr=1e-9", "callbacks=none")
    assert run(tmp_path / "run", *frozen, epochs=6) == 0
    assert written == [0, 5]
    monkeypatch.setattr("recmm.experiment.callbacks.WRITING_INTERVAL", 0.0)
    assert run(tmp_path / "second", *frozen, epochs=3) == 0
    assert written[2:] == [0, 1, 2]


def test_a_record_that_cannot_be_read_is_replaced_only_on_request(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text("{")
    wanted = {"signature": "a", "identity": {}, "resume": True, "demanded": False}
    assert decide(tmp_path, overwrite=True, **wanted).what == "aside"
    (tmp_path / "result.json").write_text(json.dumps({"status": "failed", "signature": "a", "identity": {}}))
    found = decide(tmp_path, overwrite=False, **wanted)
    assert found.what == "continue" and found.resume_from is None
