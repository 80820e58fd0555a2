"""`python -m recmm ensemble`: from records to weights and metrics, and what cannot be fused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from typer.testing import Result

from recmm.errors import ConfigError, RunError


def write_run(folder: Path, good_users: range, *, first: int = 0, digest: str = "d", **entries: Any) -> Path:
    """A run of 20 users that ranks the held-out item first for some and not at all for others, then ``first``, ...."""
    users = np.arange(20)
    shown = np.tile(np.arange(50), (20, 1)) + first
    shown[list(good_users), 0] = 100 + np.array(good_users, dtype=np.int64) % 20
    tables = []
    for split in ("val", "test"):
        positions = np.tile(np.arange(50) + 1, 20)
        columns = {"user": users.repeat(50), "position": positions, "item": shown.ravel(), "score": -positions * 1.0}
        tables.append(pl.DataFrame({"split": [split] * 1000} | columns))
    folder.mkdir()
    pl.concat(tables).write_parquet(folder / "topk.parquet")
    held = [pl.DataFrame({"user": users, "item": 100 + users}).with_columns(split=pl.lit(s)) for s in ("val", "test")]
    pl.concat(held).write_parquet(folder / "ranks.parquet")
    result = {"format_version": 1, "status": "done", "signature": folder.name, "identity": {"eval.candidates": "all"}}
    result |= {"model": "m", "dataset": "tiny", "missing": "full", "imputer": "zero", "seed": 0, "masks": {}}
    result |= {"data": {"digest": digest, "split": "s"}, "monitor": "val/recall@20", "val/recall@20": 0.5} | entries
    (folder / "result.json").write_text(json.dumps(result))
    return folder


def test_two_runs_that_know_different_users_make_a_better_one(recmm: Callable[..., Result], tmp_path: Path) -> None:
    runs = [write_run(tmp_path / "a", range(12)), write_run(tmp_path / "b", range(8, 20), first=50)]
    useless = write_run(tmp_path / "useless", range(0))
    done = recmm("ensemble", *runs, useless, "--out", tmp_path / "out")
    assert done.exit_code == 0 and "ensemble" in done.stdout
    result = json.loads((tmp_path / "out" / "ensemble.json").read_text())
    weights = [run["weight"] for run in result["runs"]]
    assert weights == [0.5, 0.5, 0.0]
    assert result["val/recall@20"] == result["test/recall@20"] == 1.0
    per_user = pl.read_parquet(tmp_path / "out" / "per_user.parquet").filter(split="test")
    assert per_user["recall@20"].mean() == 1.0 and len(per_user) == 20
    topk = pl.read_parquet(tmp_path / "out" / "topk.parquet")
    assert topk.columns == ["split", "user", "position", "item", "score"] and topk["position"].max() == 50


@pytest.mark.parametrize(
    ("change", "error", "told"),
    [
        ({"digest": "other"}, RunError, "another data digest"),
        ({"identity": {"eval.candidates": "cold"}}, RunError, "another eval.candidates"),
        ({"status": "failed"}, RunError, "not finished"),
    ],
)
def test_refusals(recmm: Callable[..., Result], tmp_path: Path, change: dict[str, Any], error: type, told: str) -> None:
    runs = [write_run(tmp_path / "a", range(3)), write_run(tmp_path / "b", range(5), **change)]
    refused = recmm("ensemble", *runs).exception
    assert isinstance(refused, error) and told in str(refused)


def test_one_run_is_no_ensemble_and_lists_are_needed(recmm: Callable[..., Result], tmp_path: Path) -> None:
    runs = [write_run(tmp_path / "a", range(3)), write_run(tmp_path / "b", range(5))]
    refused = recmm("ensemble", runs[0]).exception
    assert isinstance(refused, ConfigError) and "at least two runs" in str(refused)
    (runs[1] / "topk.parquet").unlink()
    refused = recmm("ensemble", *runs).exception
    assert isinstance(refused, RunError) and "topk.parquet cannot be read" in str(refused)
