"""The table of results: names, order, selection, and feature-free methods under every condition."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from recmm.errors import RunError
from recmm.report.records.runs import load_runs
from recmm.report.records.variants import ANY
from recmm.report.results.results import Results, in_every_condition, tabulate

RunWriter = Callable[..., Path]
Tabulate = Callable[[Path], Results]


def test_each_run_has_its_names(made_sweep: Path, tmp_path: Path) -> None:
    results = tabulate(load_runs([made_sweep]), ["recall@20"], tmp_path / "out")
    row = results.frame.filter(model="third").row(0, named=True)
    expected = {"catalogue": "tiktok (split split)", "method": "third†", "condition": "rate 0.1", "published": True}
    assert {name: row[name] for name in expected} == expected
    assert row["link"] == "../sweep/third-0.1-0"
    assert results.frame.filter(model="first")["method"].unique().to_list() == ["first"]
    assert (results.metrics, results.monitor) == (("recall@20",), "val/recall@20")


def test_data_of_one_name_is_told_apart_by_its_digest(
    write_run: RunWriter, results_of: Tabulate, tmp_path: Path
) -> None:
    write_run("sweep/a", data="0123456789")
    write_run("sweep/b", data="another")
    frame = results_of(tmp_path / "sweep").frame
    assert frame["catalogue"].to_list() == ["tiktok (split split, data 01234567)", "tiktok (split split, data another)"]


def test_the_best_variant_on_validation_is_selected_and_competes_unless_published(
    write_run: RunWriter, results_of: Tabulate, tmp_path: Path
) -> None:
    for layers, (test, val) in enumerate([(0.75, 0.2), (0.5, 0.3)]):
        metrics = {"test/recall@20": test, "val/recall@20": val}
        write_run(f"sweep/{layers}", config={"model.n_layers": layers}, **metrics)
    write_run("sweep/2", config={"model.n_layers": 2}, settings_source="published")
    frame = results_of(tmp_path / "sweep").frame.sort("link")
    assert frame["selected"].to_list() == [False, True, True]
    assert frame["competes"].to_list() == [False, True, False]


def test_the_metric_of_most_runs_selects(write_run: RunWriter, results_of: Tabulate, tmp_path: Path) -> None:
    for number, monitor in enumerate(("val/ndcg@20", "val/recall@20", "val/ndcg@20")):
        write_run(f"sweep/{number}", seed=number, monitor=monitor, **{"val/ndcg@20": 0.1})
    assert results_of(tmp_path / "sweep").monitor == "val/ndcg@20"


def test_relative_is_the_share_of_the_methods_mean_at_full(sweep_with_full: Path, results_of: Tabulate) -> None:
    relative = results_of(sweep_with_full).relative
    assert dict(relative.select("link", "relative/recall@20").rows()) == {
        "full-0": 0.5,
        "full-1": 1.5,
        "rate-0": 0.5,
        "rate-1": 1.0,
    }


def test_an_unknown_metric_is_refused(made_sweep: Path) -> None:
    with pytest.raises(RunError, match=r"metric recall@7: choose among recall@20"):
        tabulate(load_runs([made_sweep]), ["recall@7"], made_sweep)


def test_methods_without_modalities_stand_in_every_condition(write_run: RunWriter, tmp_path: Path) -> None:
    for rate in (0.1, 0.5):
        for mask_seed in (0, 1):
            write_run(f"sweep/{rate}-{mask_seed}", missing={"rate": rate}, mask_seed=mask_seed)
    write_run("sweep/elsewhere", missing={"rate": 0.9}, data="another")
    write_run("sweep/x", model="blind", blind=True, seed=0)
    write_run("sweep/y", model="blind", blind=True, seed=1, missing={"setting": "ftmt"})  # ran there by chance
    write_run("sweep/z", model="blind", blind=True, dataset="baby")
    frame = load_runs([tmp_path / "sweep"]).frame
    blind = frame.filter(model="blind")
    assert blind["condition"].unique().to_list() == [ANY]
    assert blind["mask_seed"].null_count() == blind["rate"].null_count() == 3
    everywhere = in_every_condition(frame)
    aware = pl.col("model") == "first"
    assert_frame_equal(everywhere.filter(aware), frame.filter(aware))
    rows = everywhere.filter(~aware).select("dataset", "condition", "rate", "config/missing.rate", "seed", "mask_seed")
    assert rows.rows() == [
        ("tiktok", "rate (rate=0.1)", 0.1, 0.1, 0, None),
        ("tiktok", "rate (rate=0.5)", 0.5, 0.5, 0, None),
        ("tiktok", "rate (rate=0.1)", 0.1, 0.1, 1, None),
        ("tiktok", "rate (rate=0.5)", 0.5, 0.5, 1, None),
        ("baby", ANY, None, None, 0, None),
    ]
