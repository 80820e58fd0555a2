"""Lines of text files: a table's first one, or all of a large file, gzip or plain, streamed, under a progress bar."""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from rich.console import Console
from rich.progress import wrap_file

from recmm.data.files.paths import require_file
from recmm.errors import ColumnError, DataError

LONGEST = 1 << 20  # bytes of a line, up to a block more
BLOCK = 1 << 18  # bytes read at a time
GZIP = b"\x1f\x8b"
FREE, EXPANSION = 1 << 22, 100  # a gzip stream may unpack to FREE + EXPANSION * its size, in bytes


def first_line(path: Path) -> str:
    """The header of a table, without a byte order mark.

    Raises:
        ColumnError: not UTF-8, no lines, or lines that end otherwise.
    """
    with path.open("rb") as file:
        line = file.readline(LONGEST + 1)
    if len(line) > LONGEST:
        raise ColumnError(f"{path} has a first line of more than {LONGEST:,} bytes; expected a table's header.")
    try:
        header = line.decode("utf-8-sig").rstrip("\r\n")
        problem = "it has NUL bytes, as UTF-16 and binary files have" if "\0" in header else ""
    except UnicodeDecodeError as error:
        header, problem = "", f"byte 0x{line[error.start]:02x} at position {error.start}"
    if problem:
        raise ColumnError(f"{path}: the first line is not text in UTF-8 ({problem}). Save the table as UTF-8.")
    if "\r" in header:
        raise ColumnError(f"{path}: its lines end with a carriage return alone; expected a newline after each.")
    return header


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
        DataError: a gzip stream that ends early, is damaged, or unpacks to more than 100 times its size; a line longer
            than 1 MiB.
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
        most = FREE + EXPANSION * path.stat().st_size
        with watched(raw, path) as plain:
            stream = gzip.GzipFile(fileobj=plain) if packed else plain
            done = 0
            try:
                while block := stream.read(BLOCK):
                    done += len(block)
                    if done > most:  # a small file must not fill the memory
                        raise DataError(
                            f"{path} unpacks to more than {EXPANSION} times its size, which no such data does. Is it "
                            "the right file? Unpack it yourself if it is."
                        )
                    yield block
            except (EOFError, OSError, zlib.error) as error:
                raise DataError(
                    f"{path} cannot be read beyond {done:,} bytes of text: its gzip stream is damaged or ends early "
                    f"({error}). Copy or download it again."
                ) from error
