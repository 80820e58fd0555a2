"""The papers' split: every user's interactions at random into training, validation and test."""

import numpy as np

from recmm.seeding import stream

FEW = 10  # a user with fewer interactions than this holds out two of them, one for validation and one for test
LEAST = 3  # one with fewer than this holds out nothing, so that everybody has something to be trained on


def random_per_user(users: np.ndarray, *, seed: int) -> np.ndarray:
    """int8 [n], 0 train, 1 validation, 2 test, of each interaction.

    Fewer than 10 interactions of a user: one to validation and one to test. Otherwise a fifth, rounded down, is held
    out, half of that, rounded down, for validation and the rest for test. MMRec's released Baby and Sports have exactly
    these numbers for every user. A user with one or two interactions, whom a 5-core does not have, keeps them for
    training.

    The same for the same seed and the same sequence of users. A random number belongs to each row, so another order
    of the rows is another draw: bring them into an order that does not depend on the file, such as by user and item.

    Args:
        users: int [n], the user of each interaction, in any order; dense ids from 0.
        seed: of the draw; never the run's seed, so that all run seeds see the same split.
    """
    n = len(users)
    order = np.lexsort((stream(seed, 0, "random split").random(n), users))
    counts = np.bincount(users)
    held_out = np.where(counts < FEW, np.where(counts < LEAST, 0, 2), counts // 5)
    owner = users[order]
    place = np.arange(n) - (np.cumsum(counts) - counts)[owner]  # of an interaction among those of its user
    parts = np.empty(n, np.int8)
    parts[order] = np.select([place < held_out[owner] // 2, place < held_out[owner]], [1, 2], 0)
    return parts
