"""A real sweep through every launcher: the same records with the same numbers as one job after the other."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
LAUNCHERS = {  # package, what it says when it starts, options
    "joblib": ("hydra_joblib_launcher", "Joblib.Parallel(n_jobs=2", ["hydra.launcher.n_jobs=2"]),
    "submitit_local": (
        "hydra_submitit_launcher",
        "Submitit 'local' sweep",
        ["hydra.launcher.timeout_min=10", "hydra.launcher.cpus_per_task=1"],
    ),
    "ray": (
        "hydra_ray_launcher",
        "Ray Launcher is launching 2 jobs",
        ["+hydra.launcher.ray.remote.num_cpus=1", "+hydra.launcher.ray.init.num_cpus=2"],
    ),
}

pytestmark = pytest.mark.slow


def sweep(output: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    small = ("dataset.n_users=60", "dataset.n_items=40", "model=lightgcn", "logger=csv", "trainer.max_epochs=2")
    which = ("-m", "seed=0,1", "sweep.name=mine", f"paths.output={output}")
    command = (sys.executable, "train.py", *small, *which, *arguments)
    environment = os.environ | {"OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0"}
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment, timeout=600, check=False)


def numbers(output: Path) -> dict[str, Any]:
    results = [json.loads(path.read_text()) for path in output.glob("mine/*/result.json")]
    assert all(result["status"] == "done" for result in results)
    return {r["signature"]: {k: v for k, v in r.items() if k.startswith(("val/", "test/"))} for r in results}


@pytest.fixture(scope="module")
def one_by_one(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    output = tmp_path_factory.mktemp("basic")
    done = sweep(output, "trainer.threads=1")
    assert done.returncode == 0, done.stderr
    return numbers(output)


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_two_jobs_side_by_side(launcher: str, one_by_one: dict[str, Any], tmp_path: Path) -> None:
    package, told, options = LAUNCHERS[launcher]
    if find_spec(f"hydra_plugins.{package}") is None:
        pytest.skip(f"{package} is not installed")
    options = [f"hydra/launcher={launcher}", *options, "trainer.threads=1"]
    done = sweep(tmp_path, *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert numbers(tmp_path) == one_by_one and len(one_by_one) == 2
    assert told in done.stdout and "2 done" in done.stdout


def test_a_failure_in_a_worker_process_is_told(tmp_path: Path) -> None:
    if find_spec("hydra_plugins.hydra_joblib_launcher") is None:
        pytest.skip("hydra_joblib_launcher is not installed")
    failing = sweep(tmp_path, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "model.training.lr=0.01,1e38")
    assert failing.returncode == 1
    assert "2 done, 2 failed" in failing.stdout and "NaN or infinite" in failing.stdout
    assert len(list(tmp_path.glob("mine/*/error.log"))) == 2
