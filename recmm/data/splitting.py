"""Splits as functions of columns: the part of each pair, 0 train, 1 validation, 2 test."""

import numpy as np

from recmm.seeding import stream

FEWEST = 3  # a user with fewer pairs keeps all of them in training: each of the three parts needs one
FEW = 10  # a user with fewer pairs gives one to validation and one to test; other users give shares of their pairs


def random_per_user(users: np.ndarray, *, seed: int) -> np.ndarray:
    """A random split, user by user, by the rule of MMRec's released ones and of the papers that follow it.

    A user with n pairs, n < 3: all in training. n < 10: one for validation and one for test. Otherwise 20 % rounded
    down are held out, half of them, rounded down, for validation and the rest for test: 10 -> 8/1/1, 25 -> 20/2/3.

    Args:
        users: int [n], the user of each pair; which pair goes where depends on their order.
        seed: of the draw.

    Returns:
        int8 [n], 0 train, 1 validation, 2 test.
    """
    chance = stream(seed, 0, "random split per user").random(len(users))
    later, n_pairs = _later(users, np.lexsort((chance, users)))
    few = n_pairs < FEW
    n_val = np.where(few, 1, n_pairs // 10)
    n_held_out = np.where(few, 2, n_pairs // 5)
    return _last(later, n_held_out - n_val, n_val, n_pairs >= FEWEST)


def temporal_leave_one_out(users: np.ndarray, items: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Of each user the last pair for test and the one before it for validation.

    Of pairs at the same time, the one with the greater item id counts as the later. A user with fewer than 3 pairs
    keeps them in training.

    Args:
        users, items: int [n]. times: [n], in any unit.

    Returns:
        int8 [n], 0 train, 1 validation, 2 test.
    """
    later, n_pairs = _later(users, np.lexsort((items, times, users)))
    return _last(later, 1, 1, n_pairs >= FEWEST)


def global_temporal(times: np.ndarray, val_from: float, test_from: float) -> np.ndarray:
    """Everybody's pairs before ``val_from`` for training, from there on for validation, from ``test_from`` on for test.

    Args:
        times: [n], in the unit of the two cuts.

    Returns:
        int8 [n], 0 train, 1 validation, 2 test.
    """
    return ((times >= val_from).astype(np.int8) + (times >= test_from)).astype(np.int8)


def cut_points(times: np.ndarray, val_share: float, test_share: float) -> tuple[float, float]:
    """(val_from, test_from) such that the latest pairs are test and those before them validation.

    All pairs at the time of a cut go to the later part. So test can be larger than its share, and the part before a
    cut smaller.

    Args:
        times: [n], n >= 1. val_share, test_share: of all pairs, in (0, 1), together below 1.
    """
    n = len(times)
    places = [min(max(n - round(share * n), 0), n - 1) for share in (val_share + test_share, test_share)]
    ordered = np.sort(times)
    val_from, test_from = (ordered[place].item() for place in places)
    return val_from, test_from


def _later(users: np.ndarray, order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """int64 [n] each: how many of the user's pairs stand later in ``order`` (by user first), and how many it has."""
    _, user, counts = np.unique(users, return_inverse=True, return_counts=True)
    later = np.empty(len(users), np.int64)
    later[order] = np.repeat(np.cumsum(counts), counts) - 1 - np.arange(len(users))
    return later, counts[user]


def _last(later: np.ndarray, n_test: np.ndarray | int, n_val: np.ndarray | int, enough: np.ndarray) -> np.ndarray:
    """int8 [n]: a user's last ``n_test`` pairs are test, the ``n_val`` before them validation, if it has ``enough``."""
    return np.where(enough & (later < n_test), 2, np.where(enough & (later < n_test + n_val), 1, 0)).astype(np.int8)
