"""Statistics of a feature matrix against values calculated by hand."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from recmm.data.files import arrays
from recmm.ingest.feature_scan import scan

ROWS = np.array(
    [[3, 4, 7], [0, 0, 0], [3, 4, 7], [np.nan, np.inf, 7], [1, 2, 7], [-0.0, 2, 7], [0.0, 2, 7], [3, 4, 7], [9, 9, 9]],
    np.float32,
)
OBSERVED = np.arange(9) < 8


@pytest.mark.parametrize("chunk", [1, 7, 1 << 22])
def test_a_matrix_in_chunks_of_any_size(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(arrays, "CHUNK", chunk)
    seen = scan(ROWS, OBSERVED, "visual")
    assert (seen.dim, seen.dtype, seen.n_bad) == (3, "float32", 2)
    assert seen.finite.tolist() == [True, True, True, False, True, True, True, True, False]
    assert seen.norms[[0, 3, 4, 8]] == pytest.approx([74**0.5, 0, 54**0.5, 0])
    assert np.flatnonzero(seen.zero).tolist() == [1]
    assert seen.constant.tolist() == [False, False, False]
    assert seen.mean == pytest.approx([10 / 7, 18 / 7, 6])
    first, sizes = seen.groups  # rows 0, 2 and 7; rows 5 and 6, for -0 is 0
    assert (first.tolist(), sizes.tolist(), seen.n_duplicates) == ([0, 5], [3, 2], 3)
    assert not seen.is_dead


@pytest.mark.parametrize(
    ("values", "observed"),
    [
        (np.ones((4, 2)), np.ones(4, bool)),
        (np.zeros((4, 2)), np.ones(4, bool)),
        (np.eye(4), np.zeros(4, bool)),
        (np.full((4, 2), np.nan), np.ones(4, bool)),
    ],
)
def test_what_tells_no_two_items_apart_is_dead(values: np.ndarray, observed: np.ndarray) -> None:
    assert scan(values, observed, "visual").is_dead


def test_a_large_file_is_never_in_memory_as_a_whole(tmp_path: Path) -> None:
    n_items, dim = 40_000, 1024  # 80 MiB as float16
    values = np.lib.format.open_memmap(tmp_path / "visual.npy", "w+", np.float16, (n_items, dim))
    values[:, 0] = 1
    values.flush()
    mapped = np.load(tmp_path / "visual.npy", mmap_mode="r")
    tracemalloc.start()
    seen = scan(mapped, np.ones(n_items, bool), "visual")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seen.groups[1].tolist() == [n_items]
    assert peak < 1.2 * values.nbytes, "a chunk is 4 million values, a few copies of it as float32 and bool"
