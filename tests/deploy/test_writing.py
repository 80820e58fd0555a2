"""Tables in blocks: what stops one stays itself, and leaves no file."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from recmm.deploy.writing import write_blocks
from recmm.errors import RunError


def test_an_error_in_a_block_is_not_polars_own_and_leaves_nothing(tmp_path: Path) -> None:
    def blocks() -> Iterator[pl.DataFrame]:
        yield pl.DataFrame({"a": [1]})
        raise RunError("the second block")

    with pytest.raises(RunError, match="the second block"):
        write_blocks(blocks(), {"a": pl.Int64}, tmp_path / "x.parquet")
    assert not list(tmp_path.iterdir())


def test_no_block_is_an_empty_table(tmp_path: Path) -> None:
    assert write_blocks([], {"a": pl.Int64}, tmp_path / "x.parquet") == 0
    assert pl.read_parquet(tmp_path / "x.parquet").schema == {"a": pl.Int64}
