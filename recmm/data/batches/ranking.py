"""Held-out users in chunks, with the index tensors that full ranking needs; built once, used at every evaluation."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from recmm.data.batches import FurtherRanking, RankingBatch
from recmm.data.batches.sharding import ALONE, Process
from recmm.data.dataset import Interactions, MultimodalDataset
from recmm.errors import ConfigError, EmptySplitError
from recmm.seeding import stream

Candidates = Literal["all", "warm", "cold"]

# Peak memory of ranking one user, in float32 rows of n_items: the scores, up to two addends from which a method sums
# them, and room for comparisons and lists.
_ROWS_PER_USER = 4


@dataclass
class EvaluationSettings:
    """How held-out pairs are ranked.

    Attributes:
        candidates: ``"all"`` items; ``"warm"``, those with a training interaction; ``"cold"``, the others. Held-out
            pairs whose item is no candidate are left out, and so are users without any other held-out pair. Several
            sets, "all" first, are ranked from the same scores; the metrics of the other sets carry the set's name.
        mask_validation_at_test: True excludes a user's validation items from the candidates at test. MMRec, LATTICE,
            MMSSL and I3-MRec do not exclude them.
        memory_mb: MiB that the scores of one chunk of users and what is computed from them may take.
        val_users: validate on at most so many users, drawn uniformly from those with a validation pair, by the data's
            digest: the same ones in every run on these data. None: on all of them. The test is always complete.

    Raises:
        ConfigError: a value is not one of these.
    """

    candidates: Candidates | Sequence[Candidates] = "all"
    mask_validation_at_test: bool = False
    memory_mb: int = 256
    val_users: int | None = None

    def __post_init__(self) -> None:
        for name in self.sets:
            if name not in get_args(Candidates):
                raise ConfigError(f"eval.candidates is {name!r}: choose one of {', '.join(get_args(Candidates))}.")
        if not self.sets or len(set(self.sets)) < len(self.sets):
            raise ConfigError("eval.candidates needs one or more different sets of candidates.")
        if len(self.sets) > 1 and self.sets[0] != "all":
            raise ConfigError("eval.candidates: of several sets, all has to be the first; it selects the best epoch.")
        if self.memory_mb < 1:
            raise ConfigError(f"eval.memory_mb is {self.memory_mb}: give at least 1 (MiB for one chunk of scores).")
        if self.val_users is not None and self.val_users < 1:
            raise ConfigError(f"eval.val_users is {self.val_users}: give at least 1, or null to validate on all users.")

    @property
    def sets(self) -> tuple[Candidates, ...]:
        """The sets of candidates; the first one gives the metrics without a name."""
        return (self.candidates,) if isinstance(self.candidates, str) else tuple(self.candidates)


class RankingBatches:
    """Every user with a held-out pair, in ascending order, as ``RankingBatch`` chunks that fit a memory budget.

    Training positives are excluded; at test validation positives only if asked. A chunk has as many users as
    ``memory_mb`` MiB hold four float32 rows of n_items for (the scores, up to two addends of them, and room for
    comparisons and lists), at least one.

    In a distributed run each process gets the same number of chunks, those of its rank following those of the ranks
    before it. With fewer users than processes some chunks are empty, so that no process misses an evaluation.

    Attributes:
        candidate_items: bool [n_items], or None where all items are candidates; also in every batch.
        n_users, n_pairs: what is ranked in all chunks of all processes together.

    Raises:
        ConfigError: see ``EvaluationSettings``.
        EmptySplitError: no held-out pair has a candidate item.
    """

    def __init__(
        self,
        dataset: MultimodalDataset,
        split: Literal["val", "test"],
        *,
        candidates: Candidates | Sequence[Candidates] = "all",
        mask_validation_at_test: bool = False,
        memory_mb: int = 256,
        val_users: int | None = None,
        process: Process = ALONE,
    ) -> None:
        settings = EvaluationSettings(candidates, mask_validation_at_test, memory_mb, val_users)  # checks the values
        held_out = dataset.val if split == "val" else dataset.test
        if split == "val" and val_users is not None:
            held_out = _of_sample(held_out, val_users, dataset.digest)
        first, *others = (
            _CandidateSet(dataset, held_out, split, name, mask_validation_at_test=mask_validation_at_test)
            for name in settings.sets
        )
        self.candidate_items = first.eligible
        self.n_users, self.n_pairs = len(first.users), len(first.rows)
        size = max(1, (memory_mb << 20) // (_ROWS_PER_USER * 4 * dataset.n_items))
        n_chunks = -(-self.n_users // size)
        n_chunks += -n_chunks % process.world_size
        # Chunks of equal size rather than full ones and a rest.
        edges = np.linspace(0, self.n_users, n_chunks + 1).astype(np.int64)
        self._batches = []
        for start, stop in list(pairwise(edges))[process.share(n_chunks)]:
            batch = first.chunk(start, stop)
            self._batches.append(
                batch._replace(further={other.name: other.part_of(first, start, stop) for other in others})
            )

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[RankingBatch]:
        return iter(self._batches)


class _CandidateSet:
    """Who has held-out pairs in one set of candidates, and what is ranked for them, users in ascending order."""

    def __init__(
        self,
        dataset: MultimodalDataset,
        held_out: Interactions,
        split: Literal["val", "test"],
        name: Candidates,
        *,
        mask_validation_at_test: bool,
    ) -> None:
        self.name = name
        eligible = _eligible(dataset, name)
        positive_users, self._items = _of_items(held_out.users, held_out.items, eligible)
        if not len(positive_users):
            raise EmptySplitError(
                f"{dataset.name}: no {split} pair has a {name} item, so there is nothing to rank; "
                "choose eval.candidates=all, or split=item_cold_start for a share of cold items."
            )
        self.users, self.rows = np.unique(positive_users, return_inverse=True)
        known_users, known_items = dataset.train.users, dataset.train.items
        if split == "test" and mask_validation_at_test:
            known_users = np.concatenate([known_users, dataset.val.users])
            known_items = np.concatenate([known_items, dataset.val.items])
        known_users, known_items = _of_items(known_users, known_items, eligible)
        self._excluded_rows, self._excluded_items = _rows_of(self.users, known_users, known_items, dataset.n_users)
        self.eligible: Tensor | None = None if eligible is None else torch.from_numpy(eligible)

    def chunk(self, start: Any, stop: Any) -> RankingBatch:
        """The batch of the users at places ``start`` to ``stop``."""
        excluded = slice(*np.searchsorted(self._excluded_rows, [start, stop]))
        positive = slice(*np.searchsorted(self.rows, [start, stop]))
        return RankingBatch(
            torch.from_numpy(self.users[start:stop]),
            torch.from_numpy(self._excluded_rows[excluded] - start),
            torch.from_numpy(self._excluded_items[excluded]),
            torch.from_numpy(self.rows[positive] - start),
            torch.from_numpy(self._items[positive].copy()),
            self.eligible,
        )

    def part_of(self, whole: "_CandidateSet", start: Any, stop: Any) -> FurtherRanking:
        """Those of this set's users who are among the users of ``whole`` at places ``start`` to ``stop``."""
        users = whole.users[start:stop]
        if not len(users):
            return FurtherRanking(torch.empty(0, dtype=torch.int64), self.chunk(0, 0))
        first, last = np.searchsorted(self.users, [users[0], users[-1] + 1])
        batch = self.chunk(first, last)
        return FurtherRanking(torch.from_numpy(np.searchsorted(users, self.users[first:last])), batch)


def _of_sample(held_out: Interactions, n_users: int, digest: str) -> Interactions:
    """The pairs of ``n_users`` of the users, drawn by the digest of the data; all pairs where there are no more."""
    users = np.unique(held_out.users)
    if len(users) <= n_users:
        return held_out
    chosen = stream(0, 0, f"validation users of {digest}").choice(users, n_users, replace=False)
    kept = np.isin(held_out.users, chosen)
    return Interactions(held_out.users[kept], held_out.items[kept], held_out.n_users, held_out.n_items)


def _eligible(dataset: MultimodalDataset, candidates: Candidates) -> np.ndarray | None:
    if candidates == "all":
        return None
    warm = dataset.train.item_counts() > 0
    return warm if candidates == "warm" else ~warm


def _of_items(users: np.ndarray, items: np.ndarray, eligible: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    if eligible is None:
        return users, items
    keep = eligible[items]
    return users[keep], items[keep]


def _rows_of(ranked: np.ndarray, users: np.ndarray, items: np.ndarray, n_users: int) -> tuple[np.ndarray, np.ndarray]:
    """The pairs of the ``ranked`` users, as (row in ``ranked``, item), sorted by row."""
    row = np.full(n_users, -1, dtype=np.int64)
    row[ranked] = np.arange(len(ranked))
    rows = row[users]
    keep = rows >= 0
    rows, items = rows[keep], items[keep]
    order = np.argsort(rows, kind="stable")
    return rows[order], items[order]
