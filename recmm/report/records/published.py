"""Reads the numbers that papers print (`published.csv`)."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from recmm.errors import RunError
from recmm.experiment.config.identity import rounded

COLUMNS = ("table", "dataset", "missing", "method", "variant", "rate", "metric", "value", "note")
EXPERIMENTS = Path("experiments")


def find_published(folders: Sequence[Path]) -> list[Path]:
    """``published.csv`` of the experiments that the sweeps are named after, in the sweep or under ``experiments/``."""
    places = [path for folder in folders for path in (folder, EXPERIMENTS / folder.resolve().name)]
    return list(dict.fromkeys(path / "published.csv" for path in places if (path / "published.csv").exists()))


def read_published(paths: Sequence[Path]) -> pl.DataFrame:
    """The files as one frame of ``COLUMNS``: rate is a number, all others are text, empty fields are null.

    Raises:
        RunError: a file cannot be read, lacks a column, or holds a rate or value that is no number.
    """
    empty = pl.DataFrame(schema=dict.fromkeys(COLUMNS, pl.String) | {"rate": pl.Float64})
    return pl.concat([empty, *map(_read, paths)])


def _read(path: Path) -> pl.DataFrame:
    try:
        table = pl.read_csv(path, infer_schema=False)
    except (OSError, UnicodeDecodeError, pl.exceptions.PolarsError) as error:
        raise RunError(f"{path} cannot be read as CSV ({error}); it needs the columns {', '.join(COLUMNS)}.") from error
    if lacking := [name for name in COLUMNS if name not in table.columns]:
        raise RunError(f"{path} lacks the columns {', '.join(lacking)}; it needs {', '.join(COLUMNS)}.")
    try:
        table["value"].cast(pl.Float64)  # kept as printed: 0.0220 has one digit more than 0.022
        return table.select(COLUMNS).with_columns(
            pl.col("rate").cast(pl.Float64).map_elements(rounded, return_dtype=pl.Float64)
        )
    except pl.exceptions.PolarsError as error:
        raise RunError(f"{path}: rate and value have to be numbers or empty ({error}).") from error
