"""Tests of significance as tables, and the stars they allow."""

from pathlib import Path

import numpy as np

from recmm.report.comparison.significance import comparisons


def test_the_best_has_a_star_where_it_beats_all_others(write_run, results_of, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    for rate, hits in ((0.1, {"first": 20, "second": 5}), (0.9, {"first": 10, "second": 9})):
        for model, count in hits.items():
            values = np.arange(40) < count
            write_run(f"sweep/{model}-{rate}", model=model, missing={"rate": rate}, values=values)
    write_run("sweep/published", model="third", settings_source="published", missing={"rate": 0.1}, values=np.ones(40))
    tables, stars, refused = comparisons(results_of(tmp_path / "sweep"))
    assert stars == {("tiktok (split split)", "rate 0.1", "recall@20"): "first"}
    assert refused == []
    (table,) = tables
    assert [row.labels for row in table.rows] == [
        (condition, method) for condition in ("rate 0.1", "rate 0.9") for method in ("first", "second")
    ]
    assert [row.cells[0].star for row in table.rows] == [True, False, False, False]
    assert table.rows[1].cells[0].folders == ("second-0.1",)


def test_a_feature_free_method_leads_to_its_runs_under_every_condition(made_sweep: Path, results_of) -> None:  # type: ignore[no-untyped-def]
    (table,), _, _ = comparisons(results_of(made_sweep))
    folders = {row.labels: row.cells[0].folders for row in table.rows}
    assert folders["rate 0.1", "popularity"] == folders["rate 0.9", "popularity"] == ("popularity-0.1-0",)


def test_what_cannot_be_compared_is_a_sentence(write_run, results_of, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    write_run("sweep/a", masks="one")
    write_run("sweep/b", model="second", masks="two")
    tables, stars, (sentence,) = comparisons(results_of(tmp_path / "sweep"))
    assert (tables, stars) == ([], {})
    assert sentence.startswith("No test of Recall@20 on tiktok (split split): The mask digests")
