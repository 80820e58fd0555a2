"""Encode items batch by batch into a hidden work folder, from which an interrupted command continues."""

import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from recmm.data.files.atomic import atomic_file, writing
from recmm.errors import DataError
from recmm.ingest.encode.base import Encoder, Unusable

TODO, DONE, MISSING = 0, 1, 2  # states of an item
NO_CONTENT = "no content"
SHOWN = 200  # characters of a text or path shown in an error
READERS = min(8, os.cpu_count() or 1)  # threads that read the next batch while the encoder works


@dataclass(frozen=True)
class Encoded:
    """The features of all items.

    Attributes:
        values: float32 [n_items, D], memory-mapped from the work folder; zeros for unobserved items.
        observed: bool [n_items], the items that were encoded.
        reasons: dense id of each unobserved item -> why it was not encoded.
    """

    values: np.ndarray
    observed: np.ndarray
    reasons: dict[int, str]


def work_digest(settings: dict[str, str], items: Sequence[str], entries: Sequence[str | None], *, files: bool) -> str:
    """SHA-256 (hexadecimal) of all inputs: the encoder's settings, the items, and their texts or files.

    A file enters with its path, size and modification time, because reading all files twice would take too long.
    """
    total = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for item, entry in zip(items, entries, strict=True):
        total.update(json.dumps([item, entry, *(_stamp(entry) if files and entry else ())]).encode())
    return total.hexdigest()


def _stamp(path: str) -> tuple[int, ...]:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return ()
    return found.st_size, found.st_mtime_ns


class Work:
    """The folder of an encoding in progress: features.npy, state.npy (one byte per item), reasons.jsonl.

    The rows of a batch are written before its states, so that an item marked as done has its row. Only one process may
    use the folder; the context manager ``held`` releases its lock.

    Raises:
        DataError: another process uses the folder, or it cannot be created.
    """

    def __init__(self, folder: Path, n_items: int) -> None:
        self.folder, self.n_items = folder, n_items
        self.lock = FileLock(folder / "lock")
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            try:
                self.held = self.lock.acquire(timeout=0)
            except Timeout as error:  # a subclass of OSError, which ``writing`` would convert
                raise DataError(
                    f"{folder} is in use: another process is encoding the same. Wait until it ends."
                ) from error

    def open(self, dim: int) -> tuple[np.memmap, np.memmap]:
        """Open the features, float32 [n_items, dim], and the states, uint8 [n_items], new or from an earlier run."""
        features, state = self.folder / "features.npy", self.folder / "state.npy"
        if not state.exists():  # written last, so its absence means that no item is done
            np.lib.format.open_memmap(features, "w+", np.float32, (self.n_items, dim)).flush()
            (self.folder / "reasons.jsonl").unlink(missing_ok=True)
            with atomic_file(state) as new:
                np.save(new, np.zeros(self.n_items, np.uint8))
        return np.lib.format.open_memmap(features, "r+"), np.lib.format.open_memmap(state, "r+")

    def note(self, reasons: dict[int, str]) -> None:
        """Append reasons; the leading line break separates them from a line that a kill may have truncated."""
        with (self.folder / "reasons.jsonl").open("a", encoding="utf-8") as file:
            file.writelines("\n" + json.dumps([item, reason]) for item, reason in reasons.items())

    def reasons(self) -> dict[int, str]:
        """All reasons noted so far; a truncated line is skipped, because its batch was encoded again."""
        path = self.folder / "reasons.jsonl"
        found = {}
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
            try:
                item, reason = json.loads(line)
            except ValueError:
                continue
            found[int(item)] = str(reason)
        return found


def encode_items(
    entries: Sequence[str | None],
    encoder: Encoder,
    work: Work,
    *,
    batch_size: int,
    watch: Callable[[Sequence[np.ndarray], int, int], Iterator[np.ndarray]],
) -> Encoded:
    """Encode the items that are not done yet, and return the features of all items.

    Texts are sorted by length, longest first: a batch then has little padding, and a lack of memory shows in the first
    batch. An item whose vector is constant or not finite becomes a missing entry.

    Args:
        entries: by dense id, each item's text or path; None for an item without content.
        work: the folder with the state of an earlier run, if there was one.
        watch: (batches of dense ids, number of items, number of items done before) -> the batches, under a progress
            bar.

    Raises:
        DataError: no item could be encoded, or all items got the same vector.
    """
    features, state = work.open(encoder.dim)
    absent = np.array([entry is None for entry in entries])
    work.note({int(item): NO_CONTENT for item in np.flatnonzero(absent & (state == TODO))})
    state[absent] = MISSING
    left = np.flatnonzero(state == TODO)
    left = left[np.argsort([-len(entries[int(item)] or "") for item in left], kind="stable")]
    batches = [left[start : start + batch_size] for start in range(0, len(left), batch_size)]
    with ThreadPoolExecutor(READERS) as pool:
        ahead = _Ahead(pool, batches, lambda item: _read(encoder, entries[item]))
        for number, batch in enumerate(watch(batches, len(entries), len(entries) - len(left))):
            read = ahead.take(number)
            rows, reasons = _rows(encoder, batch, read)
            features[list(rows)] = np.stack(list(rows.values())) if rows else np.empty((0, encoder.dim), np.float32)
            features.flush()
            work.note(reasons)
            state[list(rows)], state[list(reasons)] = DONE, MISSING
            state.flush()
    observed = np.array(state == DONE)
    noted = work.reasons()
    found = Encoded(features, observed, {int(item): noted[int(item)] for item in np.flatnonzero(~observed)})
    try:
        _check(found, entries)
    except DataError:
        shutil.rmtree(work.folder, ignore_errors=True)  # a new attempt must not continue from these results
        raise
    return found


class _Ahead:
    """Reads the next batch in threads while the encoder works on the current one."""

    def __init__(self, pool: ThreadPoolExecutor, batches: Sequence[np.ndarray], read: Callable[[int], Any]) -> None:
        self.pool, self.batches, self.read = pool, batches, read
        self.next: list[Future] = self._start(0)

    def _start(self, number: int) -> list[Future]:
        items = self.batches[number] if number < len(self.batches) else ()
        return [self.pool.submit(self.read, int(item)) for item in items]

    def take(self, number: int) -> list[Any]:
        current, self.next = [future.result() for future in self.next], self._start(number + 1)
        return current


def _read(encoder: Encoder, entry: str | None) -> Any:
    try:
        return encoder.read(entry or "")
    except Unusable as reason:
        return reason
    except Exception as error:  # one unusual file must not stop the encoding of all others
        return Unusable(f"preparing it failed ({type(error).__name__}: {error})")


def _rows(encoder: Encoder, batch: np.ndarray, read: list[Any]) -> tuple[dict[int, np.ndarray], dict[int, str]]:
    """Dense id -> vector [D] of the encoded items of a batch, and dense id -> reason of the others."""
    reasons = {int(item): str(found) for item, found in zip(batch, read, strict=True) if isinstance(found, Unusable)}
    usable = [(int(item), found) for item, found in zip(batch, read, strict=True) if not isinstance(found, Unusable)]
    if not usable:
        return {}, reasons
    vectors = encoder.encode([found for _, found in usable])
    if vectors.shape != (len(usable), encoder.dim):
        raise DataError(
            f"The encoder returned features of shape {vectors.shape}; expected {(len(usable), encoder.dim)}."
        )
    rows = {}
    for (item, _), vector in zip(usable, vectors, strict=True):
        if not np.isfinite(vector).all():
            reasons[item] = "the encoder's output is not finite"
        elif (vector == vector[0]).all():
            reasons[item] = f"the encoder's output is constant ({vector[0]:g} throughout)"
        else:
            rows[item] = vector
    return rows, reasons


def _check(found: Encoded, entries: Sequence[str | None]) -> None:
    items = np.flatnonzero(found.observed)
    if not len(items):
        reason, count = Counter(found.reasons.values()).most_common(1)[0]
        first = next(item for item, other in found.reasons.items() if other == reason)
        raise DataError(
            f"None of the {len(entries):,} items could be encoded. The most frequent reason, for {count:,} of them: "
            f"{reason}; the first of these is {(entries[first] or '')[:SHOWN]!r}. Nothing was written."
        )
    different = len({entries[item] for item in items[:1000]}) > 1
    if different and all((found.values[item] == found.values[items[0]]).all() for item in items):
        raise DataError(
            f"The encoder returned one vector for all {len(items):,} items, which cannot be right. Nothing was written."
        )
