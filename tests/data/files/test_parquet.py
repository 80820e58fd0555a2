"""Damaged Parquet files cost nobody's process."""

from pathlib import Path

import polars as pl
import pytest

from recmm.data.files import parquet
from recmm.data.files.parquet import try_parquet
from recmm.errors import ColumnError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "x.parquet"
    pl.DataFrame({"user": ["a", "b"], "item": ["x", "y"], "time": [1, 2]}).write_parquet(path)
    return path


def test_a_sound_file(path: Path) -> None:
    try_parquet(path)


def test_a_file_that_ends_early(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ColumnError, match=r"x.parquet is not a readable Parquet file: .+\. Write it again"):
        try_parquet(path)


def test_a_file_that_ends_the_process_that_reads_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = "memory allocation of 2305843009213693952 bytes failed"  # by Polars 2.1 on a file with three bytes changed
    monkeypatch.setattr(parquet, "TRIAL", f"import os; os.write(2, b'{said}\\nnote: see there\\n'); os.abort()")
    with pytest.raises(ColumnError, match=rf"x.parquet is not a readable Parquet file: {said}\. Write it again"):
        try_parquet(path)


def test_a_small_file_of_a_large_table(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "MEMORY", 1 << 28)
    pl.select(pl.repeat("the same text everywhere", 20_000_000)).lazy().sink_parquet(path)
    assert path.stat().st_size < 1 << 20
    with pytest.raises(ColumnError, match=r"x\.parquet"):
        try_parquet(path)


def test_a_file_that_takes_for_ever(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "TRIAL", "import time; time.sleep(600)")
    monkeypatch.setattr(parquet, "SECONDS", 0)
    with pytest.raises(ColumnError, match="reading it does not end"):
        try_parquet(path)
