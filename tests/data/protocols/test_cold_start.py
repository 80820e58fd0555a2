"""New items: what the split promises of training, users and identity, and the ranking of new items alone, by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from recmm.data.assembly import SplitColumns, assemble
from recmm.data.batches.ranking import RankingBatches
from recmm.data.batches.sampling import NegativeSampler, PairBatches
from recmm.data.dataset import MultimodalDataset, Split
from recmm.data.protocols import ItemColdStart
from recmm.errors import ConfigError, DataError
from recmm.evaluation.metrics import per_user_metrics
from recmm.evaluation.ranking import rank_positives
from recmm.graph import symmetric_adjacency
from recmm.missing.imputers import NeighMean
from recmm.missing.settings import Popularity
from recmm.missing.views import build_views


@pytest.fixture(scope="module")
def new(tiny_dataset: MultimodalDataset) -> MultimodalDataset:
    return ItemColdStart(share=0.3).apply(tiny_dataset)


def pairs(dataset: MultimodalDataset) -> set[tuple[int, int]]:
    found = [pair for part in dataset.splits.values() for pair in zip(part.users, part.items, strict=True)]
    assert len(found) == len(set(found))
    return {(int(user), int(item)) for user, item in found}


def cold(dataset: MultimodalDataset) -> np.ndarray:
    return dataset.train.item_counts() == 0


def test_exactly_the_share_of_items_is_new(tiny_dataset: MultimodalDataset, new: MultimodalDataset) -> None:
    before, after = cold(tiny_dataset), cold(new)
    assert 0 < before.sum() < after.sum() == 12 == new.notes["cold_items"]  # of 40
    assert after[before].all()
    held_out = {name: new.splits[name].item_counts()[after] > 0 for name in ("val", "test")}
    assert not (held_out["val"] & held_out["test"]).any(), "a new item is held out for one of the two"
    assert held_out["val"].sum() == held_out["test"].sum() == 6


def test_no_pair_and_nobody_is_lost(tiny_dataset: MultimodalDataset, new: MultimodalDataset) -> None:
    assert pairs(new) == pairs(tiny_dataset)
    assert new.user_ids == tiny_dataset.user_ids and new.item_ids == tiny_dataset.item_ids
    warm = ~cold(new)
    for name, part in tiny_dataset.splits.items():
        old, now = part.csr(), new.splits[name].csr()
        assert (old != now)[:, warm].nnz == 0, "pairs of the other items stay where they were"
    assert new.notes["given_training_pairs"] == len(tiny_dataset.train) > len(new.train)
    assert new.notes["duplicates_dropped"] == tiny_dataset.notes["duplicates_dropped"]


def test_a_user_without_history_is_kept_counted_and_told(caplog: pytest.LogCaptureFixture) -> None:
    """Item 0 is the whole history of user 0; some seed makes it new."""
    given = by_hand()
    with caplog.at_level("INFO"):
        made = next(made for seed in range(50) if cold(made := ItemColdStart(0.5, seed).apply(given))[0])
    assert made.train.user_counts()[0] == 0 and made.n_users == given.n_users
    assert made.notes["users_without_history"] == np.count_nonzero(made.train.user_counts() == 0) >= 1
    told = f"{made.notes['users_without_history']} of 4 users have no training history (0 before)"
    assert told in caplog.messages[-1]
    held_out = made.val.user_counts() + made.test.user_counts()
    assert held_out[0] == 2, "its pairs are there to be found"


def by_hand() -> MultimodalDataset:
    """Users 0-3, items 0-5, all with training interactions."""
    columns = {
        "train": ([0, 1, 1, 1, 2, 2, 3, 3, 3], [0, 1, 2, 3, 3, 4, 0, 5, 1]),
        "val": ([0, 1], [1, 4]),
        "test": ([2, 3], [1, 2]),
    }
    return assemble(
        name="small",
        split=Split("by hand", "Written down in the test."),
        splits={name: SplitColumns(np.array(users), np.array(items)) for name, (users, items) in columns.items()},
        n_users=4,
        n_items=6,
        features={"v": np.eye(6, 2, dtype=np.float32)},
    )


def test_the_seed_decides_and_the_name_tells(tiny_dataset: MultimodalDataset, new: MultimodalDataset) -> None:
    again = ItemColdStart(share=0.3).apply(tiny_dataset)
    other = ItemColdStart(share=0.3, seed=1).apply(tiny_dataset)
    smaller = ItemColdStart(share=0.2).apply(tiny_dataset)
    assert again.digest == new.digest
    assert len({made.digest for made in (tiny_dataset, new, other, smaller)}) == 4
    names = [made.split.name for made in (new, other, smaller)]
    assert names == ["synthetic-cold0.3-s0", "synthetic-cold0.3-s1", "synthetic-cold0.2-s0"]
    assert new.split.recipe.startswith(tiny_dataset.split.recipe) and "a share of 0.3" in new.split.recipe
    assert (cold(new) != cold(other)).any()
    assert not (cold(smaller) & ~cold(new)).any(), "the new items of a smaller share are among them"


def test_timestamps_and_weights_follow_their_pairs(tiny_dataset: MultimodalDataset) -> None:
    def noted(part, *, weights: bool):
        times = part.users * 1000 + part.items
        return replace(part, timestamps=times, weights=times.astype(np.float32) if weights else None)

    parts = {name: noted(part, weights=name != "val") for name, part in tiny_dataset.splits.items()}
    made = ItemColdStart(share=0.3).apply(replace(tiny_dataset, **parts))
    for part in made.splits.values():
        assert np.array_equal(part.timestamps, part.users * 1000 + part.items)
        assert part.weights is None, "not every split had them"


def test_graph_negatives_masks_and_imputers_see_training_alone(new: MultimodalDataset) -> None:
    is_new = cold(new)
    catalog = new.catalog()
    assert not is_new[catalog.train_items].any()
    nodes = symmetric_adjacency(catalog)(torch.ones(new.n_users + new.n_items, 1))
    assert not nodes[new.n_users :][torch.from_numpy(is_new)].any()

    batch = next(iter(PairBatches(new.train, batch_size=10_000, negatives="warm")))
    assert not is_new[batch.positives].any() and not is_new[batch.negatives].any()
    assert is_new[next(iter(PairBatches(new.train, batch_size=10_000))).negatives].any()

    exchanged = replace(new, val=new.test, test=new.val)
    drawn = [Popularity(rate=0.5).draw(dataset) for dataset in (new, exchanged)]
    assert drawn[0].digest == drawn[1].digest
    views = [build_views(data, masks, NeighMean())["test"] for data, masks in zip((new, exchanged), drawn, strict=True)]
    assert views[0].digest == views[1].digest


def test_negatives_among_warm_items_are_uniform_and_exact(new: MultimodalDataset) -> None:
    sampler, rng = NegativeSampler(new.train, "warm"), np.random.default_rng(0)
    user = int(new.train.user_counts().argmax())
    history = set(new.train.items[new.train.users == user].tolist())
    allowed = sorted(set(np.flatnonzero(~cold(new)).tolist()) - history)
    assert sampler.n_negatives[user] == len(allowed)
    drawn = np.bincount(sampler(np.full(20_000, user), rng), minlength=new.n_items)
    assert np.flatnonzero(drawn).tolist() == allowed
    expected = 20_000 / len(allowed)
    assert np.abs(drawn[allowed] - expected).max() < 6 * expected**0.5


def test_new_items_ranked_by_hand() -> None:
    """Scores fall from item 0 to item 5. Items 2, 4 and 5 are new; user 0 is to find 4, user 1 item 2 and item 1."""
    dataset = assemble(
        name="new",
        split=Split("by hand", "Written down in the test."),
        splits={
            "train": SplitColumns(np.array([0, 0, 1]), np.array([0, 1, 3])),
            "val": SplitColumns(np.array([0]), np.array([5])),
            "test": SplitColumns(np.array([0, 1, 1, 1]), np.array([4, 0, 1, 2])),
        },
        n_users=2,
        n_items=6,
        features={},
    )
    found = {}
    for candidates in ("all", "cold"):
        (batch,) = RankingBatches(dataset, "test", candidates=candidates)
        ranks = rank_positives(torch.arange(6.0).flip(0).repeat(2, 1), batch)
        found[candidates] = ranks.items.tolist(), ranks.ranks.tolist(), ranks.candidates.tolist()
        metrics = per_user_metrics(ranks, 2)
        if candidates == "cold":
            assert metrics["recall@5"].tolist() == [1, 1]
            assert metrics["mrr@5"].tolist() == pytest.approx([1 / 2, 1])
            assert metrics["ndcg@5"].tolist() == pytest.approx([1 / np.log2(3), 1])
    # all: user 0 has items 2, 3, 4, 5 before it, user 1 items 0, 1, 2, 4, 5
    assert found["all"] == ([4, 0, 1, 2], [3, 1, 2, 3], [4, 5])
    # new ones alone: 2, 4, 5, of which user 0's is the second; items 0 and 1 are nothing to find
    assert found["cold"] == ([4, 2], [2, 1], [3, 3])


@pytest.mark.parametrize("values", [{"share": 0.0}, {"share": 1.0}, {"seed": -1}])
def test_values_out_of_range_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=r"dataset\.protocol: share must lie in \(0, 1\)"):
        ItemColdStart(**values)  # type: ignore[arg-type]


def test_a_share_below_what_is_cold_already_is_refused(tiny_dataset: MultimodalDataset) -> None:
    cold_share = cold(tiny_dataset).mean()
    words = rf"have no training interaction already: give at least {cold_share:.4f}"
    with pytest.raises(DataError, match=words):
        ItemColdStart(share=cold_share / 2).apply(tiny_dataset)
