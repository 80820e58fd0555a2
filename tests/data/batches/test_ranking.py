"""Who is ranked against what: candidates, exclusions and chunks."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from recmm.data.assembly import SplitColumns, assemble
from recmm.data.batches.ranking import EvaluationSettings, RankingBatches
from recmm.data.batches.sharding import Process
from recmm.data.dataset import MultimodalDataset, Split
from recmm.errors import ConfigError, EmptySplitError


def columns(*pairs: tuple[int, int]) -> SplitColumns:
    users, items = np.array(pairs).T
    return SplitColumns(users, items)


@pytest.fixture
def dataset() -> MultimodalDataset:
    """Users 0-4, items 0-5; items 4 and 5 are cold; user 1 has no test pair, user 4 no history."""
    return assemble(
        name="small",
        split=Split("by hand", "Written down in the test."),
        splits={
            "train": columns((0, 0), (0, 1), (1, 2), (2, 3), (3, 0), (3, 3)),
            "val": columns((0, 2), (1, 0), (2, 4)),
            "test": columns((0, 3), (0, 4), (2, 0), (3, 5), (4, 1)),
        },
        n_users=5,
        n_items=6,
        features={},
    )


def pairs(batches: RankingBatches, kind: str) -> set[tuple[int, int]]:
    found = [
        (int(batch.users[row]), int(item))
        for batch in batches
        for row, item in zip(getattr(batch, f"{kind}_rows"), getattr(batch, f"{kind}_items"), strict=True)
    ]
    assert len(found) == len(set(found))
    return set(found)


def ranked_users(batches: RankingBatches) -> list[int]:
    return torch.cat([batch.users for batch in batches]).tolist()


def test_everybody_with_a_positive_is_ranked_without_the_training_history(dataset: MultimodalDataset) -> None:
    batches = RankingBatches(dataset, "test")
    assert ranked_users(batches) == [0, 2, 3, 4]
    assert pairs(batches, "positive") == {(0, 3), (0, 4), (2, 0), (3, 5), (4, 1)}
    assert pairs(batches, "excluded") == {(0, 0), (0, 1), (2, 3), (3, 0), (3, 3)}
    assert (batches.n_users, batches.n_pairs) == (4, 5)
    assert batches.candidate_items is None


def test_validation_positives_are_masked_only_at_test_and_only_if_asked(dataset: MultimodalDataset) -> None:
    train_only = {(0, 0), (0, 1), (2, 3), (3, 0), (3, 3)}
    masked = RankingBatches(dataset, "test", mask_validation_at_test=True)
    assert pairs(masked, "excluded") == train_only | {(0, 2), (2, 4)}
    validation = RankingBatches(dataset, "val", mask_validation_at_test=True)
    assert pairs(validation, "excluded") == {(0, 0), (0, 1), (1, 2), (2, 3)}


def test_cold_candidates_restrict_items_positives_and_users(dataset: MultimodalDataset) -> None:
    batches = RankingBatches(dataset, "test", candidates="cold")
    assert batches.candidate_items is not None
    assert batches.candidate_items.tolist() == [False, False, False, False, True, True]
    assert all(batch.candidates is batches.candidate_items for batch in batches)
    assert ranked_users(batches) == [0, 3]
    assert pairs(batches, "positive") == {(0, 4), (3, 5)}
    assert pairs(batches, "excluded") == set()  # the training history is warm


def test_warm_candidates_leave_out_cold_positives(dataset: MultimodalDataset) -> None:
    batches = RankingBatches(dataset, "test", candidates="warm", mask_validation_at_test=True)
    assert ranked_users(batches) == [0, 2, 4]
    assert pairs(batches, "positive") == {(0, 3), (2, 0), (4, 1)}
    assert (2, 4) not in pairs(batches, "excluded")


@pytest.mark.parametrize("memory_mb", [1, 256])
def test_further_sets_rank_what_they_would_rank_alone(
    dataset: MultimodalDataset, memory_mb: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if memory_mb == 1:
        monkeypatch.setattr("recmm.data.batches.ranking._ROWS_PER_USER", 1 << 16)  # one user a chunk
    together = RankingBatches(dataset, "test", candidates=["all", "warm", "cold"], memory_mb=memory_mb)
    assert len(together) == (4 if memory_mb == 1 else 1)
    for name in ("warm", "cold"):
        alone = RankingBatches(dataset, "test", candidates=name, memory_mb=256)
        parts = [batch.further[name] for batch in together]
        for kind in ("positive", "excluded"):
            found = {
                (int(part.batch.users[row]), int(item))
                for part in parts
                for row, item in zip(
                    getattr(part.batch, f"{kind}_rows"), getattr(part.batch, f"{kind}_items"), strict=True
                )
            }
            assert found == pairs(alone, kind)
        for batch, part in zip(together, parts, strict=True):
            assert torch.equal(batch.users[part.rows], part.batch.users)
            assert part.batch.candidates is not None and alone.candidate_items is not None
            assert torch.equal(part.batch.candidates, alone.candidate_items)


@pytest.mark.parametrize("candidates", [[], ["all", "all"], ["warm", "all"], ["all", "hot"]])
def test_lists_of_sets_that_make_no_sense_are_refused(candidates: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"eval\.candidates"):
        EvaluationSettings(candidates)  # type: ignore[arg-type]


def test_no_positive_among_the_candidates_is_said(dataset: MultimodalDataset) -> None:
    warm_only = assemble(
        name="warm",
        split=dataset.split,
        splits={"train": columns((0, 0), (1, 1)), "val": columns((0, 1)), "test": columns((1, 0))},
        n_users=2,
        n_items=3,
        features={},
    )
    with pytest.raises(EmptySplitError, match=r"no val pair has a cold item.*eval.candidates=all"):
        RankingBatches(warm_only, "val", candidates="cold")


@pytest.mark.parametrize("split", ["val", "test"])
def test_chunks_keep_to_the_budget_and_lose_nobody(tiny_dataset: MultimodalDataset, split: str) -> None:
    whole = RankingBatches(tiny_dataset, split, memory_mb=1)
    assert len(whole) == 1
    wide = replace(tiny_dataset, train=widened(tiny_dataset.train, 20_000))
    chunked = RankingBatches(wide, split, memory_mb=2)
    assert len(chunked) == len(list(chunked)) > 3
    assert max(len(batch.users) for batch in chunked) * 4 * 4 * 20_000 <= 2 << 20
    assert ranked_users(chunked) == ranked_users(whole) == sorted(ranked_users(whole))
    for kind in ("positive", "excluded"):
        assert pairs(chunked, kind) == pairs(whole, kind)
    for batch in chunked:
        assert set(batch.positive_rows.tolist()) == set(range(len(batch.users)))
        assert (batch.positive_rows.diff() >= 0).all()


def widened(interactions, n_items: int):
    return type(interactions)(interactions.users, interactions.items, interactions.n_users, n_items)


@pytest.mark.parametrize("world_size", [1, 2, 3, 4, 7, 100])
@pytest.mark.parametrize("n_items", [40, 20_000])
def test_processes_share_the_users(tiny_dataset: MultimodalDataset, world_size: int, n_items: int) -> None:
    wide = replace(tiny_dataset, train=widened(tiny_dataset.train, n_items))
    whole = RankingBatches(wide, "test", memory_mb=4)
    parts = [RankingBatches(wide, "test", memory_mb=4, process=Process(rank, world_size)) for rank in range(world_size)]
    assert [user for part in parts for batch in part for user in batch.users.tolist()] == ranked_users(whole)
    for kind in ("positive", "excluded"):
        assert sum(len(pairs(part, kind)) for part in parts) == len(pairs(whole, kind))
        assert set.union(*(pairs(part, kind) for part in parts)) == pairs(whole, kind)
    assert len({len(part) for part in parts}) == 1 and len(parts[0]) >= 1, "no process may miss an evaluation"
    largest = max(len(batch.users) for batch in whole)
    assert max(len(batch.users) for part in parts for batch in part) <= largest
    assert {(part.n_users, part.n_pairs) for part in parts} == {(whole.n_users, whole.n_pairs)}
    if len(whole) % world_size == 0:  # the very chunks of one process
        assert [len(batch.users) for part in parts for batch in part] == [len(batch.users) for batch in whole]


def test_one_user_always_fits(dataset: MultimodalDataset) -> None:
    wide = replace(dataset, train=widened(dataset.train, 1 << 20))
    assert [len(batch.users) for batch in RankingBatches(wide, "test", memory_mb=1)] == [1, 1, 1, 1]


def test_index_tensors_are_reused(dataset: MultimodalDataset) -> None:
    batches = RankingBatches(dataset, "test")
    assert all(first is second for first, second in zip(batches, batches, strict=True))


def test_settings_are_checked() -> None:
    with pytest.raises(ConfigError, match=r"eval.candidates is 'hot'.*all, warm, cold"):
        EvaluationSettings(candidates="hot")
    with pytest.raises(ConfigError, match=r"eval.memory_mb is 0"):
        EvaluationSettings(memory_mb=0)
    with pytest.raises(ConfigError, match=r"eval.val_users is 0"):
        EvaluationSettings(val_users=0)


def test_validation_on_a_sample_of_users_is_the_same_everywhere_and_the_test_stays_complete(
    tiny_dataset: MultimodalDataset,
) -> None:
    whole = RankingBatches(tiny_dataset, "val")
    sampled, again = (RankingBatches(tiny_dataset, "val", val_users=10, memory_mb=mb) for mb in (1, 256))
    users = ranked_users(sampled)
    assert len(users) == sampled.n_users == 10 and users == ranked_users(again)
    assert set(users) < set(ranked_users(whole))
    assert pairs(sampled, "positive") == {pair for pair in pairs(whole, "positive") if pair[0] in users}
    assert pairs(sampled, "excluded") == {pair for pair in pairs(whole, "excluded") if pair[0] in users}
    assert ranked_users(RankingBatches(tiny_dataset, "test", val_users=10)) == ranked_users(
        RankingBatches(tiny_dataset, "test")
    )
    assert RankingBatches(tiny_dataset, "val", val_users=10**6).n_users == whole.n_users


def test_every_set_of_candidates_has_the_same_sampled_users(tiny_dataset: MultimodalDataset) -> None:
    together = RankingBatches(tiny_dataset, "val", candidates=["all", "warm"], val_users=10)
    assert ranked_users(together) == ranked_users(RankingBatches(tiny_dataset, "val", val_users=10))
