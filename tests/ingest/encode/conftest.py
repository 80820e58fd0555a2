"""A canonical folder to encode for, and the command as a user starts it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner, Result

from recmm.cli import app
from recmm.data.dataset import MultimodalDataset
from recmm.data.formats import write_canonical

RAW = ("item", "text", "image", "audio")


@pytest.fixture
def folder(tiny_dataset: MultimodalDataset, tmp_path: Path) -> Path:
    """60 users x 40 items called i0 to i39, without features."""
    bare = replace(tiny_dataset.select([]), item_ids=[f"i{dense}" for dense in range(40)])
    write_canonical(bare, tmp_path / "bare")
    return tmp_path / "bare"


@pytest.fixture
def write_raw(folder: Path) -> Callable[..., None]:
    """Write raw.parquet into the folder: ``text={3: "..."}`` and the like, null elsewhere."""

    def write(**columns: dict[int, str]) -> None:
        cells = {name: [columns.get(name, {}).get(dense) for dense in range(40)] for name in RAW[1:]}
        table = {"item": [f"i{dense}" for dense in range(40)]} | cells
        pl.DataFrame(table, schema=dict.fromkeys(RAW, pl.String)).write_parquet(folder / "raw.parquet")

    return write


@pytest.fixture
def encode() -> Callable[..., Result]:
    """`python -m recmm data encode`; what the command raises is raised."""

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(app, ["data", "encode", *map(str, arguments)], catch_exceptions=False)

    return run
