"""What a run is charged with is its own peak, not that of a run before it in the same process."""

import os
from pathlib import Path

import numpy as np
import pytest

from recmm.experiment.memory import peak_memory_mb, start_peak_memory


def allocate(mb: int) -> None:
    np.ones(mb * 2**17).sum()


@pytest.mark.skipif(not os.access(Path("/proc/self/clear_refs"), os.W_OK), reason="the system cannot reset the peak")
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
