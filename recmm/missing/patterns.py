"""Nested random draws: a larger rate hides everything that a smaller one hides."""

from itertools import product
from math import comb

import numpy as np


def count(rate: float, eligible: int) -> int:
    """How many of ``eligible`` items or entries a rate asks for: the nearest integer."""
    return round(rate * eligible)


def any_modality(entries: np.ndarray) -> np.ndarray:
    """bool [n_items]: the items with at least one True among their entries, bool [n_items, M]."""
    return np.asarray(entries.any(axis=1))


def first_by_priority(priority: np.ndarray, eligible: np.ndarray, rate: float) -> np.ndarray:
    """bool [n]: the ``count(rate, n_eligible)`` eligible ones of smallest priority.

    The priorities, float64 [n], do not depend on the rate, so the draws of two rates are nested.
    """
    candidates = np.flatnonzero(eligible)
    order = candidates[np.argsort(priority[candidates], kind="stable")]
    chosen = np.zeros(len(eligible), dtype=np.bool_)
    chosen[order[: count(rate, len(order))]] = True
    return chosen


def random_subsets(observed: np.ndarray, largest: int, rng: np.random.Generator) -> np.ndarray:
    """For each item a subset of its modalities, uniform over all non-empty subsets of at most ``largest`` modalities.

    Args:
        observed: bool [n_items, M], what the data has; a modality that an item lacks is never drawn.
        largest: largest size of a subset, at least 1; an item with as few modalities can lose all of them.

    Returns:
        bool [n_items, M]; the row of an item without modalities is all False.
    """
    n_items, n_modalities = observed.shape
    size_draw, order_draw = rng.random((n_items,)), rng.random((n_items, n_modalities))
    sizes = np.zeros(n_items, dtype=np.int64)
    has = observed.sum(axis=1)
    for owned in range(1, n_modalities + 1):
        # uniform over subsets: the size is drawn in proportion to the number of subsets of that size, then the subset
        ways = np.array([comb(owned, size) for size in range(1, min(owned, largest) + 1)])
        bounds: np.ndarray = np.cumsum(ways)[:-1] / ways.sum()
        rows = has == owned
        sizes[rows] = 1 + np.searchsorted(bounds, size_draw[rows], side="right")
    order_draw[~observed] = np.inf
    position = np.argsort(np.argsort(order_draw, axis=1, kind="stable"), axis=1, kind="stable")
    return (position < sizes[:, None]) & observed


def balanced_subsets(observed: np.ndarray, priority: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """For each item a subset of its modalities, all subsets equally frequent among its first items by priority.

    Of k modalities, each of the 2^k - 2 proper non-empty subsets has one share and all k together have k shares. Every
    2^k - 2 + k consecutive items, in the order of their priorities, use each share once, in random order. Items that
    have other modalities are counted apart.

    Args:
        observed: bool [n_items, M], what the data has.
        priority: float64 [n_items], without equal ones.

    Returns:
        bool [n_items, M]; the row of an item without modalities is all False.
    """
    pattern = np.zeros_like(observed)
    for owned in np.unique(observed[any_modality(observed)], axis=0):
        k = int(owned.sum())
        proper = [subset for subset in product((False, True), repeat=k) if any(subset) and not all(subset)]
        shares = np.array([*proper, *[(True,) * k] * k])
        items = np.flatnonzero((observed == owned).all(axis=1))
        items = items[np.argsort(priority[items], kind="stable")]
        n_rounds = -(-len(items) // len(shares))
        order = rng.random((n_rounds, len(shares))).argsort(axis=1).ravel()[: len(items)]
        pattern[np.ix_(items, np.flatnonzero(owned))] = shares[order]
    return pattern
