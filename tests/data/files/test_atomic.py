"""A target is whole or absent, and nothing else is left beside it."""

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from recmm.data.files.atomic import ABANDONED, atomic_file, atomic_folder, beside, remove_partial, replace_atomically
from recmm.errors import DataError


def test_a_file_replaces_the_old_one_only_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "masks.npz"
    replace_atomically(target, b"old")
    with atomic_file(target) as temporary:
        temporary.write_bytes(b"new")
        assert target.read_bytes() == b"old"
        assert (temporary.parent, temporary.suffix) == (target.parent, ".npz")
    assert target.read_bytes() == b"new"
    assert os.listdir(target.parent) == ["masks.npz"]


def test_text_is_written_as_utf8(tmp_path: Path) -> None:
    replace_atomically(tmp_path / "note.txt", "β = 1")
    assert (tmp_path / "note.txt").read_bytes() == "β = 1".encode()


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_a_failing_block_leaves_the_old_file_and_no_other(tmp_path: Path, failure: type[BaseException]) -> None:
    target = tmp_path / "result.json"
    replace_atomically(target, "old")
    with pytest.raises(failure), atomic_file(target) as temporary:
        temporary.write_text("half")
        raise failure
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["result.json"]


def test_a_folder_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "new" / "catalogue"
    with atomic_folder(target) as temporary:
        (temporary / "features").mkdir()
        (temporary / "features" / "text.npy").write_bytes(b"x")
        assert not target.exists()
    assert (target / "features" / "text.npy").read_bytes() == b"x"
    assert os.listdir(target.parent) == ["catalogue"]


def test_a_failing_block_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), atomic_folder(tmp_path / "catalogue") as temporary:
        (temporary / "half").write_bytes(b"x")
        raise KeyboardInterrupt
    assert os.listdir(tmp_path) == []


def test_an_empty_folder_is_filled_but_a_full_one_is_refused_untouched(tmp_path: Path) -> None:
    with atomic_folder(tmp_path) as temporary:
        (temporary / "a").write_bytes(b"x")
    with pytest.raises(DataError, match="exists already"), atomic_folder(tmp_path):
        pytest.fail("the block must not run")
    assert os.listdir(tmp_path) == ["a"]


def test_a_folder_filled_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    target = tmp_path / "catalogue"
    with pytest.raises(DataError, match="exists already"), atomic_folder(target):
        target.mkdir()
        (target / "theirs").write_bytes(b"x")
    assert os.listdir(tmp_path) == ["catalogue"]
    assert os.listdir(target) == ["theirs"]


def test_what_the_system_refuses_is_a_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    occupied = pytest.raises(DataError, match=r"file.x cannot be written \(Not a directory: .*file")
    with occupied, atomic_folder(tmp_path / "file" / "x"):
        pytest.fail("the block must not run")
    full = pytest.raises(DataError, match=r"full cannot be written \(No space left on device\)")
    with full, atomic_folder(tmp_path / "full") as temporary:
        (temporary / "half").write_bytes(b"x")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert os.listdir(tmp_path) == ["file"]


def test_what_a_kill_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / ".note.1234abcd.partial.txt").write_text("half")
    (tmp_path / ".data.1234abcd.partial").mkdir()
    (tmp_path / ".data.1234abcd.partial" / "x").write_text("half")
    kept = [".lock", "a.partial", "note.txt"]
    for name in kept:
        (tmp_path / name).write_text("whole")
    remove_partial(tmp_path)
    remove_partial(tmp_path / "absent")
    assert sorted(os.listdir(tmp_path)) == kept


def test_a_write_removes_what_a_kill_left_of_the_same_target_long_ago(tmp_path: Path) -> None:
    old, young, other = (tmp_path / f".{name}.partial.yaml" for name in ("sweep.1a", "sweep.2b", "else.3c"))
    long_ago = time.time() - ABANDONED - 1
    for left in (old, young, other):
        left.write_text("half")
    for left in (old, other):
        os.utime(left, (long_ago, long_ago))
    replace_atomically(tmp_path / "sweep.yaml", "whole")
    assert sorted(tmp_path.iterdir()) == sorted([young, other, tmp_path / "sweep.yaml"])


def test_a_write_removes_at_once_what_a_killed_process_of_this_machine_left(tmp_path: Path) -> None:
    target = tmp_path / f"{'very long ' * 20}.yaml"
    ours = beside(target, ".yaml")
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    theirs = ours.with_name(ours.name.replace(f"-{os.getpid()}.", f"-{process.pid}."))
    for left in (ours, theirs):
        left.write_text("half")
    replace_atomically(target, "whole")
    assert sorted(tmp_path.iterdir()) == sorted([ours, target])
