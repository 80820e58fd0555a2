"""Lines of large text files, gzip or plain: streamed, of bounded length, under a progress bar."""

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from rich.console import Console
from rich.progress import wrap_file

from recmm.data.paths import require_file
from recmm.errors import DataError

LONGEST = 1 << 20  # bytes of a line; the longest of the public Amazon files have some 100,000
GZIP = b"\x1f\x8b"


@contextmanager
def watched(file: BinaryIO, path: Path) -> Iterator[BinaryIO]:
    """``file``, opened from ``path``, under a bar on stderr that shows how much of it has been read."""
    console = Console(stderr=True)
    with wrap_file(
        file,
        path.stat().st_size,
        description=path.name,
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as reader:
        yield reader


def lines(path: Path, role: str) -> Iterator[tuple[int, bytes]]:
    """Number, from 1, and content of each line that is not blank; memory is that of one line.

    Args:
        role: what the file holds, for errors and the bar, which shows how much of the file is read.

    Raises:
        MissingFileError: there is no such file.
        DataError: a gzip stream that ends early or is damaged; a line longer than 1 MiB.
    """
    with require_file(path, role).open("rb") as raw:
        packed = raw.read(len(GZIP)) == GZIP
        raw.seek(0)
        number = 0
        with watched(raw, path) as plain:
            stream: Any = gzip.GzipFile(fileobj=plain) if packed else plain
            try:
                for line in iter(partial(io.BufferedReader(stream, 1 << 18).readline, LONGEST + 1), b""):
                    number += 1
                    if len(line) > LONGEST:
                        raise DataError(
                            f"{path}, line {number}: longer than {LONGEST:,} bytes; expected one record per line. "
                            "Is it the right file?"
                        )
                    if not line.isspace():
                        yield number, line
            except (EOFError, OSError, zlib.error) as error:
                raise DataError(
                    f"{path} cannot be read after line {number:,}: its gzip stream is damaged or ends early ({error}). "
                    "Copy or download it again."
                ) from error
