"""Large text files, line by line."""

import gzip
from pathlib import Path

import pytest

from recmm.data.files import text_lines as module
from recmm.data.files.text_lines import lines
from recmm.errors import DataError, MissingFileError

TEXT = b"one\n\n  \ntwo\r\nthree"
NUMBERED = [(1, b"one"), (4, b"two\r"), (5, b"three")]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "some.json.gz"


@pytest.mark.parametrize("packed", [False, True])
def test_numbers_and_lines_whatever_the_name_says(path: Path, packed: bool) -> None:
    path.write_bytes(gzip.compress(TEXT) if packed else TEXT)
    assert list(lines(path, "x")) == NUMBERED


def test_several_gzip_members_are_one_file(path: Path) -> None:
    path.write_bytes(gzip.compress(TEXT[:6]) + gzip.compress(TEXT[6:]))
    assert list(lines(path, "x")) == NUMBERED


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_lines_that_span_blocks(path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(module, "BLOCK", size)
    path.write_bytes(gzip.compress(TEXT + b"\n"))
    assert list(lines(path, "x")) == NUMBERED


def test_nothing(path: Path) -> None:
    path.write_bytes(b"")
    assert list(lines(path, "x")) == []


def test_a_truncated_stream_is_an_error_that_says_how_far_it_went(path: Path) -> None:
    content = gzip.compress(b"".join(b"%d line\n" % number for number in range(200_000)))
    path.write_bytes(content[: len(content) // 2])
    found = 0
    with pytest.raises(
        DataError, match=r"some.json.gz cannot be read beyond [\d,]+ bytes of text: its gzip stream .* ends early"
    ):
        for found, line in lines(path, "x"):
            assert line == b"%d line" % (found - 1)
    assert 0 < found < 200_000


@pytest.mark.parametrize("place", [1, 20, -2, -6])
def test_a_damaged_stream_never_passes(path: Path, place: int) -> None:
    content = bytearray(gzip.compress(TEXT * 100))
    content[place] ^= 0xFF
    path.write_bytes(content)
    if place == 1:  # no gzip any more, so a text file with one odd line
        assert len(list(lines(path, "x"))) > 0
    else:
        with pytest.raises(DataError, match=r"some.json.gz"):
            list(lines(path, "x"))


def test_a_line_without_end_does_not_fill_the_memory(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST", 1000)
    path.write_bytes(gzip.compress(b"short\n" + b"a" * 10_000_000))
    with pytest.raises(DataError, match=r"line 2: longer than 1,000 bytes"):
        list(lines(path, "x"))


def test_no_such_file(path: Path) -> None:
    with pytest.raises(MissingFileError, match="the reviews"):
        list(lines(path, "the reviews"))
