"""Tables that come in blocks, written as they come: Parquet, CSV or JSON lines."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
from polars.io.plugins import register_io_source

from recmm.data.files.atomic import atomic_file, writing
from recmm.errors import ConfigError

_SINKS: dict[str, Callable[[pl.LazyFrame, Path], Any]] = {
    ".parquet": lambda frame, path: frame.sink_parquet(path),
    ".csv": lambda frame, path: frame.sink_csv(path),
    ".jsonl": lambda frame, path: frame.sink_ndjson(path),
}


def check_suffix(path: Path) -> None:
    """Refuse, before anything is computed, a file whose name does not say how to write it.

    Raises:
        ConfigError: the suffix is none of .parquet, .csv, .jsonl.
    """
    if path.suffix not in _SINKS:
        raise ConfigError(f"--out {path}: its name has to end with one of {', '.join(_SINKS)}.")


def write_blocks(blocks: Iterable[pl.DataFrame], schema: dict[str, Any], path: Path) -> int:
    """Write ``blocks`` to ``path``, which appears whole or not at all; a few blocks are in memory at a time.

    Returns:
        The number of lines.

    Raises:
        ConfigError: see ``check_suffix``.
        DataError: the file cannot be written.
    """
    check_suffix(path)
    n_lines = 0
    raised: list[BaseException] = []

    def source(*_: Any) -> Iterator[pl.DataFrame]:
        nonlocal n_lines
        try:
            for block in blocks:
                n_lines += len(block)
                yield block
        except BaseException as error:  # Polars would turn it into one of its own
            raised.append(error)
            raise

    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with atomic_file(path) as spare:
                _SINKS[path.suffix](register_io_source(source, schema=schema), spare)
        except pl.exceptions.PolarsError:
            if raised:
                raise raised[0] from None
            raise
    return n_lines
