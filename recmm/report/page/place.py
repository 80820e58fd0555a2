"""A report takes its place as a whole: no page of one start stands beside tables and figures of another."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from recmm.data.files.atomic import beside, writing

OWN = ("index.html", "tables", "figures")
_TRIES = 20  # other reports may take the place between two steps


@contextmanager
def replaced_as_one(out: Path) -> Iterator[Path]:
    """A folder beside ``out`` for a new report, which takes the place of ``out`` at the end of the block.

    What else is in ``out`` stays in it. If the block raises or is killed, ``out`` is as it was.

    Raises:
        DataError: the folder cannot be written.
    """
    out = out.absolute()
    new = beside(out)
    old = new.with_suffix(".old")
    with writing(out):
        try:
            new.mkdir(parents=True)
            yield new
            for _ in range(_TRIES):
                if _swap(new, out, old):
                    break
            else:
                raise OSError(f"other reports take the place of {out} all the time")
        finally:
            shutil.rmtree(new, ignore_errors=True)


def _swap(new: Path, out: Path, old: Path) -> bool:
    """Put ``new`` in the place of ``out``; False if another report was faster."""
    with suppress(FileNotFoundError):
        os.rename(out, old)
    try:
        os.rename(new, out)
    except OSError:
        if old.exists() and not out.exists():
            os.rename(old, out)
            raise
        return False
    if old.exists():
        for entry in old.iterdir():
            if entry.name not in OWN and not (out / entry.name).exists():
                os.rename(entry, out / entry.name)
        shutil.rmtree(old, ignore_errors=True)
    return True
