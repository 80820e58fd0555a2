"""Files of finished runs."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from recmm.errors import RunError
from recmm.report.records.folders import read_history, read_per_user

RunWriter = Callable[..., Path]


def test_values_per_user_come_in_the_order_of_the_ids(write_run: RunWriter) -> None:
    folder = write_run("sweep/a", values=[0.1, 0.2, 0.3])
    np.testing.assert_array_equal(read_per_user(folder, "recall@20"), [0.1, 0.2, 0.3])
    np.testing.assert_array_equal(read_per_user(folder, "recall@20", "val"), [0.05, 0.1, 0.15])
    with pytest.raises(RunError, match="ndcg@20 per user cannot be read from"):
        read_per_user(folder, "ndcg@20")
    with pytest.raises(RunError, match="no user of the split train"):
        read_per_user(folder, "recall@20", "train")
    (folder / "per_user.parquet").unlink()
    with pytest.raises(RunError, match="cannot be read from"):
        read_per_user(folder, "recall@20")


def test_metrics_by_epoch_are_read_where_they_are(write_run: RunWriter) -> None:
    folder = write_run("sweep/a")
    history = read_history(folder)
    assert history is not None and history["seconds/train"].to_list() == [9.0, 2.0, 3.0]
    (folder / "metrics.csv").write_bytes(b"")
    with pytest.raises(RunError, match=r"metrics\.csv cannot be read"):
        read_history(folder)
    (folder / "metrics.csv").unlink()
    assert read_history(folder) is None
