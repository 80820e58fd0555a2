"""The ledger of budgets, and what unequal ones do to the marks."""

from pathlib import Path

import numpy as np

from recmm.report.comparison.ledger import ledger
from recmm.report.comparison.overall import overall
from recmm.report.comparison.significance import comparisons


def write_runs(write_run) -> None:  # type: ignore[no-untyped-def]
    """Two methods with one trial, one with three (one of them pruned), a floor, and published settings."""
    users = np.arange(40)
    write_run("sweep/popularity", model="popularity", blind=True, values=users < 2, epochs=0)
    write_run("sweep/free", model="free", blind=True, values=users < 20)
    write_run("sweep/second", model="second", values=users < 10)
    for layers, (hits, entries) in enumerate([(30, {}), (38, {}), (0, {"status": "pruned"})]):
        write_run(f"sweep/{layers}", config={"model.n_layers": layers}, values=users < hits, **entries)
    write_run("sweep/published", model="second", settings_source="published", values=users < 39)


def test_ledger(write_run, results_of, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    write_runs(write_run)
    (table,) = ledger(results_of(tmp_path / "sweep"))
    shown = {row.labels[0]: [cell.value for cell in row.cells] for row in table.rows}
    seconds, one = 7.5, "one setting"
    assert shown == {
        "popularity": ["within", 1, 0, 0.0, 1, None, seconds, one, "default settings"],
        "first": [
            *("unequal", 3, 2, 2.0, 1, 1, seconds),
            *("n_layers: 0, 1, 2 (1 runs pruned)", "first (n_layers=1)"),
        ],
        "free": ["equal", 1, 2, 2.0, 1, None, seconds, one, "default settings"],
        "second": ["equal", 1, 2, 2.0, 1, 1, seconds, one, "default settings"],
        "second†": ["published", None, None, 2.0, 1, 1, seconds, one, "published settings"],
    }
    assert "The common budget: 1 trial, 2 epochs. Unequal: first 3 trials, 2 epochs." in table.note


def test_only_equal_budgets_are_ranked_and_starred(write_run, results_of, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    write_runs(write_run)
    results = results_of(tmp_path / "sweep")
    (tests,), stars, _ = comparisons(results)
    (table,) = overall(results, stars, {})
    marks = {row.labels[0]: row.cells[0].mark for row in table.rows}
    assert marks["free"] == "best" and marks["second"] == "second" and marks["first (n_layers=1)"] == ""
    assert "Not ranked for an unequal budget (see Budgets): first (n_layers=1)." in table.note
    assert stars == {} and not any(cell.star for row in tests.rows for cell in row.cells)
    assert tests.rows[0].labels[1] == "first (n_layers=1)"  # it is tested all the same
    below = {row.labels[0]: row.cells[0].below_feature_free for row in table.rows}
    assert [name for name, mark in below.items() if mark] == ["second"]
    assert "◇: below the best method that sees no feature" in table.note


def test_a_larger_budget_is_no_bar(write_run, results_of, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    for layers, values in enumerate(([1.0, 1.0], [1.0, 0.0])):
        write_run(f"sweep/free{layers}", model="free", blind=True, config={"model.n_layers": layers}, values=values)
    write_run("sweep/first")
    (table,) = overall(results_of(tmp_path / "sweep"), {}, {})
    assert not any(cell.below_feature_free or cell.mark for row in table.rows for cell in row.cells)
