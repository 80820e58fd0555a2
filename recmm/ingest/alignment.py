"""Do the rows of a feature matrix belong to the item ids? An AUC that needs no training.

A user's profile is the mean feature of the user's training items. The score of an item is the inner product of the
profile and the item's feature. Features are centred, because the mean over all items says nothing about a user, and
divided by their norm, because a long vector would score high for every user. A score is thus a mean cosine.

The AUC of a user is the share of (test item, other item) pairs in which the test item scores higher; a tie counts half.
Other items are those without an interaction of the user in any split. Shuffled rows have an expected AUC of 0.5.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from recmm.data.dataset import Interactions
from recmm.ingest.cli.progress import bar
from recmm.ingest.feature_scan import FeatureScan
from recmm.seeding import stream

EXACT = 10**11  # users x items x columns up to which all are compared: some seconds
MOST_USERS, MOST_ITEMS = 4096, 8192  # sizes of the samples above that
BLOCK = 1 << 21  # feature values or comparisons in memory at a time
SCORES = 1 << 23  # scores of one block of users; every block reads all features once


@dataclass(frozen=True)
class Alignment:
    """The mean AUC over users, its standard error, and the sizes behind it.

    Attributes:
        auc: 0.5 if the features hold no information about users' preferences.
        error: standard error, clustered over users and over test items (a popular item occurs in many pairs), plus the
            variance over the other items; None with a single user or a single test item.
        n_users, n_pairs: number of users with an observed training item and an observed test item, and of their test
            pairs.
        n_items: number of items that the test items were compared with.
        sampled: whether users and other items are a random sample.
    """

    auc: float
    error: float | None
    n_users: int
    n_pairs: int
    n_items: int
    sampled: bool

    @property
    def is_chance(self) -> bool:
        """Whether the AUC is at most two standard errors above 0.5, or has no standard error."""
        return self.error is None or self.auc - 2 * self.error <= 0.5 + 1e-9  # rounding error when all scores tie


def align(
    values: np.ndarray, scan: FeatureScan, splits: Mapping[str, Interactions], modality: str, *, exact: int = EXACT
) -> Alignment | None:
    """Measure how well the features [n_items, D] fit the interactions; None if no user can be measured.

    Args:
        values, scan: a feature matrix and its statistics; rows that are not finite are left out.
        splits: "train", "val", "test" -> interactions over ``n_items`` items.
        modality: for the progress bar.
        exact: users x items x D above which a sample is used, drawn from a fixed seed.
    """
    train, test = _matrix(splits["train"], scan.finite), _matrix(splits["test"], scan.finite)
    known = (train + test + _matrix(splits["val"], scan.finite)).astype(bool)
    users = np.flatnonzero((np.diff(train.indptr) > 0) & (np.diff(test.indptr) > 0))
    others = np.flatnonzero(scan.finite)
    if not len(users):
        return None
    sampled = len(users) * len(others) * scan.dim > exact
    if sampled:
        users = _draw(users, MOST_USERS, "alignment users")
        others = _draw(others, MOST_ITEMS, "alignment items")
    profiles = _profiles(values, scan, train[users], modality)
    comparison = _Comparison(values, scan, others)
    for start in bar(range(0, len(users), comparison.step), f"Aligning {modality}"):
        rows = slice(start, start + comparison.step)
        comparison.add(profiles[rows], test[users[rows]], known[users[rows]])
    return comparison.result(sampled)


def _matrix(pairs: Interactions, usable: np.ndarray) -> csr_matrix:
    """The interactions with ``usable`` items as a float64 matrix of ones [n_users, n_items]."""
    kept = usable[pairs.items]
    entries = np.ones(int(kept.sum())), (pairs.users[kept], pairs.items[kept])
    return csr_matrix(entries, shape=(pairs.n_users, pairs.n_items))


def _draw(ids: np.ndarray, most: int, purpose: str) -> np.ndarray:
    return ids if len(ids) <= most else np.sort(stream(0, 0, purpose).choice(ids, most, replace=False))


def _directions(values: np.ndarray, scan: FeatureScan, rows: np.ndarray) -> np.ndarray:
    """float64 [len(rows), D]: centred rows of norm 1; a row that equals the mean becomes zero."""
    centred = values[rows].astype(np.float64) - scan.mean
    lengths = np.sqrt(np.einsum("ij,ij->i", centred, centred))
    rounding = 1e-6 * np.maximum(scan.norms[rows], 1e-300)  # rounding error of a row that equals the mean
    return centred / np.where(lengths > rounding, lengths, np.inf)[:, None]


def _chunks(n: int, width: int) -> Iterator[slice]:
    step = max(1, BLOCK // max(1, width))
    return (slice(start, min(start + step, n)) for start in range(0, n, step))


def _profiles(values: np.ndarray, scan: FeatureScan, train: csr_matrix, modality: str) -> np.ndarray:
    """float64 [n, D]: sums over the users' training items, ``train`` [n, n_items]; a sum ranks items like a mean."""
    by_item = train.tocsc()
    items = np.flatnonzero(np.diff(by_item.indptr) > 0)
    profiles = np.zeros((train.shape[0], scan.dim))
    chunks = list(_chunks(len(items), scan.dim))
    for rows in bar(chunks, f"Profiles from {modality}"):
        profiles += by_item[:, items[rows]] @ _directions(values, scan, items[rows])
    return profiles


class _Comparison:
    """Compares test items with other items, one block of users at a time."""

    def __init__(self, values: np.ndarray, scan: FeatureScan, others: np.ndarray) -> None:
        self.values, self.scan, self.others = values, scan, others
        self.step = max(1, SCORES // len(others))
        self.users: list[np.ndarray] = []
        self.items: list[np.ndarray] = []
        self.shares: list[np.ndarray] = []
        self.offset = 0
        self.wins, self.met = np.zeros(len(others)), np.zeros(len(others))

    def add(self, profiles: np.ndarray, test: csr_matrix, known: csr_matrix) -> None:
        """Add users: their ``profiles`` [n, D], and their test items and all their items, each [n, n_items]."""
        scores = self._scores(profiles, self.others)
        rows, items = test.nonzero()
        unique, place = np.unique(items, return_inverse=True)
        ours = np.empty(len(items), np.float32)
        for part in _chunks(len(unique), max(self.scan.dim, len(profiles))):
            here = (place >= part.start) & (place < part.stop)
            ours[here] = self._scores(profiles, unique[part])[rows[here], place[here] - part.start]
        is_other = ~known[:, self.others].toarray()
        per_user = np.bincount(rows, minlength=len(profiles))
        for part in _chunks(len(rows), len(self.others)):
            theirs, valid = scores[rows[part]], is_other[rows[part]]
            won = ((theirs < ours[part, None]) + 0.5 * (theirs == ours[part, None])) * valid
            n_valid = np.maximum(valid.sum(axis=1), 1)
            self.shares.append(np.where(valid.any(axis=1), won.sum(axis=1) / n_valid, 0.5))
            weight = 1 / per_user[rows[part]]
            self.wins += weight @ won
            self.met += weight @ valid
        self.users.append(self.offset + rows)
        self.items.append(items)
        self.offset += len(profiles)

    def _scores(self, profiles: np.ndarray, items: np.ndarray) -> np.ndarray:
        """float32 [n, len(items)] from float64 sums: rounding to float32 makes the scores of equal features tie."""
        scores = np.empty((len(profiles), len(items)), np.float32)
        for part in _chunks(len(items), self.scan.dim):
            scores[:, part] = profiles @ _directions(self.values, self.scan, items[part]).T
        return scores

    def result(self, sampled: bool) -> Alignment:
        users, items, shares = map(np.concatenate, (self.users, self.items, self.shares))
        per_user = np.bincount(users)
        weights = 1 / (per_user[users] * len(per_user))  # every user has the same total weight
        auc = float(weights @ shares)
        met = self.met > 0
        return Alignment(
            auc=auc,
            error=self._error(users, items, weights * (shares - auc), self.wins[met] / self.met[met], auc),
            n_users=len(per_user),
            n_pairs=len(users),
            n_items=len(self.others),
            sampled=sampled,
        )

    def _error(
        self, users: np.ndarray, items: np.ndarray, parts: np.ndarray, beaten: np.ndarray, auc: float
    ) -> float | None:
        """Two-way cluster-robust over users and test items (Cameron, Gelbach and Miller 2011), plus the other items."""
        if len(np.unique(users)) < 2 or len(np.unique(items)) < 2:
            return None
        by_user, by_item = np.bincount(users, parts), np.bincount(items, parts)
        clustered = by_user @ by_user + by_item @ by_item - parts @ parts
        against = float(np.mean((beaten - auc) ** 2)) / len(beaten)
        # With very few clusters the difference can fall below the variance over users alone.
        return float(np.sqrt(max(clustered, by_user @ by_user) + against))
