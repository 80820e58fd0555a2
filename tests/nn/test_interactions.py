"""Products of the training matrix in blocks: which entries are kept, against dense ones."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix

from recmm.nn import interactions
from recmm.nn.interactions import as_tensor, frequent_first, largest_products


def sparse(n_rows: int, n_columns: int, seed: int) -> csr_matrix:
    rng = np.random.default_rng(seed)
    x = rng.random((n_rows, n_columns), dtype=np.float32)
    return csr_matrix(x * (rng.random(x.shape) < 0.3))


@pytest.mark.parametrize("block", [1, 40, 10**6])
@pytest.mark.parametrize("k", [1, 3, None])
def test_largest_products_of_dense_matrices(k: int | None, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interactions, "BLOCK", block)
    left, right = sparse(15, 9, 0), sparse(9, 15, 1)
    column = np.linspace(1, 2, 15, dtype=np.float32)
    dense = (left.toarray() @ right.toarray()) * column
    np.fill_diagonal(dense, 0)
    expected = np.zeros_like(dense)
    for i, row in enumerate(dense):
        kept = np.argsort(-row)[:k]
        expected[i, kept] = row[kept]
    got = largest_products(left, right, k, np.arange(15), lambda i, j, x: x * column[j])
    np.testing.assert_allclose(got.toarray(), expected, rtol=1e-5)


def test_equal_entries_are_kept_by_their_rank() -> None:
    ones = csr_matrix(np.ones((4, 1), dtype=np.float32))
    got = largest_products(ones, ones.T.tocsr(), 1, frequent_first(np.array([1, 5, 7, 5])))
    assert got.indices.tolist() == [2, 2, 1, 2]


def test_as_a_tensor_with_small_indices() -> None:
    matrix = sparse(5, 6, 2)
    got = as_tensor(matrix, torch.device("cpu"))
    assert got.crow_indices().dtype == got.col_indices().dtype == torch.int32
    assert np.array_equal(got.to_dense().numpy(), matrix.toarray())
