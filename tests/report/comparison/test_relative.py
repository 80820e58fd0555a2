"""Relative performance."""

from pathlib import Path

import pytest

from recmm.report.comparison.relative import relative_performance


def test_it_is_relative_to_the_mean_at_full_modality(sweep_with_full: Path, results_of) -> None:  # type: ignore[no-untyped-def]
    (table,) = relative_performance(results_of(sweep_with_full))
    assert table.columns == ("rate 0.5",)
    (row,) = table.rows
    assert row.labels == ("first",)
    assert [(cell.value, cell.sd, cell.n, cell.mark) for cell in row.cells] == [
        (pytest.approx(0.75), pytest.approx(0.125 * 2**0.5 / 0.5), 2, "")
    ]


def test_there_is_none_without_a_run_at_full_modality(made_sweep: Path, results_of) -> None:  # type: ignore[no-untyped-def]
    assert relative_performance(results_of(made_sweep)) == []
