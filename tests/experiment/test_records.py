"""Who may write into a folder, and what is left there however a run ends."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from recmm.errors import RunError
from recmm.experiment.checkpoints import write_checkpoint
from recmm.experiment.records import Record, open_record, read_result


def opened(
    folder: Path, *, signature: str = "aaaa", resume: bool = False, overwrite: bool = False, lr: float = 0.1
) -> Any:
    return open_record(
        folder, signature=signature, identity={"model.training.lr": lr}, resume=resume, overwrite=overwrite
    )


def finish(folder: Path) -> None:
    with opened(folder) as record:
        record.update(**{"status": "done", "val/recall@20": 0.5})


def status(folder: Path) -> str:
    return json.loads((folder / "result.json").read_text())["status"]


def test_a_run_is_running_until_it_says_otherwise(tmp_path: Path) -> None:
    with opened(tmp_path) as record:
        assert status(tmp_path) == "running"
        assert record.attempt == 1 and record.resume_from is None
        record.update(status="done")
    result = read_result(tmp_path)
    assert result is not None and result["status"] == "done" and result["wall_seconds"] >= 0
    assert result["versions"]["torch"] and result["machine"]["threads"] >= 1


@pytest.mark.parametrize(
    ("error", "expected"),
    [(ValueError("bad"), "failed"), (KeyboardInterrupt(), "interrupted"), (SystemExit(1), "interrupted")],
)
def test_an_error_becomes_a_status_and_goes_on(tmp_path: Path, error: BaseException, expected: str) -> None:
    with pytest.raises(type(error)), opened(tmp_path):
        raise error
    assert status(tmp_path) == expected
    if expected == "failed":
        assert "bad" in (tmp_path / "train.log").read_text()


def test_what_a_kill_was_writing_is_removed_by_the_next_start(tmp_path: Path) -> None:
    stray = [tmp_path / ".masks.0123abcd.partial.npz", tmp_path / "checkpoints" / ".fresh.0123abcd.partial.ckpt"]
    for path in stray:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"half")
    with opened(tmp_path):
        assert not any(path.exists() for path in stray)


def test_a_finished_run_is_left_as_it_is(tmp_path: Path) -> None:
    finish(tmp_path)
    before = (tmp_path / "result.json").read_bytes()
    with opened(tmp_path) as record:
        assert record.finished and record.result["val/recall@20"] == 0.5
    assert (tmp_path / "result.json").read_bytes() == before


def test_another_signature_is_refused_and_the_keys_are_named(tmp_path: Path) -> None:
    finish(tmp_path)
    for resume in (False, True):
        with (
            pytest.raises(RunError, match=r"model\.training\.lr"),
            opened(tmp_path, signature="bbbb", lr=0.2, resume=resume),
        ):
            pass
    assert status(tmp_path) == "done"


def test_overwrite_moves_the_old_run_aside(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    finish(folder)
    with opened(folder, signature="bbbb", overwrite=True) as record:
        assert not record.finished and record.attempt == 2
        logging.getLogger("recmm").warning("of the second run")
        record.update(status="done")
    assert status(tmp_path / "run.old-1") == "done"
    assert "second" in (folder / "train.log").read_text() and not (tmp_path / "run.old-1" / "train.log").exists()
    with opened(folder, signature="bbbb", overwrite=True):
        pass
    assert (tmp_path / "run.old-2").is_dir()


def test_files_that_are_not_of_a_record_stay_where_they_are(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    finish(folder)
    (folder / "my_notes.txt").write_text("mine")
    with opened(folder, overwrite=True):
        pass
    assert (folder / "my_notes.txt").read_text() == "mine"
    assert not (tmp_path / "run.old-1" / "my_notes.txt").exists()


def test_what_json_does_not_have_becomes_null(tmp_path: Path) -> None:
    with opened(tmp_path) as record:
        record.update(**{"test/novelty@20": float("nan"), "strata": [{"value": float("inf")}]})
    text = (tmp_path / "result.json").read_text()
    assert "NaN" not in text and json.loads(text)["strata"] == [{"value": None}]


def test_an_unfinished_run_is_resumed_or_moved_aside(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with pytest.raises(ValueError, match="broken"), opened(folder) as record:
        write_checkpoint({"epoch": 3}, record.checkpoint("last"))
        raise ValueError("broken")
    with opened(folder, resume=True) as record:
        assert record.resume_from == folder / "checkpoints" / "last.ckpt" and record.attempt == 2
    with opened(folder) as record:
        assert record.resume_from is None and not record.checkpoint("last").exists()
    assert (tmp_path / "run.old-1" / "checkpoints" / "last.ckpt").exists()


def test_two_runs_cannot_write_one_folder(tmp_path: Path) -> None:
    with opened(tmp_path), pytest.raises(RunError, match="Another run"), opened(tmp_path):
        pass


def test_a_damaged_result_is_an_error_not_a_fresh_start(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text("{")
    with pytest.raises(RunError, match="not readable"), opened(tmp_path):
        pass


def test_metrics_hold_every_column_that_any_epoch_has(tmp_path: Path) -> None:
    Record(tmp_path, {}).write_metrics(
        [{"epoch": 0, "train/loss": 1.0}, {"epoch": 1, "train/loss": 0.5, "val/recall@20": 0.25}]
    )
    assert (tmp_path / "metrics.csv").read_text().splitlines() == [
        "epoch,train/loss,val/recall@20",
        "0,1.0,",
        "1,0.5,0.25",
    ]
