"""A matrix that is written row by row."""

from pathlib import Path

import numpy as np
import pytest

from recmm.data.files.row_file import row_file


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_rows_go_to_their_places_and_the_rest_is_zero(tmp_path: Path, dtype: type) -> None:
    rows = np.arange(6).reshape(2, 3)
    with row_file(tmp_path / "deep" / "x.npy", 5, 3, np.dtype(dtype)) as file:
        file.write(np.array([4, 1]), rows)
        file.write(np.empty(0, np.int64), np.empty((0, 3)))
    expected = np.zeros((5, 3), dtype)
    expected[[4, 1]] = rows
    found = np.load(tmp_path / "deep" / "x.npy")
    assert found.dtype == dtype
    assert np.array_equal(found, expected)
    assert file.written.tolist() == [False, True, False, False, True]
