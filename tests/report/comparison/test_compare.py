"""The best against the rest: who is compared with whom, over what, and what is refused."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy import stats

from recmm.errors import RunError
from recmm.evaluation.significance import bootstrap_interval, paired_t_test, permutation_test, seed_test, wilcoxon_test
from recmm.report.comparison.compare import compare, summarise
from recmm.report.records.runs import load_runs

RunWriter = Callable[..., Path]


def hits(n_hits: int, n_users: int = 40) -> np.ndarray:
    return (np.arange(n_users) < n_hits).astype(np.float64)


def by_variant(table: pl.DataFrame) -> dict[str, dict[str, Any]]:
    return {row["variant"]: row for row in table.iter_rows(named=True)}


def grid(
    write_run: RunWriter, model: str, seeds: Sequence[int], masks: Sequence[int], shift: float = 0.0, **settings: Any
) -> np.ndarray:
    """A run for every cell; returns the values [n_users, n_seeds, n_masks]."""
    rng = np.random.default_rng(len(model))
    values = rng.random((50, len(seeds), len(masks))) + shift
    for (i, seed), (j, mask) in ((s, m) for s in enumerate(seeds) for m in enumerate(masks)):
        name = f"sweep/{model}-{settings.get('missing')}-{seed}-{mask}"
        write_run(name, model=model, values=values[:, i, j], seed=seed, mask_seed=mask, **settings)
    return values


def test_mean_and_deviation_over_runs_are_stated_with_their_number(write_run: RunWriter, tmp_path: Path) -> None:
    for seed, n_hits in enumerate((10, 20, 24)):
        write_run(f"sweep/{seed}", seed=seed, mask_seed=seed % 2, values=hits(n_hits))
    write_run("sweep/alone", model="alone", values=hits(4))
    write_run("sweep/blind", model="blind", blind=True, values=hits(2))
    rows = by_variant(summarise(load_runs([tmp_path / "sweep"]).frame, "test/recall@20"))
    stated = {name: [row[key] for key in ("mean", "std", "n", "n_seeds", "n_mask_seeds")] for name, row in rows.items()}
    # .25, .5, .6: mean .45, squared deviations .04 + .0025 + .0225 = .065 over 2
    assert stated["first"] == pytest.approx([0.45, math.sqrt(0.065 / 2), 3, 3, 2])
    assert stated["alone"] == [0.1, None, 1, 1, 1]
    assert stated["blind"] == [0.05, None, 1, 1, 0]


def test_single_binary_runs_get_mcnemar_and_holm(write_run: RunWriter, tmp_path: Path) -> None:
    for model, n_hits in (("best", 20), ("near", 13), ("far", 6), ("equal", 20)):
        write_run(f"sweep/{model}", model=model, values=hits(n_hits))
    table = compare(load_runs([tmp_path / "sweep"]).frame, "recall@20")
    rows = by_variant(table)
    assert table["variant"].to_list() == ["best", "equal", "near", "far"]
    assert table["best"].to_list() == [True, False, False, False]
    # Discordant users: 0, 7 and 14, all in favour of the best.
    raw = {"equal": 1.0, "near": 2 / 2**7, "far": 2 / 2**14}
    assert {name: rows[name]["p"] for name in raw} == pytest.approx(raw)
    assert {rows[name]["test"] for name in raw} == {"mcnemar"}
    corrected = {"equal": 1.0, "near": 2 * 2 / 2**7, "far": 3 * 2 / 2**14}
    assert {name: rows[name]["p_holm"] for name in raw} == pytest.approx(corrected)
    assert rows["near"]["difference"] == pytest.approx(7 / 40)
    assert [rows["best"][key] for key in ("test", "p", "p_holm", "difference")] == 4 * [None]


def test_mcnemar_is_for_one_run_each(write_run: RunWriter, tmp_path: Path) -> None:
    for seed in (0, 1):
        write_run(f"sweep/a{seed}", model="a", seed=seed, values=hits(20))
        write_run(f"sweep/b{seed}", model="b", seed=seed, values=hits(10))
    assert by_variant(compare(load_runs([tmp_path / "sweep"]).frame, "recall@20"))["b"]["test"] == "permutation"


def test_a_star_needs_the_corrected_test(write_run: RunWriter, tmp_path: Path) -> None:
    for model, n_hits in (("best", 20), ("a", 14), ("b", 14)):  # 6 discordant users: p = .03125, corrected .0625
        write_run(f"sweep/{model}", model=model, values=hits(n_hits))
    runs = load_runs([tmp_path / "sweep"]).frame
    assert compare(runs, "recall@20")["star"].to_list() == [False, False, False]
    alone = compare(runs.filter(pl.col("model") != "b"), "recall@20")
    assert alone["star"].to_list() == [True, True]
    write_run("sweep/far", model="far", values=hits(0))
    with_far = compare(load_runs([tmp_path / "sweep"]).frame, "recall@20")
    assert dict(with_far.select("variant", "star").rows()) == {"best": False, "a": False, "b": False, "far": True}


def test_values_are_averaged_over_seeds_and_masks_before_the_test(write_run: RunWriter, tmp_path: Path) -> None:
    a = grid(write_run, "best", (0, 1, 2), (0, 1, 2), shift=0.03)
    b = grid(write_run, "second", (0, 1, 2), (0, 1, 2))
    runs = load_runs([tmp_path / "sweep"]).frame
    of_users = a.mean(axis=(1, 2)), b.mean(axis=(1, 2))
    for test, function in (("default", permutation_test), ("t", paired_t_test), ("wilcoxon", wilcoxon_test)):
        row = by_variant(compare(runs, "recall@20", test=test))["second"]
        assert row["p"] == pytest.approx(function(*of_users))
        assert 0.001 < row["p"] < 0.5
        assert row["test"] == ("permutation" if test == "default" else test)
    rows = by_variant(compare(runs, "recall@20"))
    assert rows["best"]["crossed"] == rows["second"]["difference_crossed"] == "users x seeds x mask seeds"
    assert (rows["best"]["low"], rows["best"]["high"]) == pytest.approx(bootstrap_interval(a))
    interval = rows["second"]["difference_low"], rows["second"]["difference_high"]
    assert interval == pytest.approx(bootstrap_interval(a - b))
    assert rows["second"]["difference"] == pytest.approx((a - b).mean())


def test_an_interval_says_what_it_crossed_and_needs_a_complete_grid(write_run: RunWriter, tmp_path: Path) -> None:
    grid(write_run, "best", (0, 1, 2), (0, 1), shift=0.4)
    grid(write_run, "single", (0,), (0, 1))
    write_run("sweep/gap-0", model="gap", seed=0, mask_seed=0, values=np.zeros(50))
    write_run("sweep/gap-1", model="gap", seed=1, mask_seed=1, values=np.zeros(50))
    rows = by_variant(compare(load_runs([tmp_path / "sweep"]).frame, "recall@20"))
    assert {name: row["crossed"] for name, row in rows.items()} == {
        "best": "users x seeds",
        "single": "users",
        "gap": None,
    }
    assert rows["gap"]["low"] is None
    assert rows["single"]["difference_crossed"] is None  # other seeds: no grid of differences
    assert rows["single"]["p"] is not None


def test_runs_are_paired_over_the_masks_that_both_have_seen(write_run: RunWriter, tmp_path: Path) -> None:
    a = grid(write_run, "best", (0,), (0, 1, 2), shift=0.1)
    b = grid(write_run, "second", (0,), (1, 5))
    row = by_variant(compare(load_runs([tmp_path / "sweep"]).frame, "recall@20"))["second"]
    assert row["difference"] == pytest.approx(a[..., 1].mean() - b[..., 0].mean())
    assert row["p"] == pytest.approx(permutation_test(a[:, 0, 1], b[:, 0, 0]))
    assert 0.001 < row["p"] < 0.9


def test_methods_without_modalities_are_compared_under_every_condition(write_run: RunWriter, tmp_path: Path) -> None:
    few = grid(write_run, "aware", (0,), (0, 1, 2), missing={"rate": 0.1}, shift=0.1)
    many = grid(write_run, "aware", (0,), (0, 1, 2), missing={"rate": 0.9}, shift=-0.1)
    blind = np.random.default_rng(9).random(50)
    write_run("sweep/blind", model="blind", blind=True, values=blind, masks="drawn, never seen")
    table = compare(load_runs([tmp_path / "sweep"]).frame, "recall@20")
    assert table.select("condition", "variant", "best").rows() == [
        ("rate (rate=0.1)", "aware", True),
        ("rate (rate=0.1)", "blind", False),
        ("rate (rate=0.9)", "blind", True),
        ("rate (rate=0.9)", "aware", False),
    ]
    differences = table["difference"].drop_nulls().to_list()
    assert differences == pytest.approx([few.mean() - blind.mean(), blind.mean() - many.mean()])
    assert table["p"][1] == pytest.approx(permutation_test(few.mean(axis=(1, 2)), blind))
    assert 0.001 < table["p"][1] < 0.9
    assert table["difference_crossed"].drop_nulls().to_list() == 2 * ["users x mask seeds"]


def test_each_dataset_is_its_own_family(write_run: RunWriter, tmp_path: Path) -> None:
    for dataset, n_users in (("tiktok", 40), ("baby", 20)):
        for model, n_hits in (("a", 16), ("b", 10)):
            values = hits(n_hits, n_users)
            write_run(f"sweep/{dataset}-{model}", model=model, dataset=dataset, data=dataset, values=values)
    table = compare(load_runs([tmp_path / "sweep"]).frame, "recall@20")
    assert table["best"].to_list() == [True, False, True, False]
    assert table["p_holm"].drop_nulls().to_list() == pytest.approx([2 / 2**6, 2 / 2**6])


def test_validation_can_be_compared_too(write_run: RunWriter, tmp_path: Path) -> None:
    write_run("sweep/a", model="a", values=hits(20))
    write_run("sweep/b", model="b", values=hits(10))
    table = compare(load_runs([tmp_path / "sweep"]).frame, "recall@20", split="val")
    assert table["mean"].to_list() == [0.25, 0.125]
    assert table["test"].to_list() == [None, "permutation"]  # halves are not binary


def test_other_rates_under_one_mask_seed_are_no_mismatch(write_run: RunWriter, tmp_path: Path) -> None:
    for rate in (0.1, 0.9):
        for model in ("a", "b"):
            write_run(f"sweep/{model}-{rate}", model=model, missing={"rate": rate})
    assert compare(load_runs([tmp_path / "sweep"]).frame, "recall@20")["rate"].to_list() == [0.1, 0.1, 0.9, 0.9]


@pytest.mark.parametrize("blind", [False, True])
@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        ({"data": "another"}, "The data digests of runs on dataset tiktok differ: data in {a}, another in {b}."),
        ({"split": "another"}, "The splits of runs on dataset tiktok differ: split in {a}, another in {b}."),
        ({"config": {"eval.candidates": "warm"}}, "The evaluation settings of runs on dataset tiktok differ: "),
    ],
)
def test_other_data_is_refused(
    write_run: RunWriter, tmp_path: Path, blind: bool, other: dict[str, Any], sentence: str
) -> None:
    a, b = write_run("sweep/a", model="a"), write_run("sweep/b", model="b", blind=blind, **other)
    with pytest.raises(RunError) as error:
        compare(load_runs([tmp_path / "sweep"]).frame, "recall@20")
    assert str(error.value).startswith(sentence.format(a=a, b=b))


def test_other_masks_of_one_mask_seed_are_refused(write_run: RunWriter, tmp_path: Path) -> None:
    a, b = write_run("sweep/a", model="a", masks="these"), write_run("sweep/b", model="b", masks="those")
    with pytest.raises(RunError) as error:
        compare(load_runs([tmp_path / "sweep"]).frame, "recall@20")
    start = f"The mask digests of runs under rate with missing.seed=0 differ: these in {a}, those in {b}."
    assert str(error.value).startswith(start)


def test_runs_without_a_common_mask_are_refused(write_run: RunWriter, tmp_path: Path) -> None:
    write_run("sweep/a", model="a", mask_seed=0)
    write_run("sweep/b", model="b", mask_seed=1)
    with pytest.raises(RunError, match=r"a and b were run under different masks .*same missing\.seed"):
        compare(load_runs([tmp_path / "sweep"]).frame, "recall@20")


def test_settings_that_draw_nothing_have_the_same_masks_under_all_mask_seeds(
    write_run: RunWriter, tmp_path: Path
) -> None:
    write_run("sweep/a", model="a", mask_seed=0, masks="full", values=hits(30))
    write_run("sweep/b", model="b", mask_seed=1, masks="full", values=hits(10))
    assert compare(load_runs([tmp_path / "sweep"]).frame, "recall@20")["star"].to_list() == [True, True]


def test_a_test_over_seeds(write_run: RunWriter, tmp_path: Path) -> None:
    a = grid(write_run, "best", range(8), (0,), shift=0.02)
    b = grid(write_run, "second", range(1, 8), (0,))
    runs = load_runs([tmp_path / "sweep"]).frame
    row = by_variant(compare(runs, "recall@20", test="seeds"))["second"]
    assert row["p"] == pytest.approx(seed_test(a[:, 1:, 0].mean(axis=0), b[..., 0].mean(axis=0)))
    assert row["p"] == pytest.approx(stats.wilcoxon(a[:, 1:, 0].mean(axis=0) - b[..., 0].mean(axis=0)).pvalue)
    with pytest.raises(RunError, match=r"best and second cannot be tested \(seeds\): .* 6 or more .* with 3"):
        compare(runs.filter(pl.col("seed") < 4), "recall@20", test="seeds")


def test_mcnemar_asked_for_on_averages_is_refused(write_run: RunWriter, tmp_path: Path) -> None:
    grid(write_run, "best", (0, 1), (0,))
    grid(write_run, "second", (0, 1), (0,))
    with pytest.raises(RunError, match=r"cannot be tested \(mcnemar\): .*0 and 1 only"):
        compare(load_runs([tmp_path / "sweep"]).frame, "recall@20", test="mcnemar")


@pytest.mark.parametrize("values", [hits(5, n_users=39), np.append(hits(5, n_users=39), np.nan)])
def test_a_damaged_table_of_users_is_named(write_run: RunWriter, tmp_path: Path, values: np.ndarray) -> None:
    write_run("sweep/a", model="a", values=hits(5))
    write_run("sweep/b", model="b", values=values, **{"test/recall@20": 0.1, "val/recall@20": 0.1})
    with pytest.raises(RunError, match=r"sweep/b is damaged: 39 users have a value, where .*sweep/a, .* has 40 users"):
        compare(load_runs([tmp_path / "sweep"]).frame, "recall@20")


def test_unknown_names_are_refused(write_run: RunWriter, tmp_path: Path) -> None:
    runs = load_runs([write_run("sweep/a")]).frame
    with pytest.raises(
        RunError, match="no test anova: choose one of default, permutation, mcnemar, t, wilcoxon, seeds"
    ):
        compare(runs, "recall@20", test="anova")
    with pytest.raises(RunError, match="None of these runs has the metric test/recall@7"):
        compare(runs, "recall@7")
    with pytest.raises(RunError, match="None of these runs has the metric test/recall@20"):
        compare(runs.filter(pl.col("seed") > 5), "recall@20")
    assert compare(runs, "recall@20").select("best", "star").rows() == [(True, False)]
