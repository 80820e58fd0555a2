"""The leading spectrum against NumPy's full decomposition, with several components and without."""

import numpy as np
import pytest
import torch
from torch import Tensor

from recmm.graph import Graph, leading_spectrum


def normalised(pairs: list[tuple[int, int]], shape: tuple[int, int]) -> tuple[Graph, np.ndarray]:
    """D_U^-1/2 R D_V^-1/2 as a graph and in dense form."""
    matrix = np.zeros(shape)
    matrix[tuple(np.array(pairs).T)] = 1
    matrix /= np.sqrt(np.maximum(matrix.sum(1, keepdims=True), 1) * np.maximum(matrix.sum(0), 1))
    rows, columns = matrix.nonzero()
    values = torch.from_numpy(matrix[rows, columns]).float()
    return Graph(torch.from_numpy(rows), torch.from_numpy(columns), shape, values), matrix


def random_pairs(n_users: int, n_items: int, first: tuple[int, int] = (0, 0)) -> list[tuple[int, int]]:
    rng = np.random.default_rng(n_users)
    return [(first[0] + u, first[1] + i) for u in range(n_users) for i in rng.permutation(n_items)[: 1 + u % 4]]


PAIRS = [*random_pairs(30, 17), (30, 17), (31, 18), *random_pairs(9, 8, first=(33, 20))]  # user 32, item 19 have none
SHAPE = (42, 28)


@pytest.mark.parametrize(("rank", "n_columns"), [(1, 4), (5, 8), (12, 15)])
def test_all_components_and_the_largest_values_beside_them(rank: int, n_columns: int) -> None:
    graph, matrix = normalised(PAIRS, SHAPE)
    found = leading_spectrum(graph, rank)
    u, s, v = np.linalg.svd(matrix, full_matrices=False)
    assert (s > 1 - 1e-9).sum() == 4 and found.values.shape == (n_columns,)
    assert found.values.numpy() == pytest.approx(s[:n_columns], abs=1e-6)
    for ours, theirs in ((found.left, u), (found.right, v.T)):
        exact = theirs[:, :n_columns] @ theirs[:, :n_columns].T
        assert (ours @ ours.T).numpy() == pytest.approx(exact, abs=1e-5)  # the same space, whatever the signs
    rebuilt = (found.left * found.values) @ found.right.T
    assert rebuilt.numpy() == pytest.approx((u[:, :n_columns] * s[:n_columns]) @ v[:n_columns], abs=1e-5)


@pytest.mark.parametrize("rank", [28, 300])
def test_the_whole_spectrum_rebuilds_the_matrix(rank: int) -> None:
    graph, matrix = normalised(PAIRS, SHAPE)
    found = leading_spectrum(graph, rank)
    assert ((found.left * found.values) @ found.right.T).numpy() == pytest.approx(matrix, abs=1e-5)
    assert len(found.values) == np.linalg.matrix_rank(matrix)


def test_a_second_call_gives_the_same_bits() -> None:
    graph, _ = normalised(PAIRS, SHAPE)
    assert all(map(torch.equal, leading_spectrum(graph, 6), leading_spectrum(graph, 6)))


def test_fewer_values_above_zero_than_asked_for() -> None:
    graph, _ = normalised([(u, i) for u in range(8) for i in range(2 + 4 * (u > 3), 6 + 4 * (u > 3))], (8, 10))
    found: Tensor = leading_spectrum(graph, 5).values
    assert found.tolist() == pytest.approx([1, 1])  # two complete blocks, each of rank 1
