"""Batches for training, cut from a permuted array: triples (u, i, j) with exact negatives, or items."""

import math
from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np
import torch

from recmm.data.batches import Pairs
from recmm.data.batches.sharding import ALONE, Process
from recmm.data.catalog import Catalog, NegativeItems
from recmm.data.dataset import Interactions
from recmm.errors import DataError
from recmm.seeding import stream


class NegativeSampler:
    """Uniform over the items that are not in a user's training history, without rejection.

    With the history p_0 < p_1 < ... of a user, p_k - k items before p_k are negatives. The r-th negative (from 0) is
    therefore r plus the number of k with p_k - k <= r, which one binary search over all users' sorted keys finds.

    Args:
        train: training interactions.
        among: "all" items, or "warm", those with a training interaction, counted among themselves.
    """

    def __init__(self, train: Interactions, among: NegativeItems = "all") -> None:
        history = train.csr()
        self._starts = history.indptr.astype(np.int64)
        self._among = np.flatnonzero(train.item_counts()) if among == "warm" else np.arange(train.n_items)
        self.n_negatives = len(self._among) - np.diff(self._starts)  # [n_users]
        positions = np.arange(len(train)) - self._starts[train.users]
        items = np.searchsorted(self._among, train.items)
        self._keys = train.users * (len(self._among) + 1) + items - positions

    def __call__(self, users: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """One negative per entry of ``users`` (int64 [n], each with at least one negative) -> int64 [n]."""
        chosen = rng.integers(0, self.n_negatives[users])
        before = np.searchsorted(self._keys, users * (len(self._among) + 1) + chosen, side="right")
        return self._among[chosen + before - self._starts[users]]


def static_negatives(catalog: Catalog, n_negatives: int, seed: int) -> torch.Tensor:
    """Negatives that stay the same over a whole run, for methods that attach something to samples (InvPref).

    Drawn with replacement, from the run's seed alone. A user whose history holds every item of ``catalog.negatives``
    has no negative; the pair's own item is used instead.

    Returns:
        int64 [n_train, n_negatives], a row for each of ``catalog``'s training pairs.
    """
    users, items = catalog.train_users.numpy(), catalog.train_items.numpy()
    sampler = NegativeSampler(Interactions(users, items, catalog.n_users, catalog.n_items), catalog.negatives)
    drawn = np.repeat(items, n_negatives)
    repeated = np.repeat(users, n_negatives)
    usable = sampler.n_negatives[repeated] > 0
    drawn[usable] = sampler(repeated[usable], stream(seed, 0, "static negatives"))
    return torch.from_numpy(drawn).reshape(-1, n_negatives)


class PairBatches:
    """The training pairs of one epoch after another.

    In a distributed run every process draws the same batches and takes its share of each. If a batch has fewer
    triples than there are processes, those without a triple take one of another process with ``weight`` 0, so that all
    processes make the same number of steps.

    Args:
        train: training interactions.
        batch_size: pairs in a batch, over all processes; the last batch of an epoch may be shorter
            (``per="interaction"``).
        per: "interaction" visits every training pair once an epoch, shuffled, which weights users by their activity;
            "user" draws a random user and one of its items, ``n_train // batch_size + 1`` batches an epoch, which
            weights users equally.
        negatives: drawn among "all" items, or the "warm" ones, which have a training interaction.
        n_negatives: negatives of each pair. With 0, users that have seen every item take part as well.
        static: int64 [n_train, n_negatives], negatives that stay the same in all epochs (``static_negatives``); then
            users that have seen every item take part as well.
        seed: the run's seed; what an epoch holds depends on (seed, epoch) alone.
        epoch: returns the running epoch; called each time that an iteration begins.
        process: the process whose share of each batch this is.

    Raises:
        DataError: if negatives are wanted and no user has an item that it has not seen.
    """

    def __init__(
        self,
        train: Interactions,
        *,
        batch_size: int,
        per: Literal["interaction", "user"] = "interaction",
        negatives: NegativeItems = "all",
        n_negatives: int = 1,
        static: torch.Tensor | None = None,
        seed: int = 0,
        epoch: Callable[[], int] = lambda: 0,
        process: Process = ALONE,
    ) -> None:
        self.batch_size, self.per, self.seed, self.epoch, self.process = batch_size, per, seed, epoch, process
        self.n_negatives, self._static = n_negatives, static
        self._users, self._items, self._rows = train.users, train.items, np.arange(len(train))
        self._sampler: NegativeSampler | None = None
        if n_negatives and static is None:
            self._sampler = NegativeSampler(train, negatives)
            # a user whose history holds every item has no negative
            self._rows = np.flatnonzero(self._sampler.n_negatives[train.users] > 0)
            self._users, self._items = train.users[self._rows], train.items[self._rows]
        if not len(self._users):
            raise DataError("Every user has interacted with every item in training: there is no negative to sample.")
        self._active, self._first, self._count = np.unique(self._users, return_index=True, return_counts=True)

    def __len__(self) -> int:
        n_pairs = len(self._users)
        return -(-n_pairs // self.batch_size) if self.per == "interaction" else n_pairs // self.batch_size + 1

    def weight(self, batch: int) -> float:
        """The factor on this process's mean loss over its share of the ``batch``-th batch.

        With it, the mean over processes, which is what DDP takes of their gradients, is the mean over all triples:
        own triples x processes / all triples.
        """
        return _weight(self.process, self._n_triples(batch))

    def _n_triples(self, batch: int) -> int:
        """Over all processes."""
        if self.per == "user":
            return self.batch_size
        return min(self.batch_size, len(self._users) - batch * self.batch_size)

    def __iter__(self) -> Iterator[Pairs]:
        epoch = self.epoch()
        rng = stream(self.seed, epoch, "pairs")
        if self.per == "interaction":
            order = rng.permutation(len(self._users))
        else:
            drawn = rng.integers(0, len(self._active), len(self) * self.batch_size)
            order = self._first[drawn] + rng.integers(0, self._count[drawn])
        users, rows = self._users[order], torch.from_numpy(self._rows[order])
        columns = [
            torch.from_numpy(users),
            torch.from_numpy(self._items[order]),
            self._negatives(users, rows, epoch),
            rows,
        ]
        for batch in range(len(self)):
            own = _share(self.process, batch * self.batch_size, self._n_triples(batch))
            yield Pairs(*(column[own] for column in columns))

    def _negatives(self, users: np.ndarray, rows: torch.Tensor, epoch: int) -> torch.Tensor:
        """[n] for one negative a pair, [n, k] for more, [0] for none."""
        if self._static is not None:
            drawn = self._static[rows]
        elif self._sampler is None:
            return rows[:0]
        else:
            repeated = users.repeat(self.n_negatives)
            flat = self._sampler(repeated, stream(self.seed, epoch, "negatives"))
            drawn = torch.from_numpy(flat).reshape(len(users), -1)
        return drawn.squeeze(1) if self.n_negatives == 1 else drawn


class ItemBatches:
    """All items of the catalogue, shuffled, once an epoch: batches int64 [B] for stages that are trained on items.

    Args:
        n_items: of the catalogue.
        batch_size: items in a batch, over all processes; the last batch may be shorter.
        seed, epoch, process: as in ``PairBatches``.
    """

    def __init__(
        self,
        n_items: int,
        *,
        batch_size: int,
        seed: int = 0,
        epoch: Callable[[], int] = lambda: 0,
        process: Process = ALONE,
    ) -> None:
        self.n_items, self.batch_size, self.seed, self.epoch, self.process = n_items, batch_size, seed, epoch, process

    def __len__(self) -> int:
        return math.ceil(self.n_items / self.batch_size)

    def weight(self, batch: int) -> float:
        """The factor on this process's mean loss over its share of the ``batch``-th batch, see ``PairBatches``."""
        return _weight(self.process, self._size(batch))

    def _size(self, batch: int) -> int:
        return min(self.batch_size, self.n_items - batch * self.batch_size)

    def __iter__(self) -> Iterator[torch.Tensor]:
        order = torch.from_numpy(stream(self.seed, self.epoch(), "items").permutation(self.n_items))
        for batch in range(len(self)):
            yield order[_share(self.process, batch * self.batch_size, self._size(batch))]


def _share(process: Process, start: int, n: int) -> slice:
    """Where a process's part of the n entries from ``start`` lies; at least one entry, see ``PairBatches``."""
    own = process.share(n)
    return slice(start + own.start, start + max(own.stop, own.start + 1))


def _weight(process: Process, n: int) -> float:
    own = process.share(n)
    return (own.stop - own.start) * process.world_size / n
