"""A report takes its place as a whole, also beside another one and after a kill."""

import os
import time
from pathlib import Path

import pytest

from recmm.data.files.atomic import ABANDONED
from recmm.errors import DataError
from recmm.report.page.place import replaced_as_one


def write(folder: Path, name: str) -> None:
    (folder / "tables").mkdir()
    (folder / "tables" / f"{name}.csv").write_text(name)
    (folder / "index.html").write_text(name)


def test_a_new_report_replaces_the_old_one_and_nothing_else(tmp_path: Path) -> None:
    out = tmp_path / "report"
    with replaced_as_one(out) as new:
        write(new, "first")
        assert not out.exists()
    (out / "notes.txt").write_text("mine")
    with replaced_as_one(out) as new:
        write(new, "second")
        assert (out / "index.html").read_text() == "first"
    assert sorted(path.name for path in out.iterdir()) == ["index.html", "notes.txt", "tables"]
    assert [path.name for path in (out / "tables").iterdir()] == ["second.csv"]
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_a_report_that_is_cut_short_leaves_the_old_one(tmp_path: Path) -> None:
    out = tmp_path / "report"
    with replaced_as_one(out) as new:
        write(new, "first")
    with pytest.raises(KeyboardInterrupt), replaced_as_one(out) as new:
        write(new, "second")
        raise KeyboardInterrupt
    assert (out / "tables" / "first.csv").exists() and [path.name for path in tmp_path.iterdir()] == ["report"]


def test_of_two_reports_at_once_the_last_is_whole(tmp_path: Path) -> None:
    out = tmp_path / "report"
    with replaced_as_one(out) as one:
        write(one, "one")
        with replaced_as_one(out) as two:
            write(two, "two")
    assert (out / "index.html").read_text() == "one"
    assert [path.name for path in (out / "tables").iterdir()] == ["one.csv"]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="report cannot be written"), replaced_as_one(tmp_path / "file" / "report"):
        pass


def test_a_new_report_removes_what_killed_ones_left_long_ago(tmp_path: Path) -> None:
    old, young = tmp_path / ".report.1a.partial", tmp_path / ".report.2b.partial"
    for left in (old, young):
        (left / "tables").mkdir(parents=True)
    long_ago = time.time() - ABANDONED - 1
    for path in (old / "tables", old):
        os.utime(path, (long_ago, long_ago))
    with replaced_as_one(tmp_path / "report") as new:
        write(new, "first")
    assert sorted(path.name for path in tmp_path.iterdir()) == [young.name, "report"]
