"""Tables of results, on a made sweep whose numbers are known."""

import json
from pathlib import Path

import polars as pl
import pytest

from recmm.report import results
from recmm.report.labels import with_names
from recmm.report.runs import in_every_condition, load_runs
from recmm.report.strata import strata_of
from recmm.report.tables import Row, Table

METRIC = ["recall@20"]


def own(sweep: Path) -> pl.DataFrame:
    frame = load_runs([sweep]).frame
    return with_names(frame.with_columns(link=pl.col("folder").str.split("/").list.last())).sort("link")


def numbers(table: Table) -> dict[tuple[str, ...], list[tuple[object, ...]]]:
    return {row.labels: [(cell.value, cell.sd, cell.n, cell.mark) for cell in row.cells] for row in table.rows}


def test_overall(made_sweep: Path) -> None:
    frame = in_every_condition(own(made_sweep))
    stars = {("tiktok (split split)", "rate 0.1", "recall@20"): "first"}
    published = {("tiktok (split split)", "first", "rate 0.9", "recall@20"): "0.20"}
    (table,) = results.overall(frame, METRIC, "val/recall@20", stars, published)
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
    assert [cell.below_floor for cell in first] == [False, True]
    assert first[0].folders == ("first-0.1-0", "first-0.1-1")
    assert not any(cell.below_floor for row in table.rows if row.labels != ("first",) for cell in row.cells)
    for said in ("n = 1 to 2 runs", "†: settings", "▽: below popularity", "In brackets"):
        assert said in table.note


def test_of_several_settings_the_best_on_validation_is_ranked(write_run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    for layers, (test, val) in enumerate([(0.75, 0.2), (0.5, 0.3)]):
        metrics = {"test/recall@20": test, "val/recall@20": val}
        write_run(f"sweep/{layers}", config={"model.n_layers": layers}, **metrics)
    write_run("sweep/second", model="second", values=[1.0, 0.0])
    write_run("sweep/third", model="third", values=[1.0, 0.0, 0.0])
    (table,) = results.overall(own(tmp_path / "sweep"), METRIC, "val/recall@20", {}, {})
    assert [(row.labels[0], row.cells[0].mark) for row in table.rows] == [
        ("first (n_layers=0)", ""),
        ("first (n_layers=1)", "best"),
        ("second", "best"),
        ("third", "second"),
    ]
    assert "only the best by val/recall@20 is ranked" in table.note


def test_degradation_is_relative_to_the_mean_at_full_modality(make_full: Path) -> None:
    (table,) = results.degradation(in_every_condition(own(make_full)), METRIC)
    assert table.columns == ("rate 0.5",)
    assert numbers(table) == {("first",): [(pytest.approx(0.75), pytest.approx(0.125 * 2**0.5 / 0.5), 2, "")]}


@pytest.fixture
def make_full(write_run, tmp_path: Path) -> Path:  # type: ignore[no-untyped-def]
    """`first` reaches .25 and .75 with all modalities, .25 and .5 with half; `second` never ran with all."""
    for seed, (full, half) in enumerate(((1, 1), (3, 2))):
        for setting, hits in (("full", full), ("rate", half)):
            missing = {"setting": setting, "rate": None if setting == "full" else 0.5}
            write_run(f"sweep/{setting}-{seed}", seed=seed, missing=missing, values=[1] * hits + [0] * (4 - hits))
    write_run("sweep/second", model="second")
    return tmp_path / "sweep"


def test_no_degradation_without_a_run_at_full_modality(made_sweep: Path) -> None:
    assert results.degradation(in_every_condition(own(made_sweep)), METRIC) == []


def test_strata_of_what_the_target_item_has(made_sweep: Path) -> None:
    runs = own(made_sweep)
    records = {folder: _record(Path(folder)) for folder in runs["folder"]}
    pairs = strata_of(runs, in_every_condition(runs), records)
    (table,) = results.strata(pairs, ["recall@20", "precision@20"])
    assert table.columns == ("visual", "none")
    assert numbers(table)["rate 0.9", "first"] == [(0.75, 0.0, 2, ""), (0.125, 0.0, 2, "")]
    assert [row.labels for row in table.rows] == [
        (condition, method) for condition in ("rate 0.1", "rate 0.9") for method in ("first", "second")
    ]
    assert "Pairs per run: none 3, visual 1" in table.note
    assert results.strata(strata_of(runs, runs, {folder: {} for folder in records}), METRIC) == []


def _record(folder: Path) -> dict:
    return json.loads((folder / "result.json").read_text())


def test_costs(made_sweep: Path) -> None:
    (table,) = results.costs(own(made_sweep))
    row: Row = next(row for row in table.rows if row.labels == ("first",))
    assert [cell.shown for cell in row.cells] == ["2.0", "3.00", "7.5", "100"]
    assert [cell.n for cell in row.cells] == [4] * 4


def test_all_runs(made_sweep: Path) -> None:
    runs = own(made_sweep)
    table = results.all_runs(runs, METRIC)
    assert len(table.rows) == len(runs) == 10
    by_folder = {row.cells[0].folders: row for row in table.rows}
    row = by_folder[("first-0.9-1",)]
    assert row.labels == ("first", "tiktok (split split)", "rate 0.9", "mean", "default")
    shown = dict(zip(table.columns, (cell.value for cell in row.cells), strict=True))
    assert shown["seed"] == 1
    assert (shown["test recall@20"], shown["val recall@20"], shown["signature"]) == (0.25, 0.125, "sweep-first-0.9-1")


def test_file_names_hold_no_separator_and_do_not_hide() -> None:
    assert results.file_name("overall", "../A b (c)", "recall@20") == "overall-a-b-c-recall@20"
