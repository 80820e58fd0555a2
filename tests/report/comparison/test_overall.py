"""The table of methods by conditions, on a made sweep whose numbers are known."""

from pathlib import Path

import pytest

from recmm.report.comparison.overall import overall
from recmm.report.comparison.tables import Table


def numbers(table: Table) -> dict[tuple[str, ...], list[tuple[object, ...]]]:
    return {row.labels: [(cell.value, cell.sd, cell.n, cell.mark) for cell in row.cells] for row in table.rows}


def test_overall(made_sweep: Path, results_of) -> None:  # type: ignore[no-untyped-def]
    stars = {("tiktok (split split)", "rate 0.1", "recall@20"): "first"}
    published = {("tiktok (split split)", "first", "rate 0.9", "recall@20"): "0.20"}
    (table,) = overall(results_of(made_sweep), stars, published)
    sd = pytest.approx(0.125 * 2**0.5)
    assert table.columns == ("rate 0.1", "rate 0.9")
    assert numbers(table) == {
        ("popularity",): [(0.25, None, 1, "second"), (0.25, None, 1, "second")],
        ("first",): [(0.625, sd, 2, "best"), (0.125, sd, 2, "")],
        ("second",): [(0.25, 0.0, 2, "second"), (0.5, 0.0, 2, "best")],
        ("third†",): [(1.0, None, 1, ""), (None, None, None, "")],
    }
    first = table.rows[1].cells
    assert [cell.star for cell in first] == [True, False]
    assert [cell.published for cell in first] == [None, "0.20"]
    assert [cell.below_popularity for cell in first] == [False, True]
    assert first[0].folders == ("first-0.1-0", "first-0.1-1")
    assert not any(cell.below_popularity for row in table.rows if row.labels != ("first",) for cell in row.cells)
    for said in ("n = 1 to 2 runs", "†: settings", "▽: below the popularity baseline", "In brackets"):
        assert said in table.note


def test_of_several_settings_the_best_on_validation_is_ranked(write_run, results_of, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    for layers, (test, val) in enumerate([(0.75, 0.2), (0.5, 0.3)]):
        metrics = {"test/recall@20": test, "val/recall@20": val}
        write_run(f"sweep/{layers}", config={"model.n_layers": layers}, **metrics)
    for model, values in (("second", [1.0, 0.0]), ("third", [1.0, 0.0, 0.0])):  # all have two trials
        write_run(f"sweep/{model}", model=model, values=values)
        write_run(f"sweep/{model}-worse", model=model, values=[0.0], config={"model.n_layers": 0})
    (table,) = overall(results_of(tmp_path / "sweep"), {}, {})
    assert [(row.labels[0], row.cells[0].mark) for row in table.rows] == [
        ("first (n_layers=0)", ""),
        ("first (n_layers=1)", "best"),
        ("second", "best"),
        ("second (n_layers=0)", ""),
        ("third", "second"),
        ("third (n_layers=0)", ""),
    ]
    assert "only the best by val/recall@20 is ranked" in table.note
