"""Metrics: by hand, as properties, against a second implementation, and as exact sums across processes."""

import math
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from hypothesis import given, settings
from hypothesis import strategies as st

from recmm.data.batches import RankingBatch
from recmm.data.batches.ranking import RankingBatches
from recmm.data.dataset import Split
from recmm.data.formats.matrices import read_matrices
from recmm.evaluation import CUTOFFS, ListMetrics, RankingMetrics, Ranks, per_user_metrics, rank_positives, top_k

GRID = 2.0**-32  # per-user values are multiples of it


def ranks_of(per_user: list[list[int]], n_items: int = 1000) -> Ranks:
    """Ranks of users' held-out items, in any order within a user."""
    rows = torch.tensor([row for row, ranks in enumerate(per_user) for _ in ranks])
    ranks = torch.tensor([rank for ranks in per_user for rank in ranks])
    return Ranks(rows, torch.arange(len(rows)), ranks, torch.full((len(per_user),), n_items))


def metrics_of(ranks: list[int], cutoffs: tuple[int, ...] = CUTOFFS) -> dict[str, float]:
    return {name: value.item() for name, value in per_user_metrics(ranks_of([ranks]), 1, cutoffs).items()}


def plain_metrics(ranks: list[int], k: int, longest: int) -> dict[str, float]:
    """The definitions of methods' papers, one user at a time, over the list of hits."""
    ranks = sorted(ranks)
    relevance = [1 if rank in ranks else 0 for rank in range(1, longest + 1)]
    cut = relevance[:k]

    def dcg(values: list[int]) -> float:
        return sum(value / math.log2(place + 2) for place, value in enumerate(values))

    ideal_found = dcg(sorted(relevance, reverse=True)[:k])
    return {
        "recall": sum(cut) / len(ranks),
        "precision": sum(cut) / k,
        "ndcg": dcg(cut) / dcg([1] * min(len(ranks), k)),
        "hit": float(any(cut)),
        "map": sum(sum(cut[: p + 1]) / (p + 1) for p in range(k) if cut[p]) / min(len(ranks), k),
        "mrr": next((1 / (p + 1) for p in range(k) if cut[p]), 0.0),
        "ndcg_mmssl": dcg(cut) / ideal_found if ideal_found else 0.0,
    }


rank_lists = st.lists(st.integers(1, 80), min_size=1, max_size=60, unique=True)


# By hand


def test_three_positives_with_hits_at_4_and_31() -> None:
    values = metrics_of([4, 31, 700])
    assert values["ndcg@20"] == pytest.approx(0.2021, abs=5e-5)
    assert values["ndcg_mmssl@20"] == pytest.approx(0.2641, abs=5e-5)
    assert metrics_of([4, 31, 700], (10, 20))["ndcg_mmssl@20"] == pytest.approx(0.4307, abs=5e-5)


def test_every_metric_by_hand() -> None:
    values = metrics_of([8, 2, 30, 3])  # four positives, hits at 2, 3, 8 within 10
    assert values["recall@5"] == 0.5
    assert values["recall@10"] == 0.75
    assert values["precision@5"] == pytest.approx(0.4)
    assert values["precision@10"] == pytest.approx(0.3)
    assert values["hit@5"] == 1
    assert values["mrr@5"] == values["mrr@50"] == 0.5
    assert values["map@5"] == pytest.approx((1 / 2 + 2 / 3) / 4)
    assert values["map@10"] == pytest.approx((1 / 2 + 2 / 3 + 3 / 8) / 4)
    dcg5 = 1 / math.log2(3) + 1 / 2
    assert values["ndcg@5"] == pytest.approx(dcg5 / (1 + 1 / math.log2(3) + 1 / 2 + 1 / math.log2(5)))


def test_more_positives_than_places() -> None:
    values = metrics_of(list(range(1, 9)))  # eight positives on the first eight places
    assert values["recall@5"] == pytest.approx(5 / 8)
    assert values["precision@5"] == values["ndcg@5"] == values["map@5"] == 1


def test_nothing_found_is_zero_everywhere() -> None:
    assert set(metrics_of([51, 400]).values()) == {0.0}


def test_an_only_item_makes_both_ndcg_equal() -> None:
    for rank in (1, 7, 33, 60):
        values = metrics_of([rank])
        assert all(values[f"ndcg@{k}"] == values[f"ndcg_mmssl@{k}"] for k in CUTOFFS)


def test_mean_over_users_not_over_pairs() -> None:
    metrics = RankingMetrics()
    metrics.update(ranks_of([[1], [2, 100, 200, 300]]), 2)
    metrics.update(ranks_of([[60]]), 1)
    assert metrics.compute()["recall@5"].item() == pytest.approx((1 + 0.25 + 0) / 3)


# Properties


@settings(deadline=None)
@given(users=st.lists(rank_lists, min_size=1, max_size=5))
def test_agrees_with_the_definitions(users: list[list[int]]) -> None:
    values = per_user_metrics(ranks_of(users), len(users))
    assert len(values) == 7 * len(CUTOFFS)
    for row, ranks in enumerate(users):
        for k in CUTOFFS:
            for name, expected in plain_metrics(ranks, k, CUTOFFS[-1]).items():
                assert values[f"{name}@{k}"][row].item() == pytest.approx(expected, abs=GRID)


@settings(deadline=None)
@given(ranks=rank_lists)
def test_bounds_and_growth_with_the_list(ranks: list[int]) -> None:
    values = metrics_of(ranks)
    assert all(0 <= value <= 1 for value in values.values())
    for name in ("recall", "hit", "mrr"):
        growth = [values[f"{name}@{k}"] for k in CUTOFFS]
        assert growth == sorted(growth)
    for k in CUTOFFS:
        assert values[f"mrr@{k}"] <= values[f"hit@{k}"]
        assert values[f"ndcg_mmssl@{k}"] >= values[f"ndcg@{k}"]


@settings(deadline=None, max_examples=40)
@given(users=st.lists(rank_lists, min_size=2, max_size=4), data=st.data())
def test_neither_the_order_of_pairs_nor_of_users_matters(users: list[list[int]], data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(users))))
    shuffled = [data.draw(st.permutations(users[row])) for row in order]
    before, after = per_user_metrics(ranks_of(users), len(users)), per_user_metrics(ranks_of(shuffled), len(users))
    for name in before:
        torch.testing.assert_close(after[name], before[name][list(order)], rtol=0, atol=GRID)


@settings(deadline=None)
@given(ranks=rank_lists, data=st.data())
def test_a_better_rank_never_hurts(ranks: list[int], data: st.DataObject) -> None:
    """Except ndcg_mmssl: a hit that enters the longest list raises its own normaliser."""
    moved = data.draw(st.sampled_from(ranks))
    free = [rank for rank in range(1, moved) if rank not in ranks]
    if not free:
        return
    better = [data.draw(st.sampled_from(free)) if rank == moved else rank for rank in ranks]
    before, after = metrics_of(ranks), metrics_of(better)
    assert all(after[name] >= before[name] - GRID for name in before if not name.startswith("ndcg_mmssl"))


def test_ndcg_mmssl_can_fall_when_a_rank_improves() -> None:
    assert metrics_of([1, 45])["ndcg_mmssl@20"] < metrics_of([1, 55])["ndcg_mmssl@20"] == 1


# A second implementation


def test_agrees_with_pytorch_geometric() -> None:
    oracle = pytest.importorskip("torch_geometric.metrics", reason="the oracle torch_geometric is not installed")
    generator = torch.Generator().manual_seed(0)
    n_users, n_items = 200, 300
    scores = torch.rand(n_users, n_items, generator=generator)
    role = torch.rand(n_users, n_items, generator=generator)
    role[:, 0] = 1.0  # a positive for everybody
    excluded, positive = (role < 0.1).nonzero().T, (role > 0.93).nonzero().T
    batch = RankingBatch(torch.arange(n_users), *excluded, *positive)
    metrics = RankingMetrics()
    metrics.update(rank_positives(scores, batch), n_users)
    ours = metrics.compute()
    lists = ListMetrics(popularity := torch.randint(1, 50, (n_items,), generator=generator))
    top, _ = top_k(scores, 50)
    lists.update(top)
    ours_lists = lists.compute()

    for k in CUTOFFS:
        theirs = {
            "recall": oracle.LinkPredRecall(k),
            "precision": oracle.LinkPredPrecision(k),
            "ndcg": oracle.LinkPredNDCG(k),
            "hit": oracle.LinkPredHitRatio(k),
            "map": oracle.LinkPredMAP(k),
            "mrr": oracle.LinkPredMRR(k),
            "coverage": oracle.LinkPredCoverage(k, n_items),
            "popularity": oracle.LinkPredAveragePopularity(k, popularity),
        }
        for name, metric in theirs.items():
            metric.update(top, (positive[0], positive[1]))
            value = ours[f"{name}@{k}"] if f"{name}@{k}" in ours else ours_lists[f"{name}@{k}"]
            assert value.item() == pytest.approx(metric.compute().item(), rel=1e-5), f"{name}@{k}"


# Exact sums


def many_ranks(n_users: int, n_items: int = 7050) -> Ranks:
    rng = np.random.default_rng(0)
    per_user = rng.integers(1, 6, n_users)
    rows = torch.from_numpy(np.repeat(np.arange(n_users), per_user))
    steps = torch.from_numpy(rng.geometric(0.02, len(rows)))
    first = torch.from_numpy(np.cumsum(per_user) - per_user)
    total = steps.cumsum(0)
    ranks = total - (total[first] - steps[first])[rows]  # distinct within a user
    return Ranks(rows, rows, ranks, torch.full((n_users,), n_items))


def cut(ranks: Ranks, start: int, stop: int) -> Ranks:
    here = (ranks.rows >= start) & (ranks.rows < stop)
    return Ranks(ranks.rows[here] - start, ranks.items[here], ranks.ranks[here], ranks.candidates[start:stop])


def test_any_chunking_gives_the_same_bits() -> None:
    ranks = many_ranks(3000)
    whole = RankingMetrics()
    whole.update(ranks, 3000)
    expected = whole.compute()
    for edges in ([0, 1, 999, 1000, 3000], [0, 2048, 3000], list(range(0, 3001, 100))):
        parts = [RankingMetrics() for _ in edges[1:]]
        for part, start, stop in zip(parts, edges[:-1], edges[1:], strict=True):
            part.update(cut(ranks, start, stop), stop - start)
        merged = RankingMetrics()
        merged.sums = sum(part.sums for part in reversed(parts))
        merged.n_users = sum(part.n_users for part in parts)
        merged.update(cut(ranks, 0, 0), 0)  # an empty chunk adds nothing
        values = merged.compute()
        assert all(values[name].item() == expected[name].item() for name in expected)


def test_the_mean_of_the_per_user_values_is_the_metric() -> None:
    ranks = many_ranks(500)
    metrics = RankingMetrics()
    metrics.update(ranks, 500)
    per_user = per_user_metrics(ranks, 500)
    assert all(value.item() == per_user[name].numpy().sum() / 500 for name, value in metrics.compute().items())


# The other process: the test itself is rank 0, so that only one more interpreter has to start.
WORKER = """
import sys
from datetime import timedelta
import torch
import torch.distributed as dist
from recmm.evaluation.metrics import ListMetrics, RankingMetrics
from recmm.evaluation.ranking import Ranks

folder = sys.argv[1]
dist.init_process_group("gloo", f"file://{folder}/store", timedelta(seconds=60), rank=1, world_size=2)
part = torch.load(f"{folder}/part.pt")
metrics = RankingMetrics()
metrics.update(Ranks(*part["ranks"]), len(part["ranks"][3]))
lists = ListMetrics(part["counts"])
lists.update(part["top"])
torch.save({**metrics.compute(), **lists.compute()}, f"{folder}/out.pt")
dist.destroy_process_group()
"""


def test_two_processes_give_the_same_bits(tmp_path: Path) -> None:
    ranks, n_users, n_first, counts = many_ranks(1001), 1001, 300, torch.arange(80)
    top = torch.randint(-1, 80, (n_users, 50), generator=torch.Generator().manual_seed(0))

    def evaluate(start: int, stop: int) -> dict[str, float]:
        metrics, lists = RankingMetrics(), ListMetrics(counts)
        metrics.update(cut(ranks, start, stop), stop - start)
        lists.update(top[start:stop])
        return {name: value.item() for name, value in {**metrics.compute(), **lists.compute()}.items()}

    expected = evaluate(0, n_users)
    part = {"ranks": tuple(cut(ranks, n_first, n_users)), "top": top[n_first:], "counts": counts}
    torch.save(part, tmp_path / "part.pt")
    with subprocess.Popen([sys.executable, "-c", WORKER, str(tmp_path)]) as other:
        dist.init_process_group("gloo", f"file://{tmp_path}/store", timedelta(seconds=60), rank=0, world_size=2)
        try:
            assert evaluate(0, n_first) == expected
            assert other.wait(timeout=60) == 0
        finally:
            dist.destroy_process_group()
            other.kill()
    assert {name: value.item() for name, value in torch.load(tmp_path / "out.pt").items()} == expected


def test_twenty_thousand_users_are_quick() -> None:
    ranks = many_ranks(20_000)
    seconds = []
    for _ in range(3):
        metrics = RankingMetrics()
        started = time.perf_counter()
        metrics.update(ranks, 20_000)
        seconds.append(time.perf_counter() - started)
    assert min(seconds) < 0.5  # 0.02 s on two idle cores


# Lists


def test_lists_by_hand() -> None:
    lists = ListMetrics(torch.tensor([4, 2, 1, 1, 0, 0]))
    top = torch.full((2, 50), -1)
    top[0, :6] = torch.tensor([0, 1, 2, 3, 4, 5])
    top[1, :2] = torch.tensor([0, 2])
    lists.update(top)
    values = lists.compute()
    assert values["coverage@5"].item() == pytest.approx(5 / 6)
    assert values["coverage@10"].item() == 1
    assert values["popularity@5"].item() == pytest.approx((4 + 2 + 1 + 1 + 0 + 4 + 1) / 7)
    # -log2 of the shares 4/8, 2/8, 1/8, 1/8; without interactions as if with one
    assert values["novelty@5"].item() == pytest.approx((1 + 2 + 3 + 3 + 3 + 1 + 3) / 7)
    exposure = [0, 1, 1, 1, 2, 2]
    assert values["gini@5"].item() == pytest.approx(sum((2 * j - 7) * x for j, x in enumerate(exposure, 1)) / (6 * 7))


def test_gini_extremes() -> None:
    counts = torch.ones(200, dtype=torch.int64)
    equal, one = ListMetrics(counts), ListMetrics(counts)
    equal.update(torch.arange(200).reshape(4, 50))
    one.update(torch.full((4, 50), 7))
    assert equal.compute()["gini@50"].item() == 0
    assert one.compute()["gini@50"].item() == pytest.approx(1 - 1 / 200)


def test_short_lists_are_refused() -> None:
    with pytest.raises(ValueError, match="20 items cannot be judged at 50"):
        ListMetrics(torch.ones(60)).update(torch.zeros(3, 20, dtype=torch.int64))


# On real data


def test_popularity_on_tiktok(real_data: Path) -> None:
    """Recall@20 .0627 and .0596 (NDCG@20 .0273 and .0254) are known for users with training history; five have none."""
    split = Split("released", "As released.")
    dataset = read_matrices(real_data / "tiktok", name="tiktok", split=split, features={})
    popularity = torch.from_numpy(dataset.train.item_counts()).float()
    has_history = torch.from_numpy(dataset.train.user_counts()) > 0
    for phase, recall, ndcg in (("val", 0.0627, 0.0273), ("test", 0.0596, 0.0254)):
        known: dict[str, list[torch.Tensor]] = {"recall@20": [], "ndcg@20": []}
        everybody = RankingMetrics()
        for batch in RankingBatches(dataset, phase):
            ranks = rank_positives(popularity.repeat(len(batch.users), 1), batch)
            everybody.update(ranks, len(batch.users))
            values = per_user_metrics(ranks, len(batch.users))
            for name, kept in known.items():
                kept.append(values[name][has_history[batch.users]])
        assert torch.cat(known["recall@20"]).mean().item() == pytest.approx(recall, abs=5e-5)
        assert torch.cat(known["ndcg@20"]).mean().item() == pytest.approx(ndcg, abs=5e-5)
        assert everybody.compute()["recall@20"].item() == pytest.approx(recall, abs=2e-4)
