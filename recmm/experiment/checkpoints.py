"""Checkpoint files that carry the SHA-256 of their own content and are read only if it is right.

The digest is the comment of the ZIP archive that ``torch.save`` writes, at the very end of the file. So one rename
replaces content and digest together, a hard link has both, and every reader of such archives, ``torch.load`` included,
passes over it. torch itself verifies no checksum: a flipped bit would give other numbers without a word.
"""

import hashlib
import io
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO

from recmm.data.files.atomic import atomic_file, replace_atomically
from recmm.errors import CheckpointError

_MARK = b"sha256:"
_LENGTH = len(_MARK) + 64  # of the comment: the mark and 64 hex digits
_FROM_NEWEST = ("last", "previous")


class VerifiedCheckpoints(TorchCheckpointIO):
    """How Lightning's trainer writes and reads checkpoints: whole, flushed to the disk, verified."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any | None = None
    ) -> None:
        write_checkpoint(checkpoint, Path(path))

    def load_checkpoint(
        self,
        path: str | os.PathLike[str],
        map_location: Any = "cpu",
        weights_only: bool | None = True,
    ) -> dict[str, Any]:
        return read_checkpoint(Path(path), map_location)


def write_checkpoint(content: dict[str, Any], path: Path) -> None:
    """Write ``content`` with its digest; ``path`` holds the old checkpoint or the whole new one, never half of it."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    archive = buffer.getbuffer()
    archive[-2:] = _LENGTH.to_bytes(2, "little")  # the last field of a ZIP archive: the length of its comment
    with atomic_file(path) as spare, spare.open("wb") as file:
        file.write(archive)
        file.write(_MARK + hashlib.sha256(archive).hexdigest().encode())


def read_checkpoint(path: Path, map_location: Any = "cpu") -> dict[str, Any]:
    """The content of a checkpoint: plain types and tensors, nothing is unpickled beside them.

    Raises:
        CheckpointError: it is absent, empty, cut short, or not what was written.
    """
    damage = damage_of(path)
    if damage is not None:
        raise CheckpointError(f"{path} {damage}. Its numbers cannot be trusted; ckpt=never starts the run anew.")
    with warnings.catch_warnings():  # torch says so once per process; what is loaded is what was stored
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
        content: dict[str, Any] = torch.load(path, map_location=map_location, weights_only=True)
    return content


def damage_of(path: Path) -> str | None:
    """What is wrong with a checkpoint, the end of a sentence that begins with its name; None if it is whole."""
    if not path.is_file():
        return "does not exist"
    size = path.stat().st_size
    if size == 0:
        return "is empty: it holds 0 bytes"
    with path.open("rb") as file:
        file.seek(max(0, size - _LENGTH))
        comment = file.read()
        if not comment.startswith(_MARK) or len(comment) != _LENGTH:
            return f"is cut short or damaged: its {size:,} bytes do not end with its digest"
        file.seek(0)
        content, left = hashlib.sha256(), size - _LENGTH
        while left and (chunk := file.read(min(left, 1 << 20))):
            content.update(chunk)
            left -= len(chunk)
    if content.hexdigest().encode() != comment.removeprefix(_MARK):
        return "is damaged: its content is not what was written (its SHA-256 differs)"
    return None


def newest_whole(path_of: Callable[[str], Path]) -> tuple[Path | None, list[str]]:
    """The checkpoint to continue from, `last` or else `previous`; and what is wrong with those passed over.

    Args:
        path_of: name of a checkpoint -> its path.
    """
    damages: list[str] = []
    for path in map(path_of, _FROM_NEWEST):
        if not path.exists():  # killed between two renames
            continue
        damage = damage_of(path)
        if damage is None:
            return path, damages
        damages.append(f"{path.name} {damage}")
    return None, damages


def place_copy(source: Path, target: Path) -> None:
    """Replace ``target`` by a copy of ``source`` atomically; a hard link where the file system supports them."""
    target.parent.mkdir(parents=True, exist_ok=True)
    spare = target.with_suffix(".new")
    spare.unlink(missing_ok=True)
    try:
        os.link(source, spare)
    except OSError:
        replace_atomically(spare, source.read_bytes())
    os.replace(spare, target)
