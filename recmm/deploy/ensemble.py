"""`python -m recmm ensemble`: finished runs fused to one ranking, with weights chosen on validation."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from rich.console import Console
from rich.table import Table

from recmm.data.files.atomic import replace_atomically, writing
from recmm.deploy.fusion import Pool, choose_weights
from recmm.errors import ConfigError, RunError
from recmm.experiment.config.identity import NO_PROTOCOL
from recmm.experiment.run import MONITOR
from recmm.report.records.folders import read_record

SHOWN = ("recall@20", "ndcg@20")


def fuse_runs(folders: Sequence[Path], out: Path | None) -> dict[str, Any]:
    """Fuse the lists that the runs kept of validation and test, show the result and, with ``out``, write it there.

    Returns:
        The content of `ensemble.json`: the runs with their weights, and the metrics of validation and test.

    Raises:
        ConfigError: fewer than two runs are named.
        RunError: a run is not finished, has no lists, or is on other data, another split or other evaluation settings.
        DataError: ``out`` cannot be written.
    """
    if len(folders) < 2:
        raise ConfigError("An ensemble needs at least two runs: name their folders one after the other.")
    records = [_finished(folder) for folder in folders]
    _require_comparable(folders, records)
    monitor = str(records[0].get("monitor", MONITOR)).removeprefix("val/")
    pools = {split: _pool(folders, split) for split in ("val", "test")}
    weights = choose_weights(len(folders), lambda given: float(pools["val"].metrics(given)[monitor].mean()))
    per_user = {split: pool.metrics(weights) for split, pool in pools.items()}
    result = {
        "chosen_by": f"val/{monitor}",
        "runs": [
            {"folder": folder.resolve().name, "signature": record["signature"], "weight": float(weight)}
            | {name: record.get(name) for name in ("model", "dataset", "missing", "seed")}
            | {name: record.get(name) for metric in SHOWN for name in (f"val/{metric}", f"test/{metric}")}
            for folder, record, weight in zip(folders, records, weights, strict=True)
        ],
    } | {f"{split}/{name}": float(values.mean()) for split, found in per_user.items() for name, values in found.items()}
    if out is not None:
        _write(out, result, pools, weights)
    _show(result)
    return result


def _finished(folder: Path) -> dict[str, Any]:
    record = read_record(folder)
    if record["status"] != "done":
        raise RunError(f"{folder} is not finished ({record['status']}): wait for it, or leave it out.")
    return record


def _require_comparable(folders: Sequence[Path], records: Sequence[dict[str, Any]]) -> None:
    """Refuse runs whose users, items or candidates are not the same."""

    def place(record: dict[str, Any]) -> dict[str, Any]:
        protocol = {k: v for k, v in record["identity"].items() if k.startswith("eval.") and k != NO_PROTOCOL}
        return {"data digest": record["data"]["digest"], "split": record["data"]["split"], **protocol}

    first = place(records[0])
    for folder, record in zip(folders, records, strict=True):
        other = place(record)
        for key in first.keys() | other.keys():
            if first.get(key) != other.get(key):
                raise RunError(
                    f"{folder} has another {key} than {folders[0]} ({other.get(key)}, not {first.get(key)}): only "
                    "lists of the same users over the same items can be fused."
                )


def _pool(folders: Sequence[Path], split: str) -> Pool:
    lists = [_read(folder / "topk.parquet", split) for folder in folders]
    return Pool.of(lists, _read(folders[0] / "ranks.parquet", split))


def _read(path: Path, split: str) -> pl.DataFrame:
    try:
        table = pl.read_parquet(path).filter(pl.col("split") == split).drop("split")
    except (OSError, pl.exceptions.PolarsError) as error:
        raise RunError(
            f"{path} cannot be read ({str(error).splitlines()[0]}); a run that tested keeps its lists of validation "
            "and test there. Run it again with overwrite=true, or leave it out."
        ) from error
    if table.is_empty():
        raise RunError(f"{path} holds no list of {split}, which the weights and the result need: leave this run out.")
    return table


def _write(out: Path, result: dict[str, Any], pools: dict[str, Pool], weights: np.ndarray) -> None:
    """Write ensemble.json and, in the form of a run's tables, topk.parquet and per_user.parquet."""
    lists = [pool.fused(weights, 50).select(pl.lit(split).alias("split"), pl.all()) for split, pool in pools.items()]
    users = [
        pl.DataFrame({"user": pool.users} | {name: x.numpy() for name, x in pool.metrics(weights).items()}).select(
            pl.lit(split).alias("split"), pl.all()
        )
        for split, pool in pools.items()
    ]
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
        for name, tables in (("topk", lists), ("per_user", users)):
            pl.concat(tables).write_parquet(out / f"{name}.parquet")
    replace_atomically(out / "ensemble.json", json.dumps(result, indent=1))


def _show(result: dict[str, Any]) -> None:
    columns = [f"{split}/{metric}" for metric in SHOWN for split in ("val", "test")]
    table = Table("run", "weight", *columns)
    for run in result["runs"]:
        table.add_row(run["folder"], f"{run['weight']:.2f}", *(_number(run[name]) for name in columns))
    table.add_section()
    table.add_row("ensemble", "", *(_number(result[name]) for name in columns))
    console = Console(soft_wrap=True, highlight=False, markup=False)
    console.print(table, f"weights chosen by {result['chosen_by']}, on the first 50 items of each list", sep="\n")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
