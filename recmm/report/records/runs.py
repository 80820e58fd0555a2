"""The records of finished runs as one table, with what says which of them may be averaged and compared."""

import json
import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from recmm.data.files.quoting import shown
from recmm.errors import DamagedRecordError, RunError
from recmm.experiment.config.identity import NO_PROTOCOL, rounded
from recmm.experiment.verification import DAMAGED
from recmm.report.records.folders import read_history, read_record, run_folders
from recmm.report.records.variants import (
    ANY,
    Record,
    conditions,
    differing_within_models,
    hyper_parameters,
    label,
    rate_of,
    uses_modalities,
)

GROUP_KEYS = ("dataset", "split", "data_digest", "missing", "imputer", "rate", "condition", "model", "variant")
"""Columns that all runs of one setting share: a `group_by` over them averages over seeds and mask seeds."""

_TYPES = {
    "mask_seed": pl.Int64,
    "best_epoch": pl.Int64,
    "epochs": pl.Int64,
    "settings_source": pl.String,
}  # of columns that may hold nothing but null


@dataclass(frozen=True)
class Runs:
    """Finished runs.

    Attributes:
        frame: one row per run, with the columns folder, sweep (name of the parent folder), signature, model, dataset,
            split, missing, imputer, condition, variant, family (the model's class), settings_source, seed, mask_seed,
            rate (``rate_of``), uses_modalities, control (whether features were replaced), data_digest, masks_digest,
            protocol (`eval.*` as JSON), best_epoch, epochs, seconds_per_epoch (median of training), wall_seconds,
            peak_memory_mb (host), every `val/...` and `test/...` metric, and ``config/<key>`` for each key of the
            identity that differs among the runs of one model (lists as JSON). *condition*: the missing setting, with
            those of its and the imputer's parameters that differ among the runs, without its seed. *variant*: the
            model, with those hyper-parameters that differ among its runs on this dataset. Runs of methods that use no
            modality have no condition: their missing, imputer and condition are "any", their rate and mask_seed null.
        records: folder -> content of result.json, of the runs in ``frame``.
        unfinished: status -> number of runs that are not done, `damaged` and `unreadable` ones among them.
        pruned: content of result.json, of the runs that a search ended early.
        left_out: a sentence for each run that is damaged or unreadable, with its folder.
        hyper_parameters: model -> the ``config/...`` columns in which its variants differ.
    """

    frame: pl.DataFrame
    records: dict[str, Record]
    pruned: list[Record]
    unfinished: dict[str, int]
    left_out: list[str]
    hyper_parameters: dict[str, list[str]]


def load_runs(folders: Sequence[Path]) -> Runs:
    """Read the records of sweeps and of single runs.

    A run that was found twice, or that several sweeps made (equal signatures mean equal numbers), counts once. Runs
    that were moved aside (`*.old-N`) are left out.

    Args:
        folders: each one the folder of a run or of a sweep, which holds folders of runs.

    Raises:
        RunError: a folder holds no run, or no run is finished and whole.
    """
    done: dict[str, tuple[Path, Record]] = {}
    unfinished: dict[Path, str] = {}
    pruned: list[Record] = []
    left_out: list[str] = []
    for folder in run_folders(folders):
        try:
            result = _usable(folder)
        except RunError as error:
            status = DAMAGED if isinstance(error, DamagedRecordError) else "unreadable"
            unfinished[folder.absolute()] = status
            left_out.append(f"{shown(folder.name)}: {status}: {error}")
            continue
        if result["status"] == "done":
            done.setdefault(result["signature"], (folder, result))
        else:
            unfinished[folder.resolve()] = result["status"]
            pruned += [result] if result["status"] == "pruned" else []
    counts = dict(sorted(Counter(unfinished.values()).items()))
    if not done:
        states = ", ".join(f"{number} {status}" for status, number in counts.items())
        names = ", ".join(map(str, folders))
        why = f" {left_out[0]}" if left_out else ""
        raise RunError(f"None of the runs in {names} is finished ({states}): wait for one, or resume them.{why}")
    records = {str(folder): result for folder, result in done.values()}
    frame, by_model = _tabulate(records)
    return Runs(frame, records, pruned, counts, left_out, by_model)


def _usable(folder: Path) -> Record:
    """The run's record, of which a row of the frame can be made.

    Raises:
        RunError: it cannot.
    """
    result = read_record(folder)
    try:
        str(folder).encode()
        if result["status"] in ("done", "pruned"):
            result["identity"] = {key: _level(value) for key, value in result["identity"].items()}
            pl.DataFrame([_row(str(folder), result)], schema_overrides=_TYPES, strict=False)
            conditions([result])
    except RunError:
        raise
    except Exception as error:  # whatever a file that somebody edited may hold
        raise RunError(f"{folder / 'result.json'} is no usable record ({type(error).__name__}: {error}).") from error
    return result


def _tabulate(records: dict[str, Record]) -> tuple[pl.DataFrame, dict[str, list[str]]]:
    """The frame of all records, and for each model the columns in which its variants differ."""
    results = list(records.values())
    identities = [(result["model"], result["dataset"], result["identity"]) for result in results]
    differing, varying = hyper_parameters(identities), differing_within_models(identities)
    rows = [_row(folder, result) for folder, result in records.items()]
    for row, (model, dataset, identity), condition in zip(rows, identities, conditions(results), strict=True):
        row |= {"condition": condition, "variant": label(model, differing[model, dataset], identity)}
        row |= {f"config/{key}": identity.get(key) for key in varying}
    columns = {name: _column([row.get(name) for row in rows]) for name in dict.fromkeys(k for row in rows for k in row)}
    frame = pl.DataFrame(columns, schema_overrides=_TYPES, infer_schema_length=None)
    by_model: dict[str, list[str]] = defaultdict(list)
    for (model, _), keys in differing.items():
        by_model[model] += [f"config/{key}" for key in keys if f"config/{key}" not in by_model[model]]
    return frame.with_columns(pl.col(pl.Null).cast(pl.Float64)), dict(by_model)


def _row(folder: str, result: Record) -> dict[str, Any]:
    identity, aware = result["identity"], uses_modalities(result)
    protocol = {key: value for key, value in identity.items() if key.startswith("eval.") and key != NO_PROTOCOL}
    return {
        "folder": folder,
        "sweep": Path(folder).resolve().parent.name,
        "signature": result["signature"],
        "model": result["model"],
        "dataset": result["dataset"],
        "split": result["data"]["split"],
        "missing": result["missing"] if aware else ANY,
        "imputer": result["imputer"] if aware else ANY,
        "condition": None,
        "variant": None,
        "family": identity.get("model._target_", result["model"]).rpartition(".")[2],
        "settings_source": result.get("settings_source"),
        "seed": result["seed"],
        "mask_seed": identity.get("missing.seed") if aware else None,
        "rate": rate_of(identity) if aware else None,
        "uses_modalities": aware,
        "control": aware and bool(result["masks"].get("replaced")),
        "data_digest": result["data"]["digest"],
        "masks_digest": result["masks"]["digest"],
        "protocol": json.dumps(protocol, sort_keys=True),
        "best_epoch": result.get("best_epoch"),
        "epochs": result.get("epochs"),
        "seconds_per_epoch": _seconds_per_epoch(Path(folder)),
        "wall_seconds": result.get("wall_seconds"),
        "peak_memory_mb": result.get("peak_memory_mb", {}).get("host"),
    } | {
        name: None if value is None else float(value)
        for name, value in result.items()
        if name.startswith(("val/", "test/"))
    }


def _level(value: Any) -> Any:
    """The value of a hyper-parameter, one however it was rounded."""
    return rounded(value) if isinstance(value, float) and math.isfinite(value) else value


def _seconds_per_epoch(folder: Path) -> float | None:
    history = read_history(folder)
    if history is None or "seconds/train" not in history.columns:
        return None
    median: Any = history["seconds/train"].median()
    return median


def _column(values: list[Any]) -> list[Any]:
    """The values as one type: mixed types and lists become JSON text."""
    present = {type(value) for value in values if value is not None}
    if present == {int, float}:
        return [None if value is None else float(value) for value in values]
    if len(present) <= 1 and not present & {list, dict}:
        return values
    return [None if value is None else json.dumps(value) for value in values]
