"""A run's record on disk: its content, its lock, and what happens when the folder already holds a record."""

import contextlib
import json
import logging
import math
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl
import torch
from filelock import FileLock, Timeout
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.utilities import rank_zero

from recmm import __version__
from recmm.data.files.atomic import replace_atomically
from recmm.errors import RunError
from recmm.experiment.config.identity import differences

log = logging.getLogger(__name__)

FORMAT_VERSION = 1
OWN_FILES = (
    *("result.json", "config.yaml", "metrics.csv", "curves.png", "masks.npz", "train.log", "checkpoints"),
    *("ranks.parquet", "topk.parquet", "per_user.parquet", "wandb", "tensorboard", "error.log"),
)
LIBRARIES = ("torch", "pytorch-lightning", "hydra-core", "omegaconf", "torchmetrics", "numpy", "scipy", "polars")


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
        self.resume_from: Path | None = None

    @property
    def attempt(self) -> int:
        """Number of starts of the run in this folder, this one included."""
        return int(self.result["attempt"])

    def checkpoint(self, name: str) -> Path:
        """Path of the checkpoint with this name: `best`, `last`, or a temporary one."""
        return self.folder / "checkpoints" / f"{name}.ckpt"

    def wall_seconds(self) -> float:
        """Seconds of this attempt and all earlier ones."""
        return round(self._earlier_seconds + time.monotonic() - self._started, 2)

    def update(self, **entries: Any) -> None:
        """Set entries of `result.json` and write it."""
        self.result |= entries
        if not self.writes:
            return
        text = json.dumps(_finite(self.result), indent=1, allow_nan=False)
        replace_atomically(self.folder / "result.json", text)

    def write_config(self, cfg: DictConfig) -> None:
        """Write the resolved configuration as `config.yaml`."""
        if self.writes:
            replace_atomically(self.folder / "config.yaml", OmegaConf.to_yaml(cfg, resolve=True))

    def write_metrics(self, history: list[dict[str, Any]]) -> None:
        """Write one row per epoch as `metrics.csv`; epochs after a resumed run's checkpoint are dropped."""
        self.update(wall_seconds=self.wall_seconds())  # survives a kill
        if self.writes:
            table = pl.DataFrame(history, infer_schema_length=None, strict=False)
            replace_atomically(self.folder / "metrics.csv", table.write_csv())


@contextlib.contextmanager
def open_record(
    folder: Path, *, signature: str, identity: dict[str, Any], resume: bool, overwrite: bool
) -> Iterator[Record]:
    """Lock the folder for one run, and record a status however the run ends.

    A finished run with the same signature stays unchanged (``finished``). An unfinished one continues from its last
    checkpoint with ``resume``; otherwise it is moved aside and the run starts anew. Other signatures are refused.

    Raises:
        RunError: another process holds the lock; or the folder holds a run with another signature, and ``overwrite`` is
            not set.
    """
    if rank_zero.rank_zero_only.rank:  # type: ignore[attr-defined]  # the first process holds the lock
        record = Record(folder, {"signature": signature, "attempt": 1}, writes=False)
        found = None if overwrite else read_result(folder)
        if found is not None and found.get("signature") == signature:  # the decision of _claim
            record.finished, last = found["status"] == "done", record.checkpoint("last")
            record.result = found if record.finished else record.result
            record.resume_from = last if resume and last.exists() else None
        yield record
        return
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=1)  # a planned sweep may hold it for a moment
    except Timeout:
        raise RunError(
            f"Another run is writing to {folder}. Wait for it, or give this run another hydra.run.dir."
        ) from None
    handler = logging.FileHandler(folder / "train.log", delay=True)  # opened after an older record was moved aside
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    try:
        record = _claim(folder, signature, identity, resume, overwrite)
        if record.finished:
            yield record
            return
        logging.getLogger().addHandler(handler)
        try:
            yield record
        except BaseException as error:
            interrupted = isinstance(error, KeyboardInterrupt | SystemExit)
            status = "interrupted" if interrupted else "failed"
            record.update(status=status, error={"type": type(error).__name__, "message": str(error)})
            if not interrupted:
                # To the run's own log only: the entry point prints the error.
                handler.handle(log.makeRecord(log.name, logging.ERROR, __file__, 0, "run failed", (), sys.exc_info()))
            raise
        finally:
            record.update(wall_seconds=record.wall_seconds())
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()
        lock.release()


def _claim(folder: Path, signature: str, identity: dict[str, Any], resume: bool, overwrite: bool) -> Record:
    """Decide whether the run starts fresh, resumes, or is finished already."""
    found = read_result(folder)
    resume_from, wall_seconds = None, 0.0
    if found is not None:
        same = found.get("signature") == signature
        if not same and not overwrite:
            keys = differences(found.get("identity", {}), identity)
            raise RunError(
                f"{folder} holds a run with other settings ({', '.join(keys) or 'unknown'} differ). Give this run "
                "another hydra.run.dir, or set overwrite=true to move the old one aside."
            )
        if same and found["status"] == "done" and not overwrite:
            finished = Record(folder, found)
            finished.finished = True
            return finished
        if same and resume and not overwrite:
            last = folder / "checkpoints" / "last.ckpt"
            resume_from = last if last.exists() else None
            wall_seconds = found.get("wall_seconds", 0.0)
            _warn_about_versions(found)
        else:
            log.warning("The earlier run in %s was moved to %s.", folder, _move_aside(folder))
    if resume and resume_from is None:
        log.warning("ckpt=last: there is no checkpoint in %s; the run starts from the beginning.", folder)
    result = {
        "format_version": FORMAT_VERSION,
        "status": "running",
        "signature": signature,
        "attempt": found["attempt"] + 1 if found else 1,
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "wall_seconds": wall_seconds,
        "identity": identity,
        "versions": {"recmm": __version__, "python": platform.python_version()}
        | {name: version(name) for name in LIBRARIES},
        "git": git_state(),
        "machine": {"threads": torch.get_num_threads(), "platform": platform.platform()},
    }
    record = Record(folder, result)
    record.resume_from = resume_from
    record.checkpoint("last").parent.mkdir(exist_ok=True)
    record.update()
    return record


def read_result(folder: Path) -> dict[str, Any] | None:
    """The `result.json` of a record, or None where there is none.

    Raises:
        RunError: the file is not readable as JSON.
    """
    path = folder / "result.json"
    try:
        result: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:  # or another process is moving it aside
        return None
    except ValueError as error:
        raise RunError(f"{path} is not readable as JSON ({error}). Move the folder away and run again.") from error
    return result


def _move_aside(folder: Path) -> Path:
    """Move the files of a record, and no others, to the first free `<folder>.old-N`."""
    number = 1
    while (aside := folder.with_name(f"{folder.name}.old-{number}")).exists():
        number += 1
    aside.mkdir()
    for name in OWN_FILES:
        if (folder / name).exists():
            shutil.move(folder / name, aside / name)
    return aside


def _finite(value: Any) -> Any:
    """The value with None for NaN and infinities, which JSON cannot hold."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _warn_about_versions(found: dict[str, Any]) -> None:
    changed = [
        f"{name} {was} -> {now}"
        for name, was in found.get("versions", {}).items()
        if name in LIBRARIES and (now := version(name)) != was
    ]
    if changed:
        log.warning("Resuming with other library versions (%s): numbers may differ.", ", ".join(changed))
    threads = found.get("machine", {}).get("threads")
    if threads not in (None, torch.get_num_threads()):
        log.warning("Resuming with %d threads instead of %d: last digits may differ.", torch.get_num_threads(), threads)


def git_state() -> dict[str, Any]:
    """Commit of the repository that recmm is imported from, and whether it has changes; empty outside a repository."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return {}

    def git(*arguments: str) -> str:
        command = ("git", "-C", str(root), *arguments)
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()

    return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain", "--untracked-files=no"))}
