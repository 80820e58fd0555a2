"""Test pairs by the modalities of the target item."""

from pathlib import Path

from recmm.report.comparison.target_items import target_items
from recmm.report.records.runs import load_runs
from recmm.report.results.strata import strata_of


def test_strata_of_what_the_target_item_has(made_sweep: Path, results_of) -> None:  # type: ignore[no-untyped-def]
    results, records = results_of(made_sweep), load_runs([made_sweep]).records
    (table,) = target_items(strata_of(results, records), ["recall@20", "precision@20"])
    assert table.columns == ("visual", "none")
    assert {row.labels: [(cell.value, cell.sd, cell.n, cell.mark) for cell in row.cells] for row in table.rows}[
        "rate 0.9", "first"
    ] == [(0.75, 0.0, 2, ""), (0.125, 0.0, 2, "")]
    assert [row.labels for row in table.rows] == [
        (condition, method) for condition in ("rate 0.1", "rate 0.9") for method in ("first", "second")
    ]
    assert "Pairs per run: none 3, visual 1" in table.note
    assert target_items(strata_of(results, {folder: {} for folder in records}), ["recall@20"]) == []
