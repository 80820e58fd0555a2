"""Training triples: exact negatives, whole epochs, replayable streams, shares of processes."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from recmm.data.batches.sampling import NegativeSampler, PairBatches, static_negatives
from recmm.data.batches.sharding import Process
from recmm.data.catalog import Catalog
from recmm.data.dataset import Interactions
from recmm.errors import DataError


def interactions(pairs: list[tuple[int, int]], n_users: int, n_items: int) -> Interactions:
    users, items = np.array(sorted(pairs), dtype=np.int64).T
    return Interactions(users=users, items=items, n_users=n_users, n_items=n_items)


@st.composite
def histories(draw: st.DrawFn) -> Interactions:
    n_users, n_items = draw(st.integers(1, 6)), draw(st.integers(2, 8))
    cells = st.tuples(st.integers(0, n_users - 1), st.integers(0, n_items - 1))
    pairs = draw(st.sets(cells, min_size=1, max_size=n_users * n_items))
    return interactions(sorted(pairs), n_users, n_items)


@given(train=histories(), seed=st.integers(0, 2**32 - 1))
def test_negatives_are_never_in_the_history(train: Interactions, seed: int) -> None:
    sampler = NegativeSampler(train)
    users = np.repeat(np.flatnonzero(sampler.n_negatives > 0), 20)
    negatives = sampler(users, np.random.default_rng(seed))
    history = set(zip(train.users.tolist(), train.items.tolist(), strict=True))
    assert all(
        (u, j) not in history and 0 <= j < train.n_items
        for u, j in zip(users.tolist(), negatives.tolist(), strict=True)
    )


def test_negatives_are_uniform() -> None:
    train = interactions([(0, 1), (0, 4), (0, 5), (1, 0)], 2, 8)
    drawn = NegativeSampler(train)(np.zeros(50_000, dtype=np.int64), np.random.default_rng(0))
    counts = np.bincount(drawn, minlength=8)
    assert counts[[1, 4, 5]].sum() == 0
    assert chisquare(counts[[0, 2, 3, 6, 7]]).pvalue > 1e-3


def test_an_epoch_per_interaction_holds_every_pair_once() -> None:
    train = interactions([(u, (u * 3 + k) % 11) for u in range(7) for k in range(4)], 7, 11)
    batches = list(PairBatches(train, batch_size=5))
    assert [len(batch.users) for batch in batches] == [5, 5, 5, 5, 5, 3]
    seen = torch.cat([batch.users * 11 + batch.positives for batch in batches])
    assert sorted(seen.tolist()) == sorted((train.users * 11 + train.items).tolist())


def test_an_epoch_is_replayed_from_its_number_alone() -> None:
    train = interactions([(u, (u * 3 + k) % 11) for u in range(7) for k in range(4)], 7, 11)
    now = 3
    batches = PairBatches(train, batch_size=6, seed=1, epoch=lambda: now)
    first = [torch.stack(batch) for batch in batches]
    now = 4
    other = [torch.stack(batch) for batch in batches]
    now = 3
    again = [torch.stack(batch) for batch in batches]
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first, other, strict=True))


def test_per_user_sampling_weights_users_equally() -> None:
    train = interactions([(0, i) for i in range(18)] + [(2, 3), (2, 7)], 3, 20)
    batches = PairBatches(train, batch_size=4000, per="user")
    assert len(batches) == 20 // 4000 + 1
    batch = next(iter(batches))
    users = torch.bincount(batch.users, minlength=3)
    assert users[1] == 0 and abs(users[0] - users[2]) < 300  # 4.7 standard deviations
    of_second = torch.bincount(batch.positives[batch.users == 2], minlength=20)
    assert set(of_second.nonzero().flatten().tolist()) == {3, 7}


def test_users_that_have_seen_everything_are_left_out() -> None:
    train = interactions([(0, 0), (0, 1), (1, 0)], 2, 2)
    batch = next(iter(PairBatches(train, batch_size=8)))
    assert batch.users.tolist() == [1] and batch.negatives.tolist() == [1]
    with pytest.raises(DataError, match="no negative"):
        PairBatches(interactions([(0, 0), (0, 1)], 1, 2), batch_size=8)


def test_without_negatives_everybody_takes_part_in_the_same_order() -> None:
    train = interactions([(0, 0), (0, 1), (1, 0)], 2, 2)
    batch = next(iter(PairBatches(train, batch_size=8, negatives="none")))
    assert sorted(zip(batch.users.tolist(), batch.positives.tolist(), strict=True)) == [(0, 0), (0, 1), (1, 0)]
    assert batch.negatives.dtype == torch.int64 and not len(batch.negatives)
    train = interactions([(u, (u * 3 + k) % 11) for u in range(7) for k in range(4)], 7, 11)
    both = (PairBatches(train, batch_size=5, negatives=negatives) for negatives in ("all", "none"))
    for with_them, without in zip(*both, strict=True):
        assert torch.equal(torch.stack(with_them[:2]), torch.stack(without[:2]))


@given(
    train=histories(), n_negatives=st.integers(1, 3), seed=st.integers(0, 99), among=st.sampled_from(["all", "warm"])
)
def test_static_negatives_are_no_positives_where_there_are_any(
    train: Interactions, n_negatives: int, seed: int, among: Any
) -> None:
    pairs = torch.tensor(train.users), torch.tensor(train.items)
    catalog = Catalog(train.n_users, train.n_items, {}, *pairs, [], [], among)
    candidates = range(train.n_items) if among == "all" else set(train.items.tolist())
    drawn = static_negatives(catalog, n_negatives, seed)
    assert drawn.shape == (len(train), n_negatives) and torch.equal(drawn, static_negatives(catalog, n_negatives, seed))
    history = set(zip(train.users.tolist(), train.items.tolist(), strict=True))
    for user, item, negatives in zip(train.users.tolist(), train.items.tolist(), drawn.tolist(), strict=True):
        seen_everything = all((user, i) in history for i in candidates)
        assert set(negatives) <= set(candidates)
        assert all(j == item if seen_everything else (user, j) not in history for j in negatives)


@given(world_size=st.integers(1, 9), batch_size=st.integers(1, 12), per=st.sampled_from(["interaction", "user"]))
def test_processes_share_every_batch_without_a_rest(world_size: int, batch_size: int, per: Any) -> None:
    train = interactions([(u, (u * 3 + k) % 11) for u in range(7) for k in range(4)], 7, 11)
    settings: Any = {"batch_size": batch_size, "per": per, "seed": 2}
    whole = PairBatches(train, **settings)
    shares = [PairBatches(train, **settings, process=Process(rank, world_size)) for rank in range(world_size)]
    for k, (batch, *parts) in enumerate(zip(whole, *shares, strict=True)):
        weights = [share.weight(k) for share in shares]
        own = [torch.stack(part) for part, weight in zip(parts, weights, strict=True) if weight]
        assert torch.equal(torch.cat(own, 1), torch.stack(batch))
        sizes = [len(part.users) if weight else 0 for part, weight in zip(parts, weights, strict=True)]
        assert max(sizes) - min(sizes) <= 1
        assert all(len(part.users) for part in parts), "a process without a triple would leave out the step"
        means = [weight * part.users.double().mean() for part, weight in zip(parts, weights, strict=True)]
        assert float(sum(means)) / world_size == pytest.approx(float(batch.users.double().mean()))
