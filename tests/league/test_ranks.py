"""Ranks against values worked out by hand and a published table of critical values."""

from pathlib import Path

import pytest

from recmm.league.ranks import draw_ranks, rank


def test_mean_ranks_share_places_and_the_best_comes_first() -> None:
    ranks = rank(["a", "b", "c"], [[0.1, 0.2, 0.2], [0.1, 0.3, 0.2]])
    assert ranks.methods == ("b", "c", "a") and ranks.ranks == (1.25, 1.75, 3.0)
    assert ranks.n_blocks == 2 and ranks.p is not None


def test_the_critical_difference_is_that_of_the_paper() -> None:
    """Demšar's example: 4 classifiers, 14 data sets, q = 2.569, CD = 1.25."""
    values = [[0.1, 0.2, 0.3, 0.4]] * 14
    ranks = rank(["a", "b", "c", "d"], values)
    assert ranks.critical_difference == pytest.approx(2.569 * (4 * 5 / (6 * 14)) ** 0.5, abs=2e-3)
    assert ranks.cliques() == [(0, 1), (1, 2), (2, 3)]


def test_two_methods_or_one_block_have_no_critical_difference(tmp_path: Path) -> None:
    ranks = rank(["a", "_b$"], [[0.1, 0.2]])
    assert ranks.critical_difference is None and ranks.p is None and ranks.cliques() == []
    for path in draw_ranks(ranks, tmp_path):
        assert path.stat().st_size > 1000


def test_the_diagram_is_the_same_every_time(tmp_path: Path) -> None:
    ranks = rank([f"m{i}" for i in range(9)], [[i / 10 for i in range(9)]] * 3)
    first, second = (draw_ranks(ranks, tmp_path / name)[1].read_bytes() for name in ("one", "two"))
    assert first == second
