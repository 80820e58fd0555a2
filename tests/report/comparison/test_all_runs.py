"""The table of all runs."""

from pathlib import Path

from recmm.report.comparison.all_runs import all_runs


def test_all_runs(made_sweep: Path, results_of) -> None:  # type: ignore[no-untyped-def]
    results = results_of(made_sweep)
    table = all_runs(results)
    assert len(table.rows) == len(results.frame) == 10
    by_folder = {row.cells[0].folders: row for row in table.rows}
    row = by_folder[("first-0.9-1",)]
    assert row.labels == ("first", "tiktok (split split)", "rate 0.9", "mean", "default")
    shown = dict(zip(table.columns, (cell.value for cell in row.cells), strict=True))
    assert shown["seed"] == 1
    assert (shown["test recall@20"], shown["val recall@20"], shown["signature"]) == (0.25, 0.125, "sweep-first-0.9-1")
