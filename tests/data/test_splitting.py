"""The papers' random split per user."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recmm.data.dataset import Split
from recmm.data.formats.mmrec import read_mmrec
from recmm.data.splitting import random_per_user


def counts(n: int, seed: int = 0) -> tuple[int, int, int]:
    train, val, test = np.bincount(random_per_user(np.zeros(n, np.int64), seed=seed), minlength=3)
    return int(train), int(val), int(test)


@pytest.mark.parametrize(
    ("n", "expected"),
    [
        (1, (1, 0, 0)),
        (2, (2, 0, 0)),
        (3, (1, 1, 1)),
        (9, (7, 1, 1)),
        (10, (8, 1, 1)),
        (14, (12, 1, 1)),
        (15, (12, 1, 2)),
        (25, (20, 2, 3)),
        (100, (80, 10, 10)),
    ],
)
def test_how_many_are_held_out(n: int, expected: tuple[int, int, int]) -> None:
    assert counts(n) == expected


def test_nothing_to_split() -> None:
    assert len(random_per_user(np.empty(0, np.int64), seed=0)) == 0


@settings(deadline=None)
@given(st.lists(st.integers(0, 6), max_size=80), st.integers(0, 5))
def test_each_user_is_split_alone_and_the_seed_decides(users: list[int], seed: int) -> None:
    column = np.array(users, np.int64)
    parts = random_per_user(column, seed=seed)
    assert parts.dtype == np.int8
    assert np.array_equal(parts, random_per_user(column, seed=seed))
    for user in set(users):
        own = np.bincount(parts[column == user], minlength=3)
        assert tuple(own) == counts(int(own.sum()))


def test_every_interaction_is_held_out_equally_often() -> None:
    drawn = np.array([random_per_user(np.zeros(10, np.int64), seed=seed) for seed in range(2000)])
    for part in (1, 2):
        shares = (drawn == part).mean(axis=0)
        assert np.abs(shares - 0.1).max() < 0.03  # 4.5 standard deviations of a share of 2,000 draws
    assert (drawn[0] != drawn[1]).any()


@pytest.mark.parametrize("name", ["amazon_baby/baby", "amazon_sports/sports"])
def test_the_released_splits_of_mmrec_hold_out_as_many_of_every_user(real_data: Path, name: str) -> None:
    path = real_data / f"{name}_MMRec_order_reconstructed.inter"
    data = read_mmrec(path.parent, name="x", split=Split("x", "x"), interactions=path.name, features={})
    users = np.concatenate([pairs.users for pairs in data.splits.values()])
    parts = random_per_user(users, seed=0)
    for part, pairs in enumerate(data.splits.values()):
        assert np.array_equal(np.bincount(users[parts == part], minlength=data.n_users), pairs.user_counts())
