"""Lines of large text files, gzip or plain: streamed, of bounded length, under a progress bar."""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from rich.console import Console
from rich.progress import wrap_file

from recmm.data.paths import require_file
from recmm.errors import DataError

LONGEST = 1 << 20  # bytes of a line, up to a block more
BLOCK = 1 << 18  # bytes read at a time
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
    """Number, from 1, and content of each line that is not blank, without its end; memory is a block and a line.

    Args:
        role: what the file holds, for errors and the bar, which shows how much of the file is read.

    Raises:
        MissingFileError: there is no such file.
        DataError: a gzip stream that ends early or is damaged; a line longer than 1 MiB.
    """
    number, rest = 0, b""
    for block in _blocks(path, role):
        *whole, rest = (rest + block).split(b"\n")
        for line in whole:
            number += 1
            if line and not line.isspace():
                yield number, line
        if len(rest) > LONGEST:
            raise DataError(
                f"{path}, line {number + 1}: longer than {LONGEST:,} bytes; expected one record per line. Is it the "
                "right file?"
            )
    if rest and not rest.isspace():
        yield number + 1, rest


def _blocks(path: Path, role: str) -> Iterator[bytes]:
    """The content, unpacked, in pieces of ``BLOCK`` bytes."""
    with require_file(path, role).open("rb") as raw:
        packed = raw.read(len(GZIP)) == GZIP
        raw.seek(0)
        with watched(raw, path) as plain:
            stream = gzip.GzipFile(fileobj=plain) if packed else plain
            done = 0
            try:
                while block := stream.read(BLOCK):
                    done += len(block)
                    yield block
            except (EOFError, OSError, zlib.error) as error:
                raise DataError(
                    f"{path} cannot be read beyond {done:,} bytes of text: its gzip stream is damaged or ends early "
                    f"({error}). Copy or download it again."
                ) from error
