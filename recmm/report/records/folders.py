"""The files that finished runs left in their folders: records, metrics per user and metrics by epoch."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from recmm.errors import DamagedRecordError, RunError
from recmm.experiment.records import FORMAT_VERSION
from recmm.experiment.verification import holds_record, read_result, verify
from recmm.report.records.variants import Record

_NEEDED = ("status", "signature", "identity", "model", "dataset", "missing", "imputer", "seed", "data", "masks")


def run_folders(folders: Sequence[Path]) -> list[Path]:
    """The runs in these folders, without those that were moved aside (`*.old-N`) unless one is named itself.

    Args:
        folders: each one the folder of a run, or of a sweep, which holds folders of runs.

    Raises:
        RunError: a folder holds no run.
    """
    found = []
    for folder in map(Path, folders):
        runs = [folder] if holds_record(folder) else sorted(filter(holds_record, _folders_in(folder)))
        runs = [run for run in runs if run == folder or not _is_aside(run)]
        if not runs:
            raise RunError(
                f"There is no run in {folder}: name the folder of a sweep (its runs lie directly in it) or of a run."
            )
        found += runs
    return found


def _folders_in(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.is_dir()]
    except OSError:
        return []


def _is_aside(folder: Path) -> bool:
    _, old, number = folder.name.rpartition(".old-")
    return bool(old) and number.isdigit()


def read_record(folder: Path) -> Record:
    """The run's `result.json`.

    Raises:
        RunError: it cannot be read, has another format, or lacks a key that every record has.
        DamagedRecordError: it is finished, but no longer what the run wrote.
    """
    path = folder / "result.json"
    result = read_result(folder)
    if result is None:
        raise RunError(f"{path} is not there, but other files of a run are: move the folder away.")
    if "format_version" not in result:
        raise RunError(f"{path} is no record of a run (it has no format_version): move it away.")
    if result["format_version"] != FORMAT_VERSION:
        raise RunError(
            f"{path} has format {result['format_version']}, this version of recmm reads {FORMAT_VERSION}: run again, "
            "or use the version that wrote it."
        )
    lacking = [key for key in _NEEDED if key not in result and (result.get("status") == "done" or key == "status")]
    if lacking:
        raise RunError(f"{path} lacks {', '.join(lacking)}, which every record has: move the folder away.")
    if result["status"] == "done" and (damages := verify(folder)):
        raise DamagedRecordError(f"{'; '.join(damages)}: run it again with overwrite=true.")
    return result


def read_history(folder: Path) -> pl.DataFrame | None:
    """The run's `metrics.csv`, one row per epoch; None where there is none.

    Raises:
        RunError: it cannot be read.
    """
    path = folder / "metrics.csv"
    if not path.exists():
        return None
    try:
        return pl.read_csv(path, infer_schema_length=None)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise RunError(f"{path} cannot be read ({error}): move the folder away and run again.") from error


def read_per_user(folder: Path, metric: str, split: str = "test") -> np.ndarray:
    """float64 [n_users]: a metric of one run, such as recall@20, for each user of a split, ordered by user id.

    Raises:
        RunError: the run has no readable table of metrics per user, or no such metric or split in it.
    """
    path = folder / "per_user.parquet"
    try:
        rows = pl.scan_parquet(path).filter(pl.col("split") == split).select("user", metric).sort("user").collect()
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise RunError(
            f"{metric} per user cannot be read from {path} ({reason}). Name a metric of the record, or leave the "
            "run out."
        ) from error
    if rows.is_empty():
        raise RunError(f"{path} holds no user of the split {split}: name val or test.")
    return rows[metric].to_numpy().astype(np.float64)
