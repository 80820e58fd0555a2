"""How many threads a run takes."""

import pytest

from recmm.experiment import machine
from recmm.experiment.machine import SMALL_CATALOGUE, choose_threads


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_DEFAULT_THREADS", 8)
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    monkeypatch.setattr("os.getloadavg", lambda: (0.2, 0.0, 0.0))


def test_a_number_is_a_number_and_null_is_torchs_default() -> None:
    assert choose_threads(3, 10) == 3
    assert choose_threads(None, 10) == 8


def test_small_catalogues_have_one_thread_and_large_ones_the_idle_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_threads("auto", SMALL_CATALOGUE) == 1
    assert choose_threads("auto", SMALL_CATALOGUE + 1) == 8
    monkeypatch.setattr("os.getloadavg", lambda: (5.6, 0.0, 0.0))
    assert choose_threads("auto", SMALL_CATALOGUE + 1) == 2
    monkeypatch.setattr("os.getloadavg", lambda: (40.0, 0.0, 0.0))
    assert choose_threads("auto", SMALL_CATALOGUE + 1) == 1
