"""The records of finished runs as one table, with what says which of them may be averaged and compared."""

import dataclasses
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from recmm.errors import RunError
from recmm.experiment.records import FORMAT_VERSION, read_result
from recmm.report.variants import (
    ANY,
    NO_PROTOCOL,
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
_NEEDED = ("status", "signature", "identity", "model", "dataset", "missing", "imputer", "seed", "data", "masks")


@dataclasses.dataclass(frozen=True)
class Runs:
    """Finished runs.

    Attributes:
        frame: one row per run, with the columns folder, sweep (name of the parent folder), signature, model, dataset,
            split, missing, imputer, condition, variant, family (the model's class), settings_source, seed, mask_seed,
            rate (``rate_of``), uses_modalities, data_digest, masks_digest, protocol (`eval.*` as JSON), best_epoch,
            epochs, seconds_per_epoch (median of training), wall_seconds, peak_memory_mb (host), every `val/...` and
            `test/...` metric, and ``config/<key>`` for each key of the identity that differs among the runs of one
            model (lists as JSON). *condition*: the missing setting, with those of its and the imputer's parameters
            that differ among the runs (its seed is none of them). *variant*: the model, with those hyper-parameters
            that differ among its runs on this dataset. Methods that look at no modality have no condition:
            their missing, imputer and condition are "any", their rate and mask_seed null (`in_every_condition`).
        unfinished: status -> number of runs that are not done.
        hyper_parameters: model -> the ``config/...`` columns in which its variants differ.
    """

    frame: pl.DataFrame
    unfinished: dict[str, int]
    hyper_parameters: dict[str, list[str]]

    def where(self, *predicates: pl.Expr) -> "Runs":
        """The same with those rows only that meet all predicates."""
        return dataclasses.replace(self, frame=self.frame.filter(*predicates))

    def per_user(self, folder: str, metric: str, split: str = "test") -> np.ndarray:
        """float64 [n_users]: a metric of one run, such as recall@20, for each user of a split, ordered by user id.

        Raises:
            RunError: the run has no readable table of metrics per user, or no such metric or split in it.
        """
        path = Path(folder) / "per_user.parquet"
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


def load_runs(folders: Sequence[Path]) -> Runs:
    """Read the records of sweeps and of single runs.

    A run that was found twice, or that several sweeps made (equal signatures mean equal numbers), counts once. What
    was moved aside (`*.old-N`) is left out.

    Args:
        folders: each one the folder of a run or of a sweep, which holds folders of runs.

    Raises:
        RunError: a folder holds no run, no run is finished, or a record cannot be read.
    """
    records: dict[str, tuple[Path, Record]] = {}
    unfinished: dict[Path, str] = {}
    for folder in _run_folders(folders):
        result = _read(folder)
        if result["status"] == "done":
            records.setdefault(result["signature"], (folder, result))
        else:
            unfinished[folder.resolve()] = result["status"]
    counts = dict(sorted(Counter(unfinished.values()).items()))
    if not records:
        states = ", ".join(f"{number} {status}" for status, number in counts.items())
        raise RunError(f"None of the runs in {_names(folders)} is finished ({states}): wait for one, or resume them.")
    loaded = list(records.values())
    identities = [(result["model"], result["dataset"], result["identity"]) for _, result in loaded]
    differing, varying = hyper_parameters(identities), differing_within_models(identities)
    rows = [_row(folder, result) for folder, result in loaded]
    made_under = conditions([result for _, result in loaded])
    for row, (model, dataset, identity), condition in zip(rows, identities, made_under, strict=True):
        row |= {"condition": condition, "variant": label(model, differing[model, dataset], identity)}
        row |= {f"config/{key}": identity.get(key) for key in varying}
    columns = {name: _column([row.get(name) for row in rows]) for name in dict.fromkeys(k for row in rows for k in row)}
    frame = pl.DataFrame(columns, schema_overrides=_TYPES, infer_schema_length=None)
    by_model: dict[str, list[str]] = defaultdict(list)
    for (model, _), keys in differing.items():
        by_model[model] += [f"config/{key}" for key in keys if f"config/{key}" not in by_model[model]]
    return Runs(frame.with_columns(pl.col(pl.Null).cast(pl.Float64)), counts, dict(by_model))


def in_every_condition(frame: pl.DataFrame) -> pl.DataFrame:
    """The same runs, those of methods that look at no modality once for every condition of the others.

    Such a method runs once and has the same numbers whatever is hidden. Its rows take over missing, imputer, rate,
    condition and the ``config/missing.*`` and ``config/imputer.*`` columns (but no mask seed) of every condition that
    occurs on the same data and split; where there is none they stay as they are.
    """
    data = ["dataset", "split", "data_digest"]
    taken_over = ["missing", "imputer", "rate", "condition"] + [
        name
        for name in frame.columns
        if name.startswith(("config/missing.", "config/imputer.")) and name != "config/missing.seed"
    ]
    aware = frame.filter("uses_modalities")
    blind = frame.filter(~pl.col("uses_modalities"))
    settings = aware.select(data + taken_over).unique(maintain_order=True)
    repeated = blind.drop(taken_over).join(settings, on=data, how="inner", maintain_order="left_right")
    alone = blind.join(settings, on=data, how="anti")
    return pl.concat([aware, repeated.select(frame.columns), alone])


def _names(folders: Iterable[Path]) -> str:
    return ", ".join(str(folder) for folder in folders)


def _run_folders(folders: Sequence[Path]) -> list[Path]:
    found = []
    for folder in map(Path, folders):
        inside = [folder] if (folder / "result.json").exists() else sorted(folder.glob("*/result.json"))
        runs = [path if path == folder else path.parent for path in inside]
        runs = [run for run in runs if run == folder or not _is_aside(run)]
        if not runs:
            raise RunError(
                f"There is no run in {folder}: name the folder of a sweep (its runs lie directly in it) or of a run."
            )
        found += runs
    return found


def _is_aside(folder: Path) -> bool:
    _, old, number = folder.name.rpartition(".old-")
    return bool(old) and number.isdigit()


def _read(folder: Path) -> Record:
    path = folder / "result.json"
    try:
        result = read_result(folder)
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"{path} cannot be read ({error}): move the folder away and run again.") from error
    if not isinstance(result, dict) or "format_version" not in result:
        raise RunError(f"{path} is no record of a run (it has no format_version): move it away.")
    if result["format_version"] != FORMAT_VERSION:
        raise RunError(
            f"{path} has format {result['format_version']}, this version of recmm reads {FORMAT_VERSION}: run again, "
            "or use the version that wrote it."
        )
    lacking = [key for key in _NEEDED if key not in result and (result.get("status") == "done" or key == "status")]
    if lacking:
        raise RunError(f"{path} lacks {', '.join(lacking)}, which every record has: move the folder away.")
    return result


def _row(folder: Path, result: Record) -> dict[str, Any]:
    identity, aware = result["identity"], uses_modalities(result)
    protocol = {key: value for key, value in identity.items() if key.startswith("eval.") and key != NO_PROTOCOL}
    return {
        "folder": str(folder),
        "sweep": folder.resolve().parent.name,
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
        "data_digest": result["data"]["digest"],
        "masks_digest": result["masks"]["digest"],
        "protocol": json.dumps(protocol, sort_keys=True),
        "best_epoch": result.get("best_epoch"),
        "epochs": result.get("epochs"),
        "seconds_per_epoch": _seconds_per_epoch(folder),
        "wall_seconds": result.get("wall_seconds"),
        "peak_memory_mb": result.get("peak_memory_mb", {}).get("host"),
    } | {
        name: None if value is None else float(value)
        for name, value in result.items()
        if name.startswith(("val/", "test/"))
    }


def _seconds_per_epoch(folder: Path) -> float | None:
    path = folder / "metrics.csv"
    if not path.exists():
        return None
    try:
        table = pl.read_csv(path, infer_schema_length=None)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise RunError(f"{path} cannot be read ({error}): move the folder away and run again.") from error
    median: Any = table["seconds/train"].median() if "seconds/train" in table.columns else None
    return median


def _column(values: list[Any]) -> list[Any]:
    """The values as one type: what mixes types or holds lists becomes JSON text."""
    present = {type(value) for value in values if value is not None}
    if present == {int, float}:
        return [None if value is None else float(value) for value in values]
    if len(present) <= 1 and not present & {list, dict}:
        return values
    return [None if value is None else json.dumps(value) for value in values]
