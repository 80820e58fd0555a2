"""Training triples (u, i, j): batches are index tensors cut from a permuted array, with exact negatives."""

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

    Drawn with replacement, from the run's seed alone. A user that has seen every item among which
    ``catalog.negatives`` has them drawn has none; in their place stands the pair's own item.

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

    In a distributed run every process draws the same batches and takes its share of each. Where a batch has fewer
    triples than there are processes, those without one take one of the others' with ``weight`` 0, so that all of them
    do the same steps.

    Args:
        train: training interactions.
        batch_size: triples in a batch, over all processes; the last batch of an epoch may be shorter
            (``per="interaction"``).
        per: "interaction" visits every training pair once an epoch, shuffled, which weights users by their activity;
            "user" draws a random user and one of its items, ``n_train // batch_size + 1`` batches an epoch, which
            weights users equally (methods.md, block B15).
        negatives: drawn among "all" items, or the "warm" ones, which have a training interaction; "none" are drawn, and
            users that have seen every item take part as well.
        seed: the run's seed; what an epoch holds depends on (seed, epoch) alone.
        epoch: tells the running epoch each time that an iteration begins.
        process: whose share this is.

    Raises:
        DataError: if negatives are wanted and no user has an item that it has not seen.
    """

    def __init__(
        self,
        train: Interactions,
        *,
        batch_size: int,
        per: Literal["interaction", "user"] = "interaction",
        negatives: Literal["all", "warm", "none"] = "all",
        seed: int = 0,
        epoch: Callable[[], int] = lambda: 0,
        process: Process = ALONE,
    ) -> None:
        self.batch_size, self.per, self.seed, self.epoch, self.process = batch_size, per, seed, epoch, process
        self._users, self._items, self._negatives = train.users, train.items, None
        if negatives != "none":
            self._negatives = NegativeSampler(train, negatives)
            usable = self._negatives.n_negatives[train.users] > 0  # one that has seen everything has nothing to compare
            self._users, self._items = train.users[usable], train.items[usable]
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
        n_triples = self._n_triples(batch)
        own = self.process.share(n_triples)
        return (own.stop - own.start) * self.process.world_size / n_triples

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
        users, positives = self._users[order], self._items[order]
        negatives = users[:0]
        if self._negatives is not None:
            negatives = self._negatives(users, stream(self.seed, epoch, "negatives"))
        columns = [torch.from_numpy(column) for column in (users, positives, negatives)]
        for batch in range(len(self)):
            start, own = batch * self.batch_size, self.process.share(self._n_triples(batch))
            rows = slice(start + own.start, start + max(own.stop, own.start + 1))
            yield Pairs(*(column[rows] for column in columns))
