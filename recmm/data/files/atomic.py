"""Atomic writing: a file or folder appears under its name whole or not at all.

What is being written lives beside its target under a hidden name that ends in ``.partial`` (and the target's own
suffix) and takes the target's name in one step. An exception, Ctrl-C included, removes it; after a kill -9 the hidden
name stays until ``remove_partial`` or a later write of the same target, but the target's never shows half a file.
"""

import glob
import hashlib
import os
import platform
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from recmm.errors import DataError

ABANDONED = 3600
"""Seconds without a write after which what a process of another machine has beside a target counts as left behind."""
_STEM = 50
"""Characters of a target's name in the hidden one: file systems allow 255 bytes in all."""
_MACHINE = hashlib.blake2b(platform.node().encode(), digest_size=4).hexdigest()


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path``, with its suffix, that replaces ``path`` at the end of the block.

    The block must create the file; if it raises, ``path`` stays as it was. Missing parent folders are made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = beside(path, path.suffix)
    try:
        yield temporary
        _flush(temporary)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def replace_atomically(path: Path, content: bytes | str) -> None:
    """Write ``content`` (text as UTF-8) to ``path``; a reader finds the old file or the new one, never half of it."""
    with atomic_file(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an OSError of writing ``path`` into a DataError.

    Raises:
        DataError: no permission, no space, a file where a folder is needed...
    """
    try:
        yield
    except OSError as error:
        reason = f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}"
        raise DataError(f"{path} cannot be written ({reason}). Make room for it, or choose another place.") from error


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside ``path`` that takes its name at the end of the block; gone if the block raises.

    Raises:
        DataError: there is something at ``path`` already, other than an empty folder; nothing of it is touched. Or
            the folder cannot be written.
    """
    _refuse_occupied(path)
    temporary = beside(path, "")
    try:
        with writing(path):
            temporary.mkdir(parents=True)
            yield temporary
            for file in temporary.rglob("*"):
                if file.is_file():
                    _flush(file)
            _refuse_occupied(path)
            os.replace(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def remove_partial(folder: Path) -> None:
    """Remove what killed processes were writing directly in ``folder``; only where no other process writes to it."""
    for path in folder.glob(".*.partial*"):
        _remove(path)


def _remove_abandoned(path: Path, suffix: str) -> None:
    """Remove what killed processes were writing beside ``path``.

    Those of this machine are gone; what another machine's process writes has not changed for ``ABANDONED`` seconds.
    """
    stem = glob.escape(path.name.removesuffix(suffix)[:_STEM])
    for left in path.parent.glob(f".{stem}.*.partial{glob.escape(suffix)}"):
        with suppress(OSError):  # another process may remove it, too
            if _is_abandoned(left):
                _remove(left)


def _is_abandoned(left: Path) -> bool:
    process = re.search(rf"-{_MACHINE}-(\d+)\.partial", left.name)
    if process and not _runs(int(process[1])):
        return True
    newest = max(part.lstat().st_mtime for part in (left, *left.rglob("*")))
    return time.time() - newest > ABANDONED


def _runs(process: int) -> bool:
    if os.name != "posix":  # elsewhere, signal 0 is a real one
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is another user's
        pass
    return True


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def beside(path: Path, suffix: str = "") -> Path:
    """A new hidden name beside ``path``, which says whose it is, for what will take the place of ``path``.

    What killed processes left under such names is removed.
    """
    _remove_abandoned(path, suffix)
    stem = path.name.removesuffix(suffix)[:_STEM]
    return path.with_name(f".{stem}.{secrets.token_hex(4)}-{_MACHINE}-{os.getpid()}.partial{suffix}")


def _refuse_occupied(path: Path) -> None:
    if path.is_dir() and not path.is_symlink() and not any(path.iterdir()):
        return
    if path.exists() or path.is_symlink():
        raise DataError(f"{path} exists already and is not overwritten: move it aside or choose another folder.")


def _flush(path: Path) -> None:
    """Push a written file to the disk, so that a power cut cannot leave an empty file under the final name."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
