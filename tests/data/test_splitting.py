"""Who is held out, from columns alone: counts and places by hand, and what holds for whatever comes."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recmm.data.splitting import cut_points, global_temporal, random_per_user, temporal_leave_one_out


def counts(parts: np.ndarray) -> tuple[int, ...]:
    return tuple(np.bincount(parts, minlength=3).tolist())


@pytest.mark.parametrize(
    ("n_pairs", "expected"),
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
def test_how_many_are_drawn(n_pairs: int, expected: tuple[int, int, int]) -> None:
    others = np.repeat([3, 9], [40, 2])
    users = np.random.default_rng(0).permutation(np.concatenate([others, np.full(n_pairs, 7)]))
    parts = random_per_user(users, seed=0)
    assert parts.dtype == np.int8 and len(parts) == len(users)
    assert counts(parts[users == 7]) == expected
    assert (counts(parts[users == 3]), counts(parts[users == 9])) == ((32, 4, 4), (2, 0, 0))


def test_the_seed_alone_decides_and_every_place_is_as_likely() -> None:
    users = np.tile(np.arange(5000), 5)
    parts = random_per_user(users, seed=1)
    assert np.array_equal(parts, random_per_user(users, seed=1))
    assert not np.array_equal(parts, random_per_user(users, seed=2))
    for part in (1, 2):  # a fifth of 5,000 users at each of the 5 places, with a deviation of 28
        at_place = (parts.reshape(5, 5000) == part).sum(axis=1)
        assert at_place.sum() == 5000 and np.abs(at_place - 1000).max() < 6 * 28.3


def test_the_papers_numbers_of_baby(real_data: Path) -> None:
    """MMRec's draw is another one, but from the same rule: each user has as many pairs in each part."""
    table = pl.read_csv(real_data / "amazon_baby" / "baby_MMRec_order_reconstructed.inter", separator="\t")
    users, released = table["userID"].to_numpy(), table["x_label"].to_numpy()
    parts = random_per_user(users, seed=0)
    assert counts(parts) == (118551, 20559, 21682)
    for part in (1, 2):
        assert np.array_equal(np.bincount(users[parts == part]), np.bincount(users[released == part]))


def test_the_last_is_test_and_the_one_before_validation() -> None:
    #                 user 5: t = 7, 3, 9, 3        user 2: two only; user 8: all at once, item 4 before 6 before 9
    users = np.array([5, 5, 2, 5, 5, 2, 8, 8, 8])
    items = np.array([0, 1, 0, 2, 3, 1, 6, 9, 4])
    times = np.array([7, 3, 1, 9, 3, 2, 5, 5, 5])
    assert temporal_leave_one_out(users, items, times).tolist() == [1, 0, 0, 2, 0, 0, 1, 2, 0]


def test_cuts_by_hand() -> None:
    times = np.array([9, 1, 2, 3, 4, 5, 6, 7, 8, 10])
    assert cut_points(times, 0.2, 0.1) == (8, 10)
    assert global_temporal(times, 8, 10).tolist() == [1, 0, 0, 0, 0, 0, 0, 0, 1, 2]
    # the cut would fall among the 5s: all of them go to its later side
    tied = np.array([1, 2, 3, 5, 5, 5, 5, 8, 9, 9])
    assert cut_points(tied, 0.4, 0.1) == (5, 9)
    assert global_temporal(tied, 5, 9).tolist() == [0, 0, 0, 1, 1, 1, 1, 1, 2, 2]


@st.composite
def histories(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    pairs = draw(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 30)), min_size=1, unique=True))
    times = draw(st.lists(st.integers(0, 9), min_size=len(pairs), max_size=len(pairs)))
    users, items = (np.array(column) for column in zip(*pairs, strict=True))
    return users, items, np.array(times)


@given(histories())
def test_training_comes_before_validation_before_test(history: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    users, items, times = history
    parts = temporal_leave_one_out(users, items, times)
    for user in np.unique(users):
        own = users == user
        assert counts(parts[own]) == ((own.sum() - 2, 1, 1) if own.sum() >= 3 else (own.sum(), 0, 0))
        moments = sorted(zip(times[own], items[own], parts[own], strict=True))
        assert [part for _, _, part in moments] == sorted(parts[own])

    val_from, test_from = cut_points(times, 0.3, 0.2)
    parts = global_temporal(times, val_from, test_from)
    assert (np.diff(parts[np.argsort(times)]) >= 0).all()
    assert all(len(np.unique(parts[times == time])) == 1 for time in times)
    assert counts(parts)[2] >= round(0.2 * len(times))
