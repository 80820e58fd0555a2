"""The two random choices everything is drawn with."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recmm.missing.patterns import balanced_subsets, first_by_priority, random_subsets

rates = st.floats(0, 1)


@given(st.integers(0, 60), rates, rates, st.integers(0, 9))
def test_choices_are_exact_eligible_and_nested(n: int, first: float, second: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    priority, eligible = rng.random(n), rng.random(n) < 0.7
    low, high = (first_by_priority(priority, eligible, rate) for rate in sorted((first, second)))
    assert low.sum() == round(min(first, second) * eligible.sum())
    assert not (high & ~eligible).any()
    assert not (low & ~high).any()


def test_smallest_priorities_come_first() -> None:
    chosen = first_by_priority(np.array([0.3, 0.1, 0.0, 0.2]), np.array([True, True, False, True]), 2 / 3)
    assert chosen.tolist() == [False, True, False, True]


@pytest.mark.parametrize(
    ("n_modalities", "largest", "expected"),
    [
        (1, 2, {"1"}),
        (2, 1, {"10", "01"}),
        (2, 2, {"10", "01", "11"}),
        (3, 1, {"100", "010", "001"}),
        (3, 2, {"100", "010", "001", "110", "101", "011"}),
        (3, 3, {"100", "010", "001", "110", "101", "011", "111"}),
    ],
)
def test_subsets_are_uniform(n_modalities: int, largest: int, expected: set[str]) -> None:
    n = 20_000
    subsets = random_subsets(np.ones((n, n_modalities), bool), largest, np.random.default_rng(1))
    found, counts = np.unique(["".join("01"[x] for x in row) for row in subsets.tolist()], return_counts=True)
    assert set(found) == expected
    share = 1 / len(expected)
    assert np.abs(counts / n - share).max() < 5 * np.sqrt(share / n)


@settings(max_examples=50)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 99))
def test_subsets_stay_within_what_an_item_has(n_modalities: int, largest: int, seed: int) -> None:
    observed = np.random.default_rng(seed).random((30, n_modalities)) < 0.6
    subsets = random_subsets(observed, largest, np.random.default_rng(seed))
    assert not (subsets & ~observed).any()
    sizes = subsets.sum(axis=1)
    assert (sizes <= largest).all()
    assert ((sizes > 0) == observed.any(axis=1)).all()


def test_item_with_two_of_three_draws_uniformly_among_the_two() -> None:
    observed = np.tile([True, False, True], (9_000, 1))
    subsets = random_subsets(observed, 2, np.random.default_rng(0))
    counts = [int((subsets == np.array(p)).all(axis=1).sum()) for p in ([1, 0, 0], [0, 0, 1], [1, 0, 1])]
    assert sum(counts) == 9_000
    assert all(abs(count - 3_000) < 200 for count in counts)


@pytest.mark.parametrize(
    ("n_modalities", "shares"),
    [
        (1, {"1": 1}),
        (2, {"10": 1, "01": 1, "11": 2}),
        (3, {"100": 1, "010": 1, "001": 1, "110": 1, "101": 1, "011": 1, "111": 3}),
    ],
)
def test_balanced_subsets_are_exact_in_every_round_of_priorities(n_modalities: int, shares: dict[str, int]) -> None:
    rng, size = np.random.default_rng(0), sum(shares.values())
    priority = rng.random(7 * size)
    subsets = balanced_subsets(np.ones((7 * size, n_modalities), bool), priority, rng)
    words = np.array(["".join("01"[x] for x in row) for row in subsets[np.argsort(priority)].tolist()])
    rounds = [dict(zip(*np.unique(part, return_counts=True), strict=True)) for part in words.reshape(7, size)]
    assert all(found == shares for found in rounds)
    assert n_modalities == 1 or len({tuple(part) for part in words.reshape(7, size)}) > 1  # each in an order of its own


@settings(max_examples=50)
@given(st.integers(0, 4), st.integers(0, 99))
def test_balanced_subsets_stay_within_what_an_item_has(n_modalities: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    observed = rng.random((30, n_modalities)) < 0.6
    subsets = balanced_subsets(observed, rng.random(30), rng)
    assert not (subsets & ~observed).any()
    assert (subsets.any(axis=1) == observed.any(axis=1)).all()
