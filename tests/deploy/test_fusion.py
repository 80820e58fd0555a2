"""Fusion of ranked lists: ranks against a plain sort, and the greedy choice of weights."""

import numpy as np
import polars as pl
import pytest

from recmm.deploy.fusion import SMOOTHING, Pool, choose_weights


def lists(rng: np.random.Generator, n_users: int, n_items: int, length: int) -> pl.DataFrame:
    rows = [(user, item, place + 1) for user in range(n_users) for place, item in enumerate(rng.permutation(n_items))]
    table = pl.DataFrame(rows, schema=["user", "item", "position"], orient="row")
    return table.filter(pl.col("position") <= length)


def test_fused_lists_and_metrics_against_a_plain_sort() -> None:
    rng = np.random.default_rng(0)
    runs = [lists(rng, 30, 40, 25) for _ in range(3)]
    held = pl.DataFrame({"user": np.repeat(np.arange(30), 2), "item": np.tile([3, 17], 30)})
    pool, weights = Pool.of(runs, held), np.array([0.5, 0.3, 0.2])
    scores = np.zeros((30, 40))
    for weight, table in zip(weights, runs, strict=True):
        user, item, position = (table[name].to_numpy() for name in ("user", "item", "position"))
        scores[user, item] += weight / (SMOOTHING + position)
    order = np.argsort(-scores, axis=1, kind="stable")
    fused = pool.fused(weights, 10)
    assert fused["item"].to_numpy().reshape(30, 10).tolist() == order[:, :10].tolist()
    hits = np.isin(order[:, :20], [3, 17]) & np.take_along_axis(scores > 0, order[:, :20], axis=1)
    assert pool.metrics(weights)["recall@20"].tolist() == pytest.approx((hits.sum(1) / 2).tolist())


def test_a_run_of_weight_0_adds_no_items() -> None:
    first = pl.DataFrame({"user": [0, 0], "item": [1, 2], "position": [1, 2]})
    second = pl.DataFrame({"user": [0, 0], "item": [3, 2], "position": [1, 2]})
    pool = Pool.of([first, second], pl.DataFrame({"user": [0], "item": [3]}))
    assert pool.fused(np.array([1.0, 0.0]), 5)["item"].to_list() == [1, 2]
    assert pool.metrics(np.array([1.0, 0.0]))["recall@20"].item() == 0
    assert pool.fused(np.array([0.5, 0.5]), 5)["item"].to_list() == [2, 1, 3]
    assert pool.metrics(np.array([0.5, 0.5]))["mrr@20"].item() == pytest.approx(1 / 3, abs=1e-9)


def test_weights_are_never_worse_than_the_best_run_alone() -> None:
    target = np.array([0.5, 0.0, 0.5])
    assert choose_weights(3, lambda weights: -float(np.abs(weights - target).sum())).tolist() == target.tolist()
    assert choose_weights(2, lambda weights: weights[1] ** 2).tolist() == [0.0, 1.0]
