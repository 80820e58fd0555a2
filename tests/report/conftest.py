"""Made records of runs: small, with known values per user."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from recmm.report.records.runs import load_runs
from recmm.report.results.results import Results, tabulate

RunWriter = Callable[..., Path]


@pytest.fixture
def write_run(tmp_path: Path) -> RunWriter:
    """``write_run("sweep/name", model=..., values=...)`` makes the folder of a finished run below ``tmp_path``.

    ``values``: float [n_users], test/recall@20 per user; validation gets half of them. ``config``: further keys of the
    identity. ``blind``: of a feature-free method. Other keywords replace entries of `result.json`.
    """

    def write(
        name: str,
        *,
        model: str = "first",
        values: Any = (1.0, 0.0),
        seed: int = 0,
        missing: dict[str, Any] | None = None,
        mask_seed: int = 0,
        masks: str | dict[str, Any] | None = None,
        data: str = "data",
        split: str = "split",
        blind: bool = False,
        config: dict[str, Any] | None = None,
        **entries: Any,
    ) -> Path:
        values, missing = np.asarray(values, dtype=np.float64), {"setting": "rate", "rate": 0.5} | (missing or {})
        setting = missing.pop("setting")
        identity = {"model.dim": 64, "model.training.seed": seed, "seed": seed, "data.digest": data}
        identity |= {"eval.candidates": "all", "eval.memory_mb": 256} | (config or {})
        if not blind:
            identity |= {f"missing.{key}": value for key, value in missing.items() if value is not None}
            identity |= {"missing.seed": mask_seed, "imputer._target_": "Mean"}
        result = {
            "format_version": 1,
            "status": "done",
            "signature": name.replace("/", "-"),
            "wall_seconds": 7.5,
            "identity": identity,
            "model": model,
            "dataset": "tiktok",
            "missing": setting,
            "imputer": "mean",
            "seed": seed,
            "settings_source": "default",
            "data": {"digest": data, "split": split},
            "masks": masks if isinstance(masks, dict) else {"digest": masks or f"{setting} {missing} {mask_seed}"},
            "test/recall@20": float(values.mean()),
            "val/recall@20": float(values.mean() / 2),
            "best_epoch": 1,
            "epochs": 2,
            "peak_memory_mb": {"host": 100.0, "gpu": 5.0},
        } | entries
        folder = tmp_path / name
        folder.mkdir(parents=True)
        (folder / "result.json").write_text(json.dumps(result))
        users = np.arange(len(values))[::-1]  # not in the order of their ids
        tables = [
            pl.DataFrame({"split": [name] * len(users), "user": users, "recall@20": share * values[users]})
            for name, share in (("val", 0.5), ("test", 1.0))
        ]
        pl.concat(tables).write_parquet(folder / "per_user.parquet")
        (folder / "metrics.csv").write_text("epoch,seconds/train\n0,9.0\n1,2.0\n2,3.0\n")
        return folder

    return write


@pytest.fixture
def made_sweep(write_run: RunWriter, tmp_path: Path) -> Path:
    """A sweep over two rates with popularity, two methods of two seeds each, one with published settings, one failed.

    Test Recall@20 of the seeds, at 10 % and at 90 %: popularity .25; first .5 and .75, 0 and .25; second .25 and .25,
    .5 and .5; third, whose settings are published, 1 at 10 %.
    """

    def write(model: str, seed: int, rate: float, hits: int, **entries: Any) -> None:
        values = np.arange(4) < hits
        write_run(
            f"sweep/{model}-{rate}-{seed}", model=model, seed=seed, missing={"rate": rate}, values=values, **entries
        )

    strata = [
        {"group": group, "stratum": stratum, "metric": "recall@20", "value": value, "n": n}
        for group, stratum, value, n in (
            ("modalities", "none", 0.125, 3),
            ("modalities", "visual", 0.75, 1),
            ("item", "warm", 1, 4),
        )
    ]
    write("popularity", 0, 0.1, 1, blind=True)
    for rate, hits in ((0.1, {"first": (2, 3), "second": (1, 1)}), (0.9, {"first": (0, 1), "second": (2, 2)})):
        for model, by_seed in hits.items():
            for seed, count in enumerate(by_seed):
                write(model, seed, rate, count, strata=strata)
    write("third", 0, 0.1, 4, settings_source="published")
    write("second", 7, 0.9, 0, status="failed")
    return tmp_path / "sweep"


@pytest.fixture
def results_of() -> Callable[[Path], Results]:
    """Folder of a sweep -> the table of its results by Recall@20; the links are the names of the runs' folders."""

    def read(sweep: Path) -> Results:
        return tabulate(load_runs([sweep]), ["recall@20"], sweep)

    return read


@pytest.fixture
def sweep_with_full(write_run: RunWriter, tmp_path: Path) -> Path:
    """`first` reaches .25 and .75 with all modalities, .25 and .5 with half; `second` never ran with all."""
    for seed, (full, half) in enumerate(((1, 1), (3, 2))):
        for setting, hits in (("full", full), ("rate", half)):
            missing = {"setting": setting, "rate": None if setting == "full" else 0.5}
            write_run(f"sweep/{setting}-{seed}", seed=seed, missing=missing, values=[1] * hits + [0] * (4 - hits))
    write_run("sweep/second", model="second")
    return tmp_path / "sweep"
