"""Finished runs as one table."""

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from recmm.errors import RunError
from recmm.report.records.runs import GROUP_KEYS, load_runs

RunWriter = Callable[..., Path]


def test_one_row_per_finished_run(write_run: RunWriter, tmp_path: Path) -> None:
    folder = write_run("sweep/a", values=[1, 0, 0, 1], seed=3, mask_seed=2)
    row = load_runs([tmp_path / "sweep"]).frame.row(0, named=True)
    expected = {
        "folder": str(folder),
        "sweep": "sweep",
        "signature": "sweep-a",
        "split": "split",
        "missing": "rate",
        "condition": "rate",
        "variant": "first",
        "seed": 3,
        "mask_seed": 2,
        "rate": 0.5,
        "uses_modalities": True,
        "data_digest": "data",
        "masks_digest": "rate {'rate': 0.5} 2",
        "protocol": '{"eval.candidates": "all"}',
        "seconds_per_epoch": 3.0,
        "peak_memory_mb": 100.0,
        "test/recall@20": 0.5,
        "val/recall@20": 0.25,
    }
    assert {key: row[key] for key in expected} == expected


def test_sweeps_and_single_runs_and_each_run_once(write_run: RunWriter, tmp_path: Path) -> None:
    write_run("one/a", signature="same")
    write_run("two/a", signature="same")
    write_run("two/b", signature="other")
    aside = write_run("two/a.old-1", signature="aside")
    single = write_run("three/c", signature="single")
    runs = load_runs([tmp_path / "one", tmp_path / "two", single, single])
    assert runs.frame["signature"].to_list() == ["same", "other", "single"]
    assert runs.frame["sweep"].to_list() == ["one", "two", "three"]
    assert load_runs([aside]).frame["signature"].to_list() == ["aside"]  # asked for by name


def test_unfinished_runs_are_counted_and_left_out(write_run: RunWriter, tmp_path: Path) -> None:
    write_run("sweep/a")
    failed = write_run("sweep/b", status="failed")
    write_run("sweep/c", status="running")
    write_run("sweep/d", status="failed")
    runs = load_runs([tmp_path / "sweep", failed])
    assert len(runs.frame) == 1
    assert runs.unfinished == {"failed": 2, "running": 1}
    with pytest.raises(RunError, match=r"finished \(1 failed\)"):
        load_runs([failed])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "not readable as JSON"),
        ("[]", "no record of a run"),
        ("{}", "no record of a run"),
        ('{"format_version": 99, "status": "done"}', "has format 99, this version of recmm reads 1"),
        ('{"format_version": 1, "status": "done"}', "lacks signature, identity"),
    ],
)
def test_what_is_no_record_is_named(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "result.json").write_text(text)
    with pytest.raises(RunError, match=sentence) as error:
        load_runs([tmp_path])
    assert str(tmp_path / "run" / "result.json") in str(error.value)


def test_one_bad_record_is_told_and_the_others_are_loaded(write_run: RunWriter, tmp_path: Path) -> None:
    bad = {
        "empty": "",
        "cut": '{"format_version": 1',
        "types": None,
        "deep": "[" * 100_000,
        "n" * 240: "{",
    }
    write_run("sweep/good")
    whole = json.loads((tmp_path / "sweep" / "good" / "result.json").read_text())
    for name, text in bad.items():
        (tmp_path / "sweep" / name).mkdir()
        content = json.dumps(whole | {"data": {"digest": 3}, "masks": {}}) if text is None else text
        (tmp_path / "sweep" / name / "result.json").write_text(content)
    (tmp_path / "sweep" / "loop").mkdir()
    (tmp_path / "sweep" / "loop" / "result.json").symlink_to("result.json")
    write_run("sweep/absurd", **{"test/recall@20": 1e308})
    runs = load_runs([tmp_path / "sweep"])
    assert runs.frame["signature"].to_list() == ["sweep-good"]
    assert runs.unfinished == {"damaged": 1, "unreadable": 6}
    assert len(runs.left_out) == 7 and any("absurd: damaged: " in told for told in runs.left_out)


def test_rates_are_one_level_however_they_were_rounded(write_run: RunWriter, tmp_path: Path) -> None:
    for name, rate in (("a", 0.3), ("b", 0.1 + 0.2)):
        write_run(f"sweep/{name}", seed=len(name), missing={"rate": rate}, config={"model.lr": rate})
    runs = load_runs([tmp_path / "sweep"])
    assert set(runs.frame["rate"]) == {0.3} and runs.frame["condition"].n_unique() == 1


def test_a_folder_without_runs_is_refused(write_run: RunWriter, tmp_path: Path) -> None:
    write_run("sweep/a")
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(RunError, match="There is no run in"):
            load_runs([tmp_path / "sweep", folder])


def test_variants_are_what_varies_within_a_model_but_no_seed(write_run: RunWriter, tmp_path: Path) -> None:
    for number, (k, seed) in enumerate([(16, 0), (16, 1), (64, 0), (64, 1)]):
        write_run(
            f"sweep/{number}",
            seed=seed,
            config={"model.k": k, "model.layers": [k, 1]},
            values=[k / 1000, (3 * k + seed) / 1000],
        )
    write_run("sweep/other", model="second", config={"model.k": 5, "eval.memory_mb": 1})
    runs = load_runs([tmp_path / "sweep"])
    assert runs.frame["variant"].to_list() == 2 * ["first (k=16, layers=[16, 1])"] + 2 * [
        "first (k=64, layers=[64, 1])"
    ] + ["second"]
    assert runs.hyper_parameters == {"first": ["config/model.k", "config/model.layers"], "second": []}
    assert runs.frame["config/model.k"].to_list() == [16, 16, 64, 64, 5]
    assert runs.frame["config/model.layers"].to_list() == 2 * ["[16, 1]"] + 2 * ["[64, 1]"] + [None]
    assert "config/model.dim" not in runs.frame.columns
    means = runs.frame.group_by(GROUP_KEYS, maintain_order=True).agg(pl.col("test/recall@20").mean())
    assert means["test/recall@20"].to_list() == pytest.approx([0.03225, 0.12825, 0.5])


def test_hyper_parameters_that_only_follow_the_dataset_make_no_variants(write_run: RunWriter, tmp_path: Path) -> None:
    write_run("sweep/a", dataset="tiktok", config={"model.lr": 0.1})
    write_run("sweep/b", dataset="baby", config={"model.lr": 0.2})
    runs = load_runs([tmp_path / "sweep"])
    assert runs.frame["variant"].to_list() == ["first", "first"]
    assert runs.frame["config/model.lr"].to_list() == [0.1, 0.2]


def test_keys_that_end_alike_are_written_in_full(write_run: RunWriter, tmp_path: Path) -> None:
    write_run("sweep/a", config={"model.a.k": 1, "model.b.k": 1})
    write_run("sweep/b", config={"model.a.k": 2, "model.b.k": 2})
    labels = load_runs([tmp_path / "sweep"]).frame["variant"].to_list()
    assert labels == ["first (model.a.k=1, model.b.k=1)", "first (model.a.k=2, model.b.k=2)"]


def test_conditions_are_settings_with_their_parameters_without_seed(write_run: RunWriter, tmp_path: Path) -> None:
    write_run("sweep/a", missing={"rate": 0.1}, mask_seed=0)
    write_run("sweep/b", missing={"rate": 0.1}, mask_seed=1)
    write_run("sweep/c", missing={"rate": 1})
    write_run("sweep/d", missing={"rate": 1}, imputer="zero")
    write_run("sweep/e", model="second", missing={"setting": "ftmt", "rate": 0.3})
    frame = load_runs([tmp_path / "sweep"]).frame
    few = "rate (imputer=mean, rate=0.1)"
    assert frame["condition"].to_list() == [
        few,
        few,
        "rate (imputer=mean, rate=1)",
        "rate (imputer=zero, rate=1)",
        "ftmt",
    ]
    assert frame["rate"].to_list() == [0.1, 0.1, 1.0, 1.0, 0.3]
    assert frame.group_by(GROUP_KEYS).len()["len"].sort().to_list() == [1, 1, 1, 2]


def test_the_rates_of_training_and_test_are_one_rate_where_they_are_equal(write_run: RunWriter, tmp_path: Path) -> None:
    for train_rate, test_rate in ((0.1, 0.1), (0.9, 0.9), (0.3, 0.5)):
        missing = {"setting": "mtmt", "rate": None, "train_rate": train_rate, "test_rate": test_rate}
        write_run(f"sweep/{train_rate}", missing=missing)
    frame = load_runs([tmp_path / "sweep"]).frame
    assert dict(zip(frame["condition"], frame["rate"], strict=True)) == {
        "mtmt (rate=0.1)": 0.1,
        "mtmt (test_rate=0.5, train_rate=0.3)": None,
        "mtmt (rate=0.9)": 0.9,
    }


def test_an_imputers_parameters_are_named_where_they_differ_among_runs_with_it(
    write_run: RunWriter, tmp_path: Path
) -> None:
    for k in (5, 20):
        write_run(f"sweep/knn{k}", imputer="knn", config={"imputer._target_": "Knn", "imputer.k": k, "imputer.p": 1})
    write_run("sweep/prop", imputer="feat_prop", config={"imputer._target_": "FeatProp", "imputer.k": 20})
    assert load_runs([tmp_path / "sweep"]).frame["condition"].sort().to_list() == [
        "rate (imputer=feat_prop)",
        "rate (imputer=knn, k=20)",
        "rate (imputer=knn, k=5)",
    ]


def test_the_record_says_whether_a_method_uses_modalities(write_run: RunWriter, tmp_path: Path) -> None:
    write_run("sweep/a", blind=True)
    write_run("sweep/b", blind=False)
    write_run("sweep/c", blind=False, uses_modalities=False)
    assert load_runs([tmp_path / "sweep"]).frame["uses_modalities"].to_list() == [False, True, False]


def test_metrics_that_are_no_number_are_null(write_run: RunWriter, tmp_path: Path) -> None:
    folder = write_run("sweep/a", **{"test/novelty@20": None})
    (folder / "metrics.csv").unlink()
    frame = load_runs([folder]).frame
    assert frame.row(0, named=True)["test/novelty@20"] is None
    assert frame.schema["test/novelty@20"] == frame.schema["seconds_per_epoch"] == pl.Float64


def test_a_real_record_is_read(tmp_path: Path) -> None:
    """The names that this test's helper writes are those of the writer."""
    from recmm.experiment.records import open_record

    with open_record(
        tmp_path / "run", signature="s", identity={"missing.seed": 0}, resume=False, overwrite=False
    ) as record:
        about = {"model": "m", "dataset": "d", "missing": "full", "imputer": "zero", "seed": 0}
        record.update(**about, data={"digest": "x", "split": "y"}, masks={"digest": "z"}, **{"test/hit@5": 1.0})
        record.write_metrics([{"epoch": 0, "seconds/train": 2.0}])
        record.update(status="done")
    row = load_runs([tmp_path]).frame.row(0, named=True)
    assert json.loads((tmp_path / "run" / "result.json").read_text())["wall_seconds"] == row["wall_seconds"]
    assert (row["seconds_per_epoch"], row["test/hit@5"], row["mask_seed"]) == (2.0, 1.0, 0)
