"""Strata by hand, and their weighted mean as the whole."""

import numpy as np
import polars as pl
import pytest
import torch

from recmm.evaluation import CUTOFFS, stratify

MASK = np.array([[True, True], [True, False], [False, True], [False, False]])
ITEM_COUNTS = np.array([5, 0, 3, 1])
USER_COUNTS = np.array([0, 2, 2, 9])


@pytest.fixture
def ranks() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "user": [0, 0, 1, 2, 3, 3],
            "item": [0, 1, 0, 2, 3, 2],
            "split": ["test"] * 5 + ["val"],
            "rank": [1, 7, 30, 3, 60, 1],
            "candidates": [90] * 6,
        }
    )


def value(table: pl.DataFrame, group: str, stratum: str, metric: str) -> tuple[float, int]:
    row = table.row(
        by_predicate=(pl.col("group") == group) & (pl.col("stratum") == stratum) & (pl.col("metric") == metric)
    )
    return row[3], row[4]


def test_by_hand(ranks: pl.DataFrame) -> None:
    table = stratify(ranks, MASK, ("visual", "acoustic"), ITEM_COUNTS, USER_COUNTS)
    assert table.schema == {
        "group": pl.String, "stratum": pl.String, "metric": pl.String, "value": pl.Float64, "n": pl.Int64,
    }  # fmt: skip
    assert value(table, "all", "all", "recall@5") == (pytest.approx(2 / 5), 5)
    assert value(table, "all", "all", "ndcg@10") == (pytest.approx((1 + 1 / 3 + 1 / 2) / 5), 5)
    assert value(table, "modalities", "visual+acoustic", "recall@20") == (0.5, 2)
    assert value(table, "modalities", "visual", "recall@10") == (1.0, 1)
    assert value(table, "modalities", "acoustic", "ndcg@5") == (0.5, 1)
    assert value(table, "modalities", "none", "recall@50") == (0.0, 1)
    assert value(table, "item", "cold", "ndcg@20") == (pytest.approx(1 / 3), 1)
    assert value(table, "item", "warm", "recall@50") == (0.75, 4)
    assert value(table, "user_activity", "0", "recall@10") == (1.0, 2)
    assert value(table, "user_activity", "1-2", "recall@50") == (1.0, 2)
    assert value(table, "user_activity", "3-9", "recall@50") == (0.0, 1)
    assert table["group"].unique(maintain_order=True).to_list() == ["all", "modalities", "item", "user_activity"]


def test_three_modalities_are_named_one_by_one() -> None:
    mask = np.array([[bool(item >> m & 1) for m in range(3)] for item in range(8)])
    ranks = pl.DataFrame({"user": [0] * 8, "item": range(8), "split": ["test"] * 8, "rank": range(1, 9)})
    table = stratify(ranks, mask, ("visual", "acoustic", "textual"), np.ones(8), np.ones(1, dtype=int))
    found = table.filter(pl.col("group") == "modalities", pl.col("metric") == "ndcg@10")
    expected = {
        "visual+acoustic+textual": 7, "visual+acoustic": 3, "visual+textual": 5, "acoustic+textual": 6,
        "visual": 1, "acoustic": 2, "textual": 4, "none": 0,
    }  # fmt: skip
    assert found["stratum"].to_list() == list(expected)
    assert found["value"].to_list() == pytest.approx([1 / np.log2(item + 2) for item in expected.values()])


def test_the_split_is_chosen(ranks: pl.DataFrame) -> None:
    table = stratify(ranks, MASK, ("visual", "acoustic"), ITEM_COUNTS, USER_COUNTS, split="val")
    assert value(table, "all", "all", "recall@5") == (1.0, 1)
    assert table.filter(pl.col("group") == "modalities")["stratum"].unique().to_list() == ["acoustic"]


def test_strata_add_up_to_the_whole() -> None:
    rng = np.random.default_rng(0)
    n, n_users, n_items = 500, 70, 40
    ranks = pl.DataFrame(
        {
            "user": rng.integers(0, n_users, n),
            "item": rng.integers(0, n_items, n),
            "split": ["test"] * n,
            "rank": rng.integers(1, 80, n),
        }
    )
    user_counts = rng.geometric(0.2, n_users)
    # tensors and a mask of three modalities are taken as well
    table = stratify(
        ranks,
        torch.from_numpy(rng.random((n_items, 3)) < 0.5),
        ("visual", "acoustic", "textual"),
        torch.from_numpy(rng.integers(0, 3, n_items)),
        torch.from_numpy(user_counts),
    )
    whole = {k: value(table, "all", "all", f"ndcg@{k}")[0] for k in CUTOFFS}
    for group in ("modalities", "item", "user_activity"):
        for k in CUTOFFS:
            part = table.filter((pl.col("group") == group) & (pl.col("metric") == f"ndcg@{k}"))
            assert part["n"].sum() == n
            assert (part["value"] * part["n"]).sum() / n == pytest.approx(whole[k])
    activity = table.filter((pl.col("group") == "user_activity") & (pl.col("metric") == "recall@20"))
    assert activity.height == 4
    lower = [int(name.split("-")[0]) for name in activity["stratum"]]
    assert lower == sorted(lower)


def test_no_modalities_and_equal_users(ranks: pl.DataFrame) -> None:
    table = stratify(ranks, np.zeros((4, 0), dtype=bool), (), ITEM_COUNTS, np.full(4, 6))
    assert value(table, "modalities", "none", "recall@50") == (pytest.approx(4 / 5), 5)
    assert value(table, "user_activity", "6", "recall@50") == (pytest.approx(4 / 5), 5)


def test_no_pairs_no_rows(ranks: pl.DataFrame) -> None:
    assert stratify(ranks.clear(), MASK, ("visual", "acoustic"), ITEM_COUNTS, USER_COUNTS).is_empty()
