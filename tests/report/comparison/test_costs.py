"""Epochs, time and memory."""

from pathlib import Path

from recmm.report.comparison.costs import costs


def test_costs(made_sweep: Path, results_of) -> None:  # type: ignore[no-untyped-def]
    (table,) = costs(results_of(made_sweep))
    row = next(row for row in table.rows if row.labels == ("first",))
    assert [cell.shown for cell in row.cells] == ["2.0", "3.00", "7.5", "100"]
    assert [cell.n for cell in row.cells] == [4] * 4
