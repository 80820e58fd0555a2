"""From a source's interactions to dense ids and splits."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recmm.data.raw import RawInteractions
from recmm.errors import DataError, EmptySplitError

CORE_OF_TWO = [(0, 0), (0, 1), (1, 0), (1, 1)]
FALLING = [(2, 0), (2, 2), (3, 2)]  # user 3 has one item; then item 2 has one user; then user 2 has one item


def raw(
    pairs: list[tuple[int, int]], *, times: list[int] | None = None, parts: list[int] | None = None
) -> RawInteractions:
    users, items = np.array(pairs, np.int64).reshape(-1, 2).T
    return RawInteractions(
        users,
        items,
        pl.Series([f"u{code}" for code in range(8)]),
        pl.Series([f"i{code}" for code in range(8)]),
        timestamps=None if times is None else np.array(times),
        parts=None if parts is None else np.array(parts, np.int8),
        source="toy.csv",
    )


def pairs_of(interactions: RawInteractions) -> list[tuple[int, int]]:
    return list(zip(interactions.users.tolist(), interactions.items.tolist(), strict=True))


def test_of_a_repeated_pair_the_earliest_stays_in_its_place() -> None:
    once = raw([(0, 0), (1, 1), (0, 0), (1, 1), (0, 0)], times=[5, 1, 3, 1, 4]).without_repetitions()
    assert pairs_of(once) == [(1, 1), (0, 0)]
    assert once.timestamps is not None
    assert once.timestamps.tolist() == [1, 3]
    assert list(once.dropped.values()) == [3]


def test_without_timestamps_the_first_stays() -> None:
    assert pairs_of(raw([(1, 0), (0, 0), (1, 0)]).without_repetitions()) == [(1, 0), (0, 0)]


def test_a_pair_in_two_splits_is_not_taken_for_a_repetition() -> None:
    assert len(raw([(0, 0), (0, 0), (0, 0)], parts=[0, 2, 2]).without_repetitions()) == 2


def test_the_core_is_a_fixed_point_that_takes_several_passes() -> None:
    core = raw([*FALLING, *CORE_OF_TWO]).core(2)
    assert pairs_of(core) == CORE_OF_TWO
    assert list(core.dropped.values()) == [3]


def test_nothing_is_left_of_the_core() -> None:
    with pytest.raises(DataError, match=r"toy.csv: no interaction is left of 3 .*--min-interactions"):
        raw(FALLING).core(2)


@settings(deadline=None)
@given(st.sets(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1), st.integers(1, 4))
def test_the_core_is_what_removing_one_by_one_leaves(pairs: set[tuple[int, int]], k: int) -> None:
    left = set(pairs)
    while weak := next(
        (pair for pair in left if any(sum(other[side] == pair[side] for other in left) < k for side in (0, 1))), None
    ):
        left.remove(weak)
    if not left:
        with pytest.raises(DataError):
            raw(sorted(pairs)).core(k)
    else:
        assert set(pairs_of(raw(sorted(pairs)).core(k))) == left


def test_ids_are_dense_in_the_order_of_first_occurrence() -> None:
    dense = raw([(5, 2), (1, 7), (5, 7)]).dense()
    assert pairs_of(dense) == [(0, 0), (1, 1), (0, 1)]
    assert dense.user_labels.to_list() == ["u5", "u1"]
    assert dense.item_labels.to_list() == ["i2", "i7"]


def test_items_without_interaction_follow_in_their_own_order() -> None:
    dense = raw([(5, 2), (1, 7)]).dense(pl.Series(["new", "i7", "i0"]))
    assert dense.item_labels.to_list() == ["i2", "i7", "new", "i0"]


@settings(deadline=None)
@given(st.permutations(range(12)), st.integers(0, 3))
def test_the_random_split_does_not_depend_on_the_order_of_rows(order: list[int], seed: int) -> None:
    pairs = [(row % 3, row // 3) for row in range(12)]
    first = raw(pairs).split_at_random(seed)
    second = raw([pairs[row] for row in order]).split_at_random(seed)
    assert first.parts is not None and second.parts is not None
    assert first.parts[order].tolist() == second.parts.tolist()


def test_columns_of_the_three_splits() -> None:
    columns = raw([(0, 0), (1, 1), (2, 2)], times=[7, 8, 9], parts=[2, 0, 1]).columns()
    assert {part: (c.users.tolist(), c.items.tolist()) for part, c in columns.items()} == {
        "train": ([1], [1]),
        "val": ([2], [2]),
        "test": ([0], [0]),
    }
    assert columns["test"].timestamps is not None
    assert columns["test"].timestamps.tolist() == [7]


def test_a_split_that_stays_empty() -> None:
    with pytest.raises(EmptySplitError, match=r"toy.csv: no interaction falls to split 'val' of 2"):
        raw([(0, 0), (1, 1)]).split_at_random(0).columns()
