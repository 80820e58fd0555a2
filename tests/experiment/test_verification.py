"""A finished record is a claim: whatever was changed in it is found, named, and never counted as done."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from recmm.cli import main
from recmm.errors import RunError
from recmm.experiment.verification import SEALED, check_records, read_result, result_digest, verify
from tests.experiment.runs import result_of, run


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "whole"
    assert run(folder) == 0
    return folder


@pytest.fixture
def record(finished: Path, tmp_path: Path) -> Path:
    """A copy that may be damaged."""
    return Path(shutil.copytree(finished, tmp_path / "record"))


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


DAMAGES: dict[str, Any] = {
    "a flipped bit": flip,
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "empty": lambda path: path.write_bytes(b""),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"\n"),
    "gone": Path.unlink,
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "a circle of links": lambda path: (path.unlink(), path.symlink_to(path.name)),
}


def test_a_whole_record_lists_all_of_its_files(finished: Path) -> None:
    assert verify(finished, deep=True) == []
    assert set(result_of(finished)["files"]) == set(SEALED)
    assert result_of(finished)["sha256"] == result_digest(result_of(finished))


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_named(record: Path, damage: str) -> None:
    for name in SEALED:
        path = record / name
        before = path.read_bytes()
        DAMAGES[damage](path)
        (told,) = verify(record)
        assert told.startswith(name), told
        if path.is_dir():
            path.rmdir()
        path.unlink(missing_ok=True)
        path.write_bytes(before)
    assert verify(record) == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"test/recall@20": 1e299}, "outside its range"),
        ({"test/recall@20": 1e308}, "not a finite number"),
        ({"test/recall@20": 10**400}, "not a finite number"),
        ({"test/recall@20": -0.1}, "outside its range"),
        ({"test/recall@20": "0.5"}, "not a finite number"),
        ({"val/ndcg@10": None}, "not a finite number"),
        ({"val/ndcg@10": True}, "not a finite number"),
        ({"test/gini@5": 1.5}, "outside its range"),
        ({"identity": []}, "identity"),
        ({"seed": "0"}, "seed"),
        ({"attempt": 0}, "attempt"),
        ({"wall_seconds": -1.0}, "wall_seconds"),
        ({"cpu_seconds": -1.0}, "cpu_seconds"),
        ({"files": {"a": 3}}, "files"),
        ({"files": {"../masks.npz": {"bytes": 1, "sha256": ""}}}, "is listed, but no file of a record"),
        ({"test/recall@20": 0.123}, "mean of per_user.parquet"),
        ({"masks": {"digest": "0"}}, "other masks"),
    ],
)
def test_a_changed_entry_is_named_even_under_a_right_digest(record: Path, changes: dict[str, Any], told: str) -> None:
    result = result_of(record) | changes
    (record / "result.json").write_text(json.dumps(result | {"sha256": result_digest(result)}))
    assert any(told in damage for damage in verify(record, deep=True))
    (record / "result.json").write_text(json.dumps(result))
    assert verify(record)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", "\x00", '{"a": NaN}', '{"a": "\\ud800"}', "[" * 100_000, '{"status": 1}', "9" * 5000]
)
def test_an_unreadable_result_is_a_sentence(record: Path, text: str) -> None:
    (record / "result.json").write_text(text)
    (told,) = verify(record)
    assert "result.json" in told and len(told) < 600
    assert run(record) == 1
    assert (record / "result.json").read_text() == text


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")], ids=["a pipe", "a device"])
def test_a_result_that_never_ends_is_not_read(record: Path, make: Any) -> None:
    (record / "result.json").unlink()
    make(record / "result.json")
    (told,) = verify(record)
    assert "result.json cannot be read (it is no regular file)" in told


def test_a_lost_result_is_missed(record: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (record / "result.json").unlink()
    assert not check_records([record])
    assert capsys.readouterr().out == "record: damaged: result.json is not there\n"


@pytest.mark.parametrize("key", ["sha256", "files", "status"])
def test_an_entry_that_is_gone_is_missed(record: Path, key: str, capsys: pytest.CaptureFixture[str]) -> None:
    result = result_of(record)
    del result[key]
    (record / "result.json").write_text(json.dumps(result))
    assert not check_records([record])
    assert "was changed after the run wrote it" in capsys.readouterr().out


def test_an_unfinished_record_that_was_changed_is_not_continued(record: Path) -> None:
    (record / "result.json").write_text(json.dumps(result_of(record) | {"status": "dona"}))
    with pytest.raises(RunError, match="was changed after the run wrote it"):
        read_result(record)
    assert run(record) == 1


def test_a_table_of_other_numbers_does_not_agree(record: Path) -> None:
    result = result_of(record)
    del result["files"], result["sha256"]  # as from before digests were kept
    (record / "result.json").write_text(json.dumps(result))
    assert verify(record, deep=True) == []
    table = pl.read_parquet(record / "per_user.parquet")
    table.with_columns(pl.col("recall@20") / 2).write_parquet(record / "per_user.parquet")
    assert verify(record) == []
    assert "test/recall@20" in " ".join(verify(record, deep=True))


def test_a_damaged_run_is_refused_and_made_again_on_request(record: Path, capsys: pytest.CaptureFixture[str]) -> None:
    numbers = result_of(record)["test/recall@20"]
    flip(record / "per_user.parquet")
    before = {path: path.read_bytes() for path in record.rglob("*.*") if path.is_file()}
    capsys.readouterr()
    assert run(record) == 1
    told = capsys.readouterr().err
    assert "DamagedRecordError" in told and "per_user.parquet was changed" in told and told.count("\n") == 1
    assert {path: path.read_bytes() for path in record.rglob("*.*") if path.is_file()} == before
    assert run(record, "ckpt=never") == 0
    assert verify(record) == [] and result_of(record)["test/recall@20"] == numbers
    assert verify(record.with_name("record.old-1"))


def test_the_command_prints_one_line_for_each_record(
    record: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(record, record.parent / "second")
    running = record.parent / "third"
    running.mkdir()
    (running / "result.json").write_text('{"status": "running"}')
    assert check_records([record.parent])
    assert capsys.readouterr().out.splitlines() == ["record: ok", "second: ok", "third: not finished (running)"]
    flip(record / "checkpoints" / "best.ckpt")
    monkeypatch.setattr("sys.argv", ["recmm", "check", "--records", str(record), str(record.parent / "second")])
    with pytest.raises(SystemExit) as left:
        main()
    lines = capsys.readouterr().out.splitlines()
    assert left.value.code == 1 and lines[0].startswith("record: damaged: checkpoints/best.ckpt") and len(lines) == 2
