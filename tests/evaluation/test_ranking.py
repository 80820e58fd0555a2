"""Ranks by counting against a plain sort, and what ties, NaN, exclusions and half precision do to them."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import recmm.evaluation.ranking as ranking
from recmm.data.batches import RankingBatch
from recmm.evaluation.ranking import rank_positives, top_k


def batch_of(
    positives: list[list[int]], excluded: list[list[int]] | None = None, candidates: Tensor | None = None
) -> RankingBatch:
    def flat(lists: list[list[int]]) -> tuple[Tensor, Tensor]:
        pairs = [(row, item) for row, items in enumerate(lists) for item in sorted(items)]
        rows, items = zip(*pairs, strict=True) if pairs else ((), ())
        return torch.tensor(rows, dtype=torch.int64), torch.tensor(items, dtype=torch.int64)

    return RankingBatch(torch.arange(len(positives)), *flat(excluded or []), *flat(positives), candidates)


def sorted_ranks(scores: list[list[float]], batch: RankingBatch) -> tuple[list[int], list[int]]:
    """Ranks and candidates by sorting every row in plain Python."""
    ranks, n_candidates = [], []
    for row, values in enumerate(scores):
        excluded = set(batch.excluded_items[batch.excluded_rows == row].tolist())
        positives = batch.positive_items[batch.positive_rows == row].tolist()

        def place(item: int, values: list[float] = values, positives: list[int] = positives) -> tuple[float, int, int]:
            value, is_positive = values[item], item in positives
            if math.isnan(value):
                return (math.inf, 1, item) if is_positive else (-math.inf, -1, item)
            return (-value, is_positive, item)

        allowed = [
            item
            for item in range(len(values))
            if item not in excluded and (batch.candidates is None or batch.candidates[item])
        ]
        order = sorted(allowed, key=place)
        ranks += [order.index(item) + 1 for item in positives]
        n_candidates.append(len(allowed))
    return ranks, n_candidates


@st.composite
def problems(draw: st.DrawFn) -> tuple[list[list[float]], RankingBatch]:
    """Few distinct scores, so that ties of every kind are common."""
    n_items, n_rows = draw(st.integers(1, 9)), draw(st.integers(1, 4))
    value = st.sampled_from([-1.0, 0.0, 0.5, 2.0, math.inf, -math.inf, math.nan])
    scores = draw(st.lists(st.lists(value, min_size=n_items, max_size=n_items), min_size=n_rows, max_size=n_rows))
    candidates = torch.tensor(draw(st.lists(st.booleans(), min_size=n_items, max_size=n_items)))
    candidates[draw(st.integers(0, n_items - 1))] = True
    positives, excluded = [], []
    for _ in range(n_rows):
        allowed = candidates.nonzero().flatten().tolist()
        held_out = draw(st.sets(st.sampled_from(allowed), min_size=1))
        positives.append(sorted(held_out))
        excluded.append(sorted(draw(st.sets(st.integers(0, n_items - 1))) - held_out))
    restricted = draw(st.booleans()) or bool(candidates.all())
    return scores, batch_of(positives, excluded, candidates if restricted else None)


@settings(deadline=None)
@given(problem=problems(), dense_row=st.sampled_from([2, 64]), block=st.sampled_from([1, 4 << 20]))
def test_ranks_are_those_of_a_sort(problem: tuple[list[list[float]], RankingBatch], dense_row: int, block: int) -> None:
    scores, batch = problem
    with pytest.MonkeyPatch.context() as patch:  # both paths, in one block and in blocks of one row
        patch.setattr(ranking, "_DENSE_ROW", dense_row)
        patch.setattr(ranking, "_BLOCK_BYTES", {"cpu": block})
        ranks = rank_positives(torch.tensor(scores), batch)
    expected, n_candidates = sorted_ranks(scores, batch)
    assert ranks.ranks.tolist() == expected
    assert ranks.candidates.tolist() == n_candidates
    assert ranks.rows is batch.positive_rows
    assert ranks.items is batch.positive_items


def test_by_hand() -> None:
    scores = torch.tensor([[0.9, 0.1, 0.5, 0.7], [0.2, 0.8, 0.4, 0.6]])
    ranks = rank_positives(scores, batch_of([[2], [0, 1]], excluded=[[0], [3]]))
    assert ranks.ranks.tolist() == [2, 3, 1]
    assert ranks.candidates.tolist() == [3, 3]
    assert scores[0, 0] == scores[1, 3] == -torch.inf  # in place


def test_a_constant_score_ranks_last() -> None:
    ranks = rank_positives(torch.zeros(2, 6), batch_of([[0, 3], [5]], excluded=[[1], []]))
    assert ranks.ranks.tolist() == [4, 5, 6]


def test_nan_is_pessimistic() -> None:
    nan = math.nan
    ranks = rank_positives(torch.tensor([[0.3, nan, 0.1, 0.2], [nan, 0.3, 0.1, 0.2]]), batch_of([[0], [0, 1]]))
    assert ranks.ranks.tolist() == [2, 4, 1]  # row 0: a NaN candidate is before; row 1: the NaN positive is last


def test_candidates_do_not_meet_the_others() -> None:
    scores = torch.tensor([[0.9, 0.8, 0.7, 0.6, 0.5]])
    cold = torch.tensor([False, False, True, True, True])
    ranks = rank_positives(scores, batch_of([[3]], excluded=[[0, 4]], candidates=cold))
    assert ranks.ranks.tolist() == [2]
    assert ranks.candidates.tolist() == [2]
    items, _ = top_k(scores, 4)
    assert items.tolist() == [[2, 3, -1, -1]]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_other_precisions(dtype: torch.dtype) -> None:
    scores = torch.randn(20, 300, generator=torch.Generator().manual_seed(0)).to(dtype)
    positives = [list(range(row, row + 1 + 10 * (row % 8))) for row in range(20)]  # up to 71: also the dense path
    batch = batch_of(positives, excluded=[[200 + row] for row in range(20)])
    expected, _ = sorted_ranks(scores.double().tolist(), batch)
    assert rank_positives(scores, batch).ranks.tolist() == expected
    assert top_k(scores, 5)[1].dtype == (torch.float64 if dtype == torch.float64 else torch.float32)


def test_the_dense_path_is_taken_for_many_positives(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = torch.randn(3, 500, generator=torch.Generator().manual_seed(0))
    batch = batch_of([[4], list(range(100)), [7, 9]])
    seen: list[int] = []
    original = ranking._search

    def search(scores: Tensor, rows: Tensor, positives: Tensor) -> Tensor:
        seen.extend(rows.tolist())
        return original(scores, rows, positives)

    monkeypatch.setattr(ranking, "_search", search)
    expected, _ = sorted_ranks(scores.tolist(), batch)
    assert rank_positives(scores, batch).ranks.tolist() == expected
    assert set(seen) == {1}


def test_shared_memory_and_wrong_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="share memory"):
        rank_positives(torch.zeros(5).expand(2, -1), batch_of([[0], [1]]))
    with pytest.raises(ValueError, match="3 rows, but the batch has 2 users"):
        rank_positives(torch.zeros(3, 5), batch_of([[0], [1]]))


def test_top_k_ends_where_the_candidates_end() -> None:
    scores = torch.tensor([[0.1, 0.4, 0.3], [0.5, 0.2, 0.6]])
    rank_positives(scores, batch_of([[0], [1]], excluded=[[1], []]))
    items, values = top_k(scores, 4)
    assert items.tolist() == [[2, 0, -1, -1], [2, 0, 1, -1]]
    assert values[0, 2:].tolist() == [-math.inf, -math.inf]
    assert values[1, :3].tolist() == pytest.approx([0.6, 0.5, 0.2])
