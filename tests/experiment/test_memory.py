"""What a run is charged with is its own peak, not that of a run before it in the same process."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from recmm.experiment.machine import peak_memory_mb, start_peak_memory


def allocate(mb: int) -> None:
    np.ones(mb * 2**17).sum()


ROOT = Path(__file__).parents[2]
AFTER_A_GIGABYTE_AND_A_HALF = """
import runpy, sys
import numpy as np
np.ones(3 * 2**26).sum()
sys.argv[0] = "train.py"
runpy.run_path("train.py", run_name="__main__")
"""

pytestmark = pytest.mark.skipif(
    not os.access(Path("/proc/self/clear_refs"), os.W_OK), reason="the system cannot reset the peak"
)


def test_a_later_run_does_not_inherit_the_peak_of_an_earlier_one() -> None:
    start_peak_memory()
    before = peak_memory_mb()["host"]
    allocate(400)
    assert peak_memory_mb()["host"] == pytest.approx(before + 400, abs=40)
    start_peak_memory()
    again = peak_memory_mb()["host"]
    assert again < before + 100
    allocate(200)
    assert peak_memory_mb()["host"] == pytest.approx(again + 200, abs=40)


@pytest.mark.slow
def test_a_run_starts_its_own_count(tmp_path: Path) -> None:
    small = ("model=popularity", "dataset.n_users=60", "dataset.n_items=40", "logger=csv", f"hydra.run.dir={tmp_path}")
    command = (sys.executable, "-c", AFTER_A_GIGABYTE_AND_A_HALF, *small)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "result.json").read_text())["peak_memory_mb"]["host"] < 1400
