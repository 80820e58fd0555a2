"""The sparse graphs against their dense definitions."""

import numpy as np
import pytest
import torch
from scipy.linalg import expm
from scipy.sparse import csr_matrix

from recmm.data.dataset import Interactions
from recmm.missing import diffusion as diffusion_module
from recmm.missing import item_graph
from recmm.missing.diffusion import Series, diffusion, heat, page_rank
from recmm.missing.item_graph import (
    cooccurrence,
    propagate,
    row_chunks,
    scaled,
    symmetric_normalised,
    top_k,
    top_k_dense,
)


def interactions(incidence: np.ndarray) -> Interactions:
    users, items = np.nonzero(incidence)
    return Interactions(users, items, *incidence.shape)


def some_incidence(n_users: int = 60, n_items: int = 40, seed: int = 0) -> np.ndarray:
    """Popular items first, item 7 and the last one without any interaction."""
    incidence = np.random.default_rng(seed).random((n_users, n_items)) < 1.5 / (np.arange(n_items) + 4)
    incidence[:, [7, n_items - 1]] = False
    return incidence


def binary_graph(n_items: int = 40, k: int = 5, *, exclude_self: bool = True) -> csr_matrix:
    graph = cooccurrence(interactions(some_incidence(n_items=n_items)), k, exclude_self=exclude_self)
    graph.data[:] = 1
    return graph


@pytest.mark.parametrize("exclude_self", [True, False])
@pytest.mark.parametrize("k", [1, 4, 1000, None])
@pytest.mark.parametrize("chunk", [1, 200, 1 << 30])
def test_cooccurrence_is_the_top_of_the_dense_product(
    k: int | None, exclude_self: bool, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(item_graph, "CHUNK", chunk)
    incidence = some_incidence().astype(int)
    counts, degree = incidence.T @ incidence, incidence.sum(axis=0)
    found = cooccurrence(interactions(incidence), k, exclude_self=exclude_self)
    assert found.has_sorted_indices and found.dtype == np.float32
    for i in range(40):
        partners = [j for j in range(40) if counts[i, j] and not (exclude_self and i == j)]
        partners.sort(key=lambda j: (-counts[i, j], degree[j], j))
        row = found[[i]]
        assert set(row.indices) == set(partners[:k])
        assert row.data.tolist() == counts[i, row.indices].tolist()


def test_ties_go_to_the_rarer_item_and_then_to_the_lower_id() -> None:
    # item 0 shares one user with each other item; item 1 has one more user
    incidence = np.array([[1, 1, 1, 1], [0, 1, 0, 0]])
    train = interactions(incidence)
    assert cooccurrence(train, 1, exclude_self=True)[[0]].indices.tolist() == [2]
    assert cooccurrence(train, 2, exclude_self=True)[[0]].indices.tolist() == [2, 3]
    assert cooccurrence(train, 2, exclude_self=False)[[0]].indices.tolist() == [0, 2]
    assert cooccurrence(train, 1, exclude_self=False)[[1]].indices.tolist() == [1]


def test_row_chunks_cover_all_rows_within_the_limit() -> None:
    cost = np.array([3, 1, 9, 0, 2, 2, 0])
    chunks = row_chunks(cost, 4)
    assert [i for rows in chunks for i in range(rows.start, rows.stop)] == list(range(7))
    assert [int(cost[rows].sum()) for rows in chunks] == [4, 9, 4]
    assert row_chunks(np.zeros(3), 4) == [slice(0, 3)] and row_chunks(np.zeros(0), 4) == []


@pytest.mark.parametrize("k", [1, 2, 3, 5, 9])
def test_top_k_dense_is_top_k(k: int) -> None:
    values = np.random.default_rng(0).integers(0, 4, (30, 6)).astype(np.float32)
    dense, sparse = top_k_dense(values, k, above=0.0), top_k(csr_matrix(values), k, np.arange(6))
    assert (dense.toarray() == sparse.toarray()).all()
    for row, kept in zip(values, dense.toarray(), strict=True):
        expected = [j for j in np.lexsort((np.arange(6), -row)) if row[j] > 0][:k]
        assert set(np.flatnonzero(kept)) == set(expected)


def test_symmetric_normalised_by_hand() -> None:
    graph = csr_matrix(np.array([[0, 1, 1, 2], [1, 0, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]], np.float32))
    assert np.allclose(symmetric_normalised(graph).toarray(), [[0, 0.5, 0, 1], [0.5, 0, 0, 0], [0] * 4, [0.5, 0, 0, 0]])


def test_scaled_by_hand() -> None:
    matrix = csr_matrix(np.array([[1, 3], [0, 0]], np.float32))
    assert scaled(matrix, axis=1).toarray().tolist() == [[0.25, 0.75], [0, 0]]
    assert scaled(matrix, axis=0).toarray().tolist() == [[1, 1], [0, 0]]


def test_propagate_clamps_and_tells_who_is_reached() -> None:
    chain = csr_matrix(np.array([[0, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]], np.float32) / 2)
    values = np.full((4, 130), np.nan, np.float32)  # wider than one block of columns
    values[0] = np.arange(130)
    visible = np.array([True, False, False, False])
    for n_layers, reached in ((1, [1]), (2, [1, 2]), (9, [1, 2])):
        items, rows = propagate(chain, values, visible, n_layers)
        assert items.tolist() == reached
        assert (rows == values[0] / 2.0 ** np.array(reached)[:, None]).all()


def dense_pi(graph: csr_matrix, series: str, value: float) -> np.ndarray:
    """Personalised PageRank or heat kernel as printed, by dense inverse and exponential in double precision."""
    n_items = graph.shape[0]
    a = graph.toarray().astype(np.float64) + np.eye(n_items)
    scale = 1 / np.sqrt(a.sum(axis=1))
    h = scale[:, None] * a * scale
    if series == "ppr":
        return value * np.linalg.inv(np.eye(n_items) - (1 - value) * h)
    return expm(-value * (np.eye(n_items) - h))


SERIES = [("ppr", 0.1), ("ppr", 0.6), ("ppr", 1.0), ("heat", 5.0), ("heat", 0.3)]


def weights(series: str, value: float) -> Series:
    return page_rank(value) if series == "ppr" else heat(value)


@pytest.mark.parametrize("spread", [0.0, 0.3, 1.0])  # dense from the first step on, from some step on, never
@pytest.mark.parametrize("exclude_self", [True, False])
@pytest.mark.parametrize(("series", "value"), SERIES)
def test_diffusion_is_the_dense_formula(
    series: str, value: float, exclude_self: bool, spread: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diffusion_module, "SPREAD", spread)
    graph = binary_graph(n_items=150, exclude_self=exclude_self)
    pi = dense_pi(graph, series, value)
    whole = diffusion(graph, weights(series, value), k=150, tolerance=1e-6).toarray()
    assert np.abs(whole - pi).max() < 1e-4
    kept = diffusion(graph, weights(series, value), k=6, tolerance=1e-6).toarray()
    assert ((kept > 0).sum(axis=0) == np.minimum((pi > 0).sum(axis=0), 6)).all()
    # which of two equal entries is kept may differ by rounding, what they are worth may not
    assert np.abs(np.sort(kept, axis=0)[::-1][:6] - np.sort(pi, axis=0)[::-1][:6]).max() < 1e-4
    assert np.abs(np.where(kept > 0, kept - pi, 0)).max() < 1e-4


@pytest.mark.parametrize("spread", [0.0, 1.0])
@pytest.mark.parametrize("tolerance", [1e-1, 1e-2, 1e-3])
@pytest.mark.parametrize(("series", "value"), SERIES)
def test_tolerance_bounds_the_error(
    series: str, value: float, tolerance: float, spread: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diffusion_module, "SPREAD", spread)
    graph = binary_graph(n_items=150)
    found = diffusion(graph, weights(series, value), k=150, tolerance=tolerance).toarray()
    assert np.abs(found - dense_pi(graph, series, value)).max() <= tolerance + 1e-6


def test_series_weights_sum_to_one() -> None:
    for series in (page_rank(0.1), page_rank(1.0), heat(5.0), heat(0.01), heat(800.0)):
        for last in (0, 3, 12):
            assert sum(series.weight(n) for n in range(last + 1)) + series.tail(last) == pytest.approx(1)
        assert series.tail(3000) < 1e-12


def test_threads_change_no_bit() -> None:
    graph, before = binary_graph(n_items=150), torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = diffusion(graph, heat(5.0), k=6, tolerance=1e-4)
        torch.set_num_threads(2)
        two = diffusion(graph, heat(5.0), k=6, tolerance=1e-4)
    finally:
        torch.set_num_threads(before)
    assert (one.indices == two.indices).all() and one.data.tobytes() == two.data.tobytes()


@pytest.mark.parametrize("n_items", [1, 2])
def test_smallest_catalogues(n_items: int) -> None:
    lone = interactions(np.zeros((1, n_items), int))
    assert cooccurrence(lone, 3, exclude_self=True).nnz == 0
    found = diffusion(cooccurrence(lone, 3, exclude_self=True), page_rank(0.1), k=3, tolerance=1e-4)
    assert np.allclose(found.toarray(), np.eye(n_items), atol=1e-4)
