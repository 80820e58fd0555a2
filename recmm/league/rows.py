"""The results of a league in the repository: one CSV per dataset, one row per finished run."""

import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
from filelock import FileLock

from recmm import __version__
from recmm.data.files.atomic import replace_atomically
from recmm.errors import RunError
from recmm.league.jobs import Job

DONE, DIVERGED = "done", "diverged"
"""Status of a row: a finished run, or one whose loss became NaN or infinite, as it would again."""

TRIAL, SEED = "trial", "seed"
"""Kind of a row: a trial, with the first seed, or another seed of the best trial."""

_METRICS = tuple(f"{split}/{metric}" for metric in ("recall@10", "ndcg@20") for split in ("val", "test"))
SCHEMA: dict[str, type[pl.DataType]] = {
    **{"model": pl.String, "dataset": pl.String, "missing": pl.String, "seed": pl.Int64, "mask_seed": pl.Int64},
    **{"trials": pl.Int64, "val_recall@20": pl.Float64, "test_recall@20": pl.Float64, "results_version": pl.Int64},
    **{"kind": pl.String, "status": pl.String},
    **{name.replace("/", "_"): pl.Float64 for name in _METRICS},
    **{"epochs": pl.Int64, "best_epoch": pl.Int64},
    **{"cpu_seconds": pl.Float64, "wall_seconds": pl.Float64, "memory_mb": pl.Float64},
    **{"signature": pl.String, "configuration": pl.String, "data_digest": pl.String, "overrides": pl.String},
    **{"recmm": pl.String, "commit": pl.String, "machine": pl.String},
}
"""The columns of a file of results and their types.

*missing*: the league's setting, or "any". *trials*: of this method under this setting. *best_epoch*: counted from 1; 0
where nothing is trained. *configuration*: `configuration_digest`. *overrides*: the arguments of ``train.py`` after
those that all runs share. *memory_mb*: peak of the process.
"""

Row = dict[str, Any]
"""One row, by the columns of ``SCHEMA``."""


def read_rows(path: Path) -> list[Row]:
    """The rows of a file of results; none where there is no file.

    Raises:
        RunError: it cannot be read, or lacks a column.
    """
    if not path.is_file():
        return []
    try:
        frame = pl.read_csv(path, schema_overrides=SCHEMA)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise RunError(f"{path} is no table of results ({str(error).splitlines()[0]}).") from error
    if lacking := [name for name in SCHEMA if name not in frame.columns]:
        raise RunError(f"{path} lacks the columns {', '.join(lacking)}; it needs {', '.join(SCHEMA)}.")
    return frame.select(list(SCHEMA)).to_dicts()


def row_of(job: Job, kind: str, n_trials: int, results_version: int, result: dict[str, Any]) -> Row:
    """The row of a run that is over, from its `result.json`."""
    done = result["status"] == "done"
    versions = result.get("versions", {})
    return {
        "model": job.model,
        "dataset": job.dataset,
        "missing": job.setting,
        "seed": job.seed,
        "mask_seed": job.mask_seed,
        "trials": n_trials,
        "results_version": results_version,
        "kind": kind,
        "status": DONE if done else DIVERGED,
        **{key.replace("/", "_"): result[key] if done else None for key in ("val/recall@20", "test/recall@20")},
        **{key.replace("/", "_"): result.get(key) if done else None for key in _METRICS},
        "epochs": result.get("epochs"),
        "best_epoch": result["best_epoch"] + 1 if done else None,
        "cpu_seconds": result["cpu_seconds"],
        "wall_seconds": result["wall_seconds"],
        "memory_mb": result.get("peak_memory_mb", {}).get("host"),
        "signature": result["signature"],
        "configuration": job.configuration,
        "data_digest": result["identity"]["data.digest"],
        "overrides": " ".join(job.arguments),
        "recmm": versions.get("recmm", __version__),
        "commit": result.get("git", {}).get("commit", "")[:12],
        "machine": f"{platform.system()} {platform.machine()}, {result['machine']['threads']} threads",
    }


def append_row(path: Path, row: Row, lock: Path) -> bool:
    """Add a row unless its run is there; other processes that do the same wait for each other.

    Args:
        lock: a file outside of the repository's tracked ones.

    Returns:
        Whether it was added.
    """
    with locked(lock):
        rows = read_rows(path)
        if any(other["signature"] == row["signature"] for other in rows):
            return False
        write_rows(path, [*rows, row])
    return True


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write the rows as they are; a reader finds the old file or the new one."""
    frame = pl.DataFrame([{name: row.get(name) for name in SCHEMA} for row in rows], schema=SCHEMA, strict=False)
    replace_atomically(path, frame.write_csv())


@contextmanager
def locked(lock: Path) -> Iterator[None]:
    """Alone in the block among all processes of this machine."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock):
        yield
