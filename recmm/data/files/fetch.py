"""One pinned file: download, verify, unpack, and place it whole under its name.

A file is pinned by its git blob digest, sha1("blob <size>\\0" + content), so a download is verified without anybody
having to ship it. While it comes, it lies beside its target as ``.<name>.<digest>.partial``; a run that was killed
leaves that part, and the next one goes on with it.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from filelock import FileLock

from recmm.data.files.archive import unpack
from recmm.data.files.atomic import atomic_file
from recmm.data.files.transfer import CHUNK, PATIENCE, Patience, receive
from recmm.errors import DigestError, DownloadError

LIMIT = 1 << 30  # bytes: neither a download without a pinned size nor an unpacked file may grow beyond this


@dataclass(frozen=True)
class RemoteFile:
    """One pinned file of a public repository.

    Attributes:
        path: below the raw-file base of the repository.
        blob: its git blob sha1, hex.
        size: in bytes; None where only the digest is known (the digest covers the size too).
        zipped: True where it is a .zip archive that holds the wanted file.
    """

    path: str
    blob: str
    size: int | None = None
    zipped: bool = False


def fetch(
    remote: RemoteFile, target: Path, *, base_url: str, patience: Patience = PATIENCE, overwrite: bool = False
) -> None:
    """Download one pinned file to ``target``; several processes may ask for the same file at once.

    Args:
        base_url: of the repository's raw files.
        overwrite: False leaves a file that is there when it is this process's turn.
    Raises:
        DownloadError: no connection, an HTTP error, a connection that breaks or stalls too often, an unwritable folder,
            a bad archive. What was received so far is kept for the next call.
        DigestError: the size or the digest is not the pinned one; what was received is dropped.
    """
    url = f"{base_url.rstrip('/')}/{remote.path}"
    part = target.with_name(f".{PurePosixPath(remote.path).name}.{remote.blob[:8]}.partial")
    try:
        with _folder_for(target), _one_at_a_time(part):
            if target.is_file() and not overwrite:
                return
            receive(url, part, size=remote.size, limit=LIMIT, patience=patience)
            if problem := difference(part, remote):
                part.unlink()
                raise DigestError(f"{url} {problem}. What was received is dropped; try again, or another mirror.")
            try:
                with atomic_file(target) as whole:
                    if remote.zipped:
                        unpack(part, target.name, whole, limit=LIMIT)
                    else:
                        os.replace(part, whole)
            finally:
                part.unlink(missing_ok=True)
    except OSError as error:
        raise DownloadError(f"{url} could not be written to {target} ({error.strerror or error}).") from error


def difference(path: Path, remote: RemoteFile) -> str:
    """How the file differs from the pinned one, in words; empty if it is the same. An archive is compared packed."""
    size = path.stat().st_size
    if remote.size not in (None, size):
        return f"has {size:,} bytes, pinned are {remote.size:,}"
    digest = git_blob_digest(path)
    return "" if digest == remote.blob else f"has the git blob digest {digest}, pinned is {remote.blob}"


def git_blob_digest(path: Path) -> str:
    """sha1 hex of ``"blob <size>\\0" + content``, what git names a file's content by."""
    digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


@contextmanager
def _folder_for(target: Path) -> Iterator[None]:
    """The target's folder; those that were made for it and are still empty after the block go again."""
    new = [folder for folder in target.parents if not folder.exists()]
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        for folder in new:
            with suppress(OSError):  # not empty
                folder.rmdir()


@contextmanager
def _one_at_a_time(part: Path) -> Iterator[None]:
    """The jobs of a sweep ask for the same file at once: one downloads it, the others wait and find it there."""
    lock = FileLock(part.with_suffix(".lock"))
    with lock:
        try:
            yield
        finally:  # while it is held: who waits for it notices and makes a new one
            Path(lock.lock_file).unlink(missing_ok=True)
            if part.exists() and not part.stat().st_size:
                part.unlink()
