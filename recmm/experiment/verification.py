"""Whether a record on disk is still what its run wrote: sizes, digests, types, ranges, metrics against their tables.

``verify`` is cheap enough for every finished run that a sweep or a report meets. ``python -m recmm check --records``
also computes the metrics again.
"""

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from recmm.data.files.quoting import shown, shown_value
from recmm.errors import RunError

DAMAGED = "damaged"
"""Outcome of a finished run whose record is not what the run wrote; it is never written into a record."""

SEALED = (
    *("config.yaml", "metrics.csv", "curves.png", "masks.npz", "train.log"),
    *("ranks.parquet", "topk.parquet", "per_user.parquet", "checkpoints/best.ckpt", "checkpoints/last.ckpt"),
)
"""The files that a finished record lists with size and digest. What loggers and sweeps write beside them is not."""

_LARGEST = 1 << 26  # bytes of a result.json that is still read; usual ones have some ten thousand
_TOLERANCE = 1e-9
_INFINITE = 10**300  # a whole number beyond this cannot be written as a float
_RANKED = ("recall", "precision", "ndcg", "hit", "map", "mrr", "ndcg_mmssl")
_SHARES = (*_RANKED, "coverage", "gini")  # in [0, 1]; novelty and popularity have no upper end
_METRIC = re.compile(r"(?P<split>val|test)/(?P<part>warm/|cold/|)(?P<name>\w+)@(?P<k>\d+)")


class _File(BaseModel):
    model_config = ConfigDict(strict=True)

    bytes: int = Field(ge=0)
    sha256: str


class _Finished(BaseModel):
    """The types of a finished record's entries; those that older records lack have a default."""

    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)

    format_version: int
    status: Literal["done"]
    signature: str
    identity: dict[str, Any]
    attempt: int = Field(1, ge=1)
    wall_seconds: float = Field(0.0, ge=0)
    cpu_seconds: float = Field(0.0, ge=0)
    model: str = ""
    dataset: str = ""
    missing: str = ""
    imputer: str = ""
    seed: int = Field(0, ge=0)
    data: dict[str, Any] = {}
    masks: dict[str, Any] = {}
    strata: list[dict[str, Any]] = []
    epochs: int = Field(0, ge=0)
    best_epoch: int = Field(-1, ge=-1)
    files: dict[str, _File] = {}


def read_result(folder: Path) -> dict[str, Any] | None:
    """The `result.json` of a record, or None where there is none.

    Raises:
        RunError: the file cannot be read, is not JSON, or is no record of a run.
    """
    path = folder / "result.json"
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):  # a pipe or a device may never end
            raise OSError("it is no regular file")
        if about.st_size > _LARGEST:
            raise ValueError(f"{about.st_size:,} bytes are too many for a record")
        result = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
        json.dumps(result, ensure_ascii=False).encode()  # halves of characters can be read, but never written
    except FileNotFoundError:  # or another process is moving it aside
        return None
    except OSError as error:  # a circle of links, no permission, a folder of that name
        raise RunError(
            f"{path} cannot be read ({error.strerror or error}). Move the folder away, or repair it."
        ) from error
    except (ValueError, RecursionError) as error:
        reason = shown(str(error).splitlines()[0]) if str(error) else type(error).__name__
        raise RunError(f"{path} is not readable as JSON ({reason}). Move the folder away and run again.") from error
    if not isinstance(result, dict):
        raise RunError(f"{path} is no record of a run (it holds no mapping): move it away.")
    for key, kind in (("status", str), ("signature", str), ("attempt", int), ("identity", dict)):
        if not isinstance(result.get(key, kind()), kind):
            raise RunError(f"{path} is no record of a run ({key} is {shown_value(result[key])}): move it away.")
    if result.get("status") != "done" and _is_changed(result):  # of a finished run ``verify`` tells more
        raise RunError(f"{path} was changed after the run wrote it (its content has another SHA-256): move it away.")
    return result


def result_digest(result: dict[str, Any]) -> str:
    """sha256 hex of a record's content without the entry `sha256` itself; the order of the keys does not count."""
    content = {key: value for key, value in result.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def seal(folder: Path) -> dict[str, dict[str, Any]]:
    """Name -> `bytes` and `sha256` of every file of a record that is there: the entry `files` of `result.json`."""
    there = (name for name in SEALED if (folder / name).is_file())
    return {name: {"bytes": (folder / name).stat().st_size, "sha256": _sha256(folder / name)} for name in there}


def verify(folder: Path, *, deep: bool = False) -> list[str]:
    """What is wrong with the record of a finished run, one phrase for each damage that names the file; empty: nothing.

    Sizes are compared before digests. Records from before digests were kept are checked for types and ranges only.

    Args:
        deep: also compute the metrics from `per_user.parquet` and the digest of the masks again.
    """
    try:
        result = read_result(folder)
    except RunError as error:
        return [str(error)]
    if result is None:
        return ["result.json is not there"]
    try:
        files = _Finished(**result).files
    except (ValidationError, TypeError) as error:
        return [f"result.json: {_sentence(error)}"]
    damages = []
    if _is_changed(result):
        damages.append("result.json was changed after the run wrote it (its content has another SHA-256)")
    damages += [f"result.json: {told}" for told in _wrong_metrics(result)]
    for name, entry in files.items():
        told = _wrong_file(folder, name, entry)
        damages += [f"{name} {told}"] if told else []
    return damages or (list(_disagreements(folder, result)) if deep else [])


def check_records(folders: Sequence[Path]) -> bool:
    """Print one line for each record in ``folders``, of a run or of a sweep each; whether none of them is damaged.

    Raises:
        RunError: a folder holds no record.
    """
    n_damaged = 0
    for folder in (run for given in folders for run in _runs(given)):
        try:
            result = read_result(folder)
            status = "done" if result is None else result.get("status", "without a status")
        except RunError:
            status = "done"  # ``verify`` says why it is unreadable, or that it is gone
        damages = verify(folder, deep=True) if status == "done" else []
        n_damaged += bool(damages)
        told = "ok" if status == "done" else f"not finished ({status})"
        told = f"{DAMAGED}: {'; '.join(damages)}" if damages else shown(told)
        print(f"{shown(folder.name)}: {told}")
    return n_damaged == 0


def holds_record(folder: Path) -> bool:
    """Whether a run has written to ``folder``, even if its `result.json` is gone or a link that leads nowhere."""
    return any(os.path.lexists(folder / name) for name in ("result.json", *SEALED))


def _is_changed(result: dict[str, Any]) -> bool:
    """Whether a record has another content than its digest says; records from before digests were kept have none."""
    return ("sha256" in result or "files" in result) and result.get("sha256") != result_digest(result)


def _runs(folder: Path) -> list[Path]:
    found = [place for place in (folder, *sorted(folder.glob("*/"))) if holds_record(place)]
    if not found:
        raise RunError(f"There is no record in {folder}: name the folder of a run, or of a sweep.")
    return found


def _refuse_constant(name: str) -> None:
    raise ValueError(f"it holds {name}")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sentence(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return shown(error)
    problem = error.errors(include_url=False)[0]
    return f"{shown('.'.join(map(str, problem['loc'])))}: {shown(problem['msg'])}"


def _wrong_metrics(result: dict[str, Any]) -> Iterator[str]:
    for key, value in result.items():
        found = _METRIC.fullmatch(key)
        if found is None or (value is None and (found["part"] or found["name"] not in _RANKED)):
            continue  # of an empty set of candidates there is no mean
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _INFINITE:
            yield f"{key} is {shown(value)}, not a finite number"
        elif value < 0 or (found["name"] in _SHARES and value > 1 + _TOLERANCE):
            yield f"{key} is {value:g}, outside its range"


def _wrong_file(folder: Path, name: str, entry: _File) -> str | None:
    if name not in SEALED:
        return "is listed, but no file of a record"
    path = folder / name
    try:
        if not path.is_file():
            return "is not there"
        size = path.stat().st_size
        if size != entry.bytes:
            return f"has {size:,} bytes instead of {entry.bytes:,}"
        return None if _sha256(path) == entry.sha256 else "was changed after the run wrote it (another SHA-256)"
    except OSError as error:
        return f"cannot be read ({error.strerror or error})"


def _disagreements(folder: Path, result: dict[str, Any]) -> Iterator[str]:
    """Metrics that are not the means of `per_user.parquet`, and masks with another digest."""
    import polars as pl  # only here: a run's folder may be looked at without it

    from recmm.missing.masks import Masks

    ours = {key: found for key in result if (found := _METRIC.fullmatch(key)) and found["name"] in _RANKED}
    if ours and (folder / "per_user.parquet").is_file():
        try:
            table = pl.read_parquet(folder / "per_user.parquet")
            means = table.group_by("split").agg(pl.selectors.numeric().mean()).to_dicts()
        except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            yield f"per_user.parquet cannot be read ({shown(str(error).splitlines()[0])})"
            return
        by_split = {row["split"]: row for row in means}
        for key, found in ours.items():
            mean = by_split.get(found["split"], {}).get(f"{found['name']}@{found['k']}")
            if not found["part"] and (mean is None or abs(mean - result[key]) > _TOLERANCE):
                yield f"{key} is {result[key]:g}, but the mean of per_user.parquet is {shown(mean)}"
    if (folder / "masks.npz").is_file():
        try:
            digest = Masks.load(folder / "masks.npz").digest
        except Exception as error:
            yield f"masks.npz: {shown(error)}"
        else:
            if digest != result.get("masks", {}).get("digest"):
                yield "masks.npz holds other masks than result.json names"
