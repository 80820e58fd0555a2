"""A run's record on disk: its content, its lock, and what happens when the folder already holds a record."""

import contextlib
import json
import logging
import math
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
from filelock import FileLock, Timeout
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.utilities import rank_zero

from recmm.data.files.atomic import remove_partial, replace_atomically
from recmm.errors import BusyFolderError, RunError
from recmm.experiment.claims import Decision, decide, keep_copy, move_aside
from recmm.experiment.config.publishable import PublishableFormatter, publishable, publishable_values
from recmm.experiment.provenance import provenance, warn_about_versions
from recmm.experiment.verification import read_result, result_digest, seal

__all__ = ["FORMAT_VERSION", "Record", "open_record", "read_result"]

log = logging.getLogger(__name__)

FORMAT_VERSION = 1
_TABLES = ("ranks.parquet", "topk.parquet", "per_user.parquet")


class Record:
    """The folder of one run, made by ``open_record``, which holds the folder's lock.

    Attributes:
        folder: of the run; holds all its files.
        result: the content of `result.json`.
        finished: whether the folder holds a complete run with this signature; then nothing may be written.
        resume_from: the checkpoint to resume from, or None.
        writes: whether this process writes the files; in a distributed run only the first does.
    """

    def __init__(self, folder: Path, result: dict[str, Any], *, writes: bool = True) -> None:
        self.folder, self.result, self.writes = folder, result, writes
        self.finished = False
        self._started, self._earlier_seconds = time.monotonic(), result.get("wall_seconds", 0.0)
        self._cpu_started, self._earlier_cpu = time.process_time(), result.get("cpu_seconds", 0.0)
        self.resume_from: Path | None = None
        self._place: os.stat_result | None = None
        self._written: set[str] = set()

    @property
    def attempt(self) -> int:
        """Number of starts of the run in this folder, this one included."""
        return int(self.result["attempt"])

    def checkpoint(self, name: str) -> Path:
        """Path of the checkpoint with this name: `best`, `last`, `previous` (the one before it), or a temporary one."""
        return self.folder / "checkpoints" / f"{name}.ckpt"

    def wall_seconds(self) -> float:
        """Seconds of this attempt and all earlier ones."""
        return round(self._earlier_seconds + time.monotonic() - self._started, 2)

    def cpu_seconds(self) -> float:
        """Processor seconds of all threads of this process, over this attempt and all earlier ones."""
        return round(self._earlier_cpu + time.process_time() - self._cpu_started, 2)

    @contextlib.contextmanager
    def writing(self, name: str, *, optional: bool = False) -> Iterator[Path]:
        """The path of a file of the record, for the block that writes it.

        Args:
            optional: a file that nobody needs for the numbers: that it cannot be written is a warning.

        Raises:
            RunError: there is no room or no permission, or the folder was deleted while the run was writing to it.
        """
        if not optional:
            self.require_folder()
        try:
            yield self.folder / name
        except Exception as error:
            if optional:
                log.warning(
                    "%s could not be made (%s: %s); the run does not need it.", name, type(error).__name__, error
                )
                return
            if not isinstance(error, OSError):
                raise
            raise RunError(
                f"{self.folder / name} cannot be written ({error.strerror or error}). Make room on that disk or "
                "correct its permissions; ckpt=last then continues from the last checkpoint."
            ) from error
        if not optional:
            self._written.add(name)

    def require_folder(self) -> None:
        """See that the folder and what this run wrote into it are still there.

        Raises:
            RunError: somebody deleted, moved or replaced them.
        """
        if self._place is None:
            self._place = _stat(self.folder)
        now = _stat(self.folder)
        gone = sorted(name for name in self._written if not (self.folder / name).exists())
        if self._place is not None and (now is None or not os.path.samestat(self._place, now)):
            gone = ["the folder itself"]
        if gone:
            raise RunError(
                f"{self.folder} was deleted or replaced while the run was writing to it ({', '.join(gone)}): its "
                "record would not be complete. Start the run again, and leave its folder alone until it ends."
            )

    def update(self, **entries: Any) -> None:
        """Set entries of `result.json` and write it."""
        self.result |= entries
        if self.writes:
            with self.writing("result.json") as path:
                content = json.loads(json.dumps(publishable_values(_finite(self.result)), allow_nan=False))
                content["sha256"] = result_digest(content)
                replace_atomically(path, json.dumps(content, indent=1, allow_nan=False))

    def write_config(self, cfg: DictConfig) -> None:
        """Write the resolved configuration as `config.yaml`, without what must not be published."""
        if self.writes:
            with self.writing("config.yaml") as path:
                replace_atomically(path, OmegaConf.to_yaml(OmegaConf.create(publishable(cfg))))

    def write_metrics(self, history: list[dict[str, Any]]) -> None:
        """Write one row per epoch as `metrics.csv`; epochs after a resumed run's checkpoint are dropped."""
        self.update(**self._times())  # survives a kill
        if self.writes:
            table = pl.DataFrame(history, infer_schema_length=None, strict=False)
            with self.writing("metrics.csv") as path:
                replace_atomically(path, table.write_csv())

    def _times(self) -> dict[str, float]:
        return {"wall_seconds": self.wall_seconds(), "cpu_seconds": self.cpu_seconds()}

    def end_log(self, handler: logging.FileHandler) -> None:
        """Close the run's log, whose digest is part of a finished record."""
        self._written |= {"train.log"} if handler.stream is not None else set()
        handler.close()

    def close(self) -> None:
        """The last write of an attempt: the time it took and, of a finished run, size and digest of every file."""
        finished = self.result.get("status") == "done"
        if finished:
            self.require_folder()
        self.update(**self._times(), **({"files": seal(self.folder)} if finished else {}))

    def note_error(self, error: BaseException) -> None:
        """Write how the attempt ended, if the folder is still there and the disk has room for it."""
        interrupted = isinstance(error, KeyboardInterrupt | SystemExit)
        self.result |= {
            "status": "interrupted" if interrupted else "failed",
            "error": {"type": type(error).__name__, "message": str(error)},
        }
        with contextlib.suppress(OSError, RunError):
            self.checkpoint("fresh").unlink(missing_ok=True)
            if isinstance(error.__cause__, OSError):  # room for the reason: a run that goes on makes its tables again
                for name in _TABLES:
                    (self.folder / name).unlink(missing_ok=True)
                    self._written.discard(name)
            self.close()


class _RunLog(logging.FileHandler):
    """On a full disk lines of the log are lost; the error that ends the run is another file's."""

    def handleError(self, record: logging.LogRecord) -> None: ...

    def close(self) -> None:
        with contextlib.suppress(OSError):
            super().close()


@contextlib.contextmanager
def open_record(
    folder: Path,
    *,
    signature: str,
    identity: dict[str, Any],
    resume: bool,
    overwrite: bool,
    demanded: bool = False,
) -> Iterator[Record]:
    """Lock the folder for one run, and record a status however the run ends.

    A finished run with the same signature stays unchanged (``finished``) after it was verified. An unfinished one
    continues from its last checkpoint with ``resume``; otherwise it is moved aside and the run starts anew. Other
    signatures are refused.

    Args:
        identity: what the signature was made of, as the record shows it.
        resume: ``ckpt=auto`` or ``ckpt=last``.
        demanded: ``ckpt=last``: there has to be a run to continue. It may have had fewer epochs (`trainer.max_epochs`).

    Raises:
        RunError: another process holds the lock; the folder holds a run with another signature, and ``overwrite`` is
            not set; or there is nothing to continue where this was demanded.
        DamagedRecordError: the finished run is not what it was when it ended.
        CheckpointError: what the run needs to continue is damaged.
    """
    wanted: dict[str, Any] = {"identity": identity, "resume": resume, "overwrite": overwrite, "demanded": demanded}
    if rank_zero.rank_zero_only.rank:  # type: ignore[attr-defined]  # the first process holds the lock
        decision = decide(folder, signature=signature, **wanted)
        result = decision.found if decision.what == "finished" else {"signature": signature, "attempt": 1}
        record = Record(folder, result or {}, writes=False)
        record.finished, record.resume_from = decision.what == "finished", decision.resume_from
        yield record
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock")
        lock.acquire(timeout=1)  # a planned sweep may hold it for a moment
    except Timeout:
        raise BusyFolderError(
            f"Another run is writing to {folder}. Wait for it, or give this run another hydra.run.dir."
        ) from None
    except OSError as error:
        raise RunError(
            f"{folder} cannot be written ({error.strerror or error}). Make room, correct its permissions, or choose "
            "another place with paths.output or hydra.run.dir."
        ) from error
    handler = _RunLog(folder / "train.log", delay=True)  # opened after an older record was moved aside
    handler.setFormatter(PublishableFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    try:
        for place in (folder, folder / "checkpoints"):  # a kill may have left them, and the lock is ours
            remove_partial(place)
        decision = decide(folder, signature=signature, **wanted)
        if decision.what != "finished":
            logging.getLogger().addHandler(handler)
        record = _claim(folder, signature, decision, identity)
        if record.finished:
            yield record
            return
        try:
            yield record
            logging.getLogger().removeHandler(handler)
            record.end_log(handler)
            record.close()
        except BaseException as error:
            if isinstance(error, Exception):
                # To the run's own log only: the entry point prints the error.
                handler.handle(log.makeRecord(log.name, logging.ERROR, __file__, 0, "run failed", (), sys.exc_info()))
            record.note_error(error)
            raise
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()
        lock.release()


def _claim(folder: Path, signature: str, decision: Decision, identity: dict[str, Any]) -> Record:
    """Begin the record of a fresh or continued run; return that of a finished one."""
    found = decision.found or {}
    if decision.what == "finished":
        finished = Record(folder, found)
        finished.finished = True
        return finished
    continued_from = found.get("continued_from") if decision.what == "continue" else None
    if decision.what == "extend":
        continued_from = {
            "max_epochs": found["identity"]["trainer.max_epochs"],
            "status": found["status"],
            "signature": found["signature"],
        }
        kept = f"; its record is kept in {keep_copy(folder)}" if found["status"] == "done" else ""
        log.warning(
            "Continuing the run in %s from %s: trainer.max_epochs was %s and is %s%s.",
            *(folder, decision.told, continued_from["max_epochs"], identity["trainer.max_epochs"], kept),
        )
    elif decision.what == "continue":
        log.warning("Continuing the %s run in %s from %s.", found.get("status"), folder, decision.told)
    elif decision.what == "aside":
        log.warning("The earlier run in %s was moved to %s%s.", folder, move_aside(folder), decision.told)
    goes_on = decision.what in ("continue", "extend")
    if goes_on:
        warn_about_versions(found)
    result = {
        "format_version": FORMAT_VERSION,
        "status": "running",
        "signature": signature,
        "attempt": found.get("attempt", 0) + 1,
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "wall_seconds": found.get("wall_seconds", 0.0) if goes_on else 0.0,
        "cpu_seconds": found.get("cpu_seconds", 0.0) if goes_on else 0.0,
        "identity": identity,
        **({"continued_from": continued_from} if continued_from else {}),
        **provenance(),
    }
    record = Record(folder, result)
    record.resume_from = decision.resume_from
    record.update()
    with record.writing("checkpoints") as path:
        path.mkdir(exist_ok=True)
    return record


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _finite(value: Any) -> Any:
    """The value with None for NaN and infinities, which JSON cannot hold."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
