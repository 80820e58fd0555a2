"""Training triples: exact negatives, whole epochs, replayable streams, shares of processes."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from recmm.data.batches.sampling import ItemBatches, NegativeSampler, PairBatches, static_negatives
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


def test_rows_are_the_numbers_of_the_training_pairs() -> None:
    train = interactions([(0, 0), (0, 1), (1, 0), (2, 1), (2, 2)], 3, 3)
    complete = interactions([(0, 0), (0, 1), (0, 2), (1, 0), (2, 1), (2, 2)], 3, 3)  # user 0 has nothing to compare
    for data in (train, complete):
        seen = []
        for batch in PairBatches(data, batch_size=2):
            assert data.users[batch.rows.numpy()].tolist() == batch.users.tolist()
            assert data.items[batch.rows.numpy()].tolist() == batch.positives.tolist()
            seen += batch.rows.tolist()
        assert sorted(seen) == [row for row, user in enumerate(data.users) if data is train or user]


def test_several_negatives_a_pair_are_all_unseen_and_one_keeps_its_stream() -> None:
    train = interactions([(u, (u * 3 + k) % 11) for u in range(7) for k in range(4)], 7, 11)
    history = set(zip(train.users.tolist(), train.items.tolist(), strict=True))
    for batch in PairBatches(train, batch_size=5, n_negatives=3, seed=4):
        assert batch.negatives.shape == (len(batch.users), 3)
        for user, drawn in zip(batch.users.tolist(), batch.negatives.tolist(), strict=True):
            assert all((user, item) not in history for item in drawn)
    one, default = (list(PairBatches(train, batch_size=5, seed=4, **more)) for more in ({"n_negatives": 1}, {}))
    assert all(torch.equal(a.negatives, b.negatives) for a, b in zip(one, default, strict=True))


def test_static_negatives_stay_with_their_pair_in_every_epoch() -> None:
    train = interactions([(0, 0), (0, 1), (1, 0), (2, 1), (2, 2)], 3, 3)
    table, epochs = torch.arange(10).reshape(5, 2), iter(range(2))
    batches = PairBatches(train, batch_size=2, n_negatives=2, static=table, epoch=lambda: next(epochs))
    for batch in [*batches, *batches]:
        assert torch.equal(batch.negatives, table[batch.rows])
    single = next(iter(PairBatches(train, batch_size=5, n_negatives=1, static=table[:, :1])))
    assert torch.equal(single.negatives, table[single.rows, 0])


@pytest.mark.parametrize("world_size", [1, 3])
def test_items_come_once_an_epoch_in_another_order(world_size: int) -> None:
    def order(epoch: int) -> list[int]:
        shares = [
            ItemBatches(10, batch_size=4, epoch=lambda: epoch, process=Process(rank, world_size))
            for rank in range(world_size)
        ]
        assert [len(share) for share in shares] == [3] * world_size
        parts = [[(share.weight(k), part) for k, part in enumerate(share)] for share in shares]
        return [
            i for k in range(3) for rank in range(world_size) for i in parts[rank][k][1].tolist() if parts[rank][k][0]
        ]

    assert sorted(order(0)) == list(range(10)) and order(0) == order(0) != order(1)


def test_users_that_have_seen_everything_are_left_out() -> None:
    train = interactions([(0, 0), (0, 1), (1, 0)], 2, 2)
    batch = next(iter(PairBatches(train, batch_size=8)))
    assert batch.users.tolist() == [1] and batch.negatives.tolist() == [1]
    with pytest.raises(DataError, match="no negative"):
        PairBatches(interactions([(0, 0), (0, 1)], 1, 2), batch_size=8)


def test_without_negatives_everybody_takes_part_in_the_same_order() -> None:
    train = interactions([(0, 0), (0, 1), (1, 0)], 2, 2)
    batch = next(iter(PairBatches(train, batch_size=8, n_negatives=0)))
    assert sorted(zip(batch.users.tolist(), batch.positives.tolist(), strict=True)) == [(0, 0), (0, 1), (1, 0)]
    assert batch.negatives.dtype == torch.int64 and not len(batch.negatives)
    train = interactions([(u, (u * 3 + k) % 11) for u in range(7) for k in range(4)], 7, 11)
    both = (PairBatches(train, batch_size=5, n_negatives=n) for n in (1, 0))
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
