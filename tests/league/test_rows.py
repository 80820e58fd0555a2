"""The results as CSV: what is written comes back, one row per run."""

from collections.abc import Callable
from pathlib import Path

import pytest

from recmm.errors import RunError
from recmm.league.rows import Row, append_row, read_rows, write_rows

MakeRow = Callable[..., Row]
HEAD = "model,dataset,missing,seed,mask_seed,trials,val_recall@20,test_recall@20,results_version"


def test_rows_come_back_bit_for_bit_and_the_agreed_columns_come_first(row: MakeRow, tmp_path: Path) -> None:
    rows = [row(signature="a", **{"val_recall@20": 1 / 3}), row(signature="0012", mask_seed=None, overrides="a=[1,2]")]
    write_rows(tmp_path / "made.csv", rows)
    assert read_rows(tmp_path / "made.csv") == rows
    assert (tmp_path / "made.csv").read_text().startswith(HEAD)
    assert read_rows(tmp_path / "absent.csv") == []


def test_a_run_has_one_row_however_often_it_is_added(row: MakeRow, tmp_path: Path) -> None:
    path, lock = tmp_path / "results" / "made.csv", tmp_path / "locks" / "made.lock"
    assert append_row(path, row(signature="a"), lock) and append_row(path, row(signature="b"), lock)
    assert not append_row(path, row(signature="a", **{"val_recall@20": 0.9}), lock)
    assert [each["val_recall@20"] for each in read_rows(path)] == [0.2, 0.2]
    assert [path.name for path in path.parent.iterdir()] == ["made.csv"]


@pytest.mark.parametrize(
    ("content", "told"),
    [("model,dataset\na,b\n", "lacks the columns"), ("model,seed\na,b\n", "no table of results")],
)
def test_another_table_is_refused(content: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "made.csv").write_text(content)
    with pytest.raises(RunError, match=told):
        read_rows(tmp_path / "made.csv")
