"""Scores from a user's training items: the rows, the order of ties, and what is stored for later."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from recmm.data.catalog import Catalog
from recmm.missing.view import ModalityView
from recmm.models.history import ItemToItem, product

CATALOG = Catalog(
    4, 5, {}, torch.tensor([0, 0, 2, 3]), torch.tensor([1, 3, 1, 4]), ["a", "b", "c", "d"], ["v", "w", "x", "y", "z"]
)
R = torch.tensor([[0, 1, 0, 1, 0], [0, 0, 0, 0, 0], [0, 1, 0, 0, 0], [0, 0, 0, 0, 1.0]])
VIEW = ModalityView({}, torch.ones(5, 0, dtype=torch.bool), "none")


class Fixed(ItemToItem):
    matrix: Any

    def weights(self, view: ModalityView) -> Tensor:
        return self.matrix


def model(matrix: Tensor) -> Fixed:
    built = Fixed(CATALOG)
    built.matrix = matrix
    return built


def test_rows_are_those_of_the_training_matrix_in_any_order() -> None:
    users = torch.tensor([3, 1, 0, 2, 0])
    assert torch.equal(model(torch.eye(5)).rows(users).to_dense(), R[users])


@pytest.mark.parametrize("sparse", [False, True])
def test_scores_are_rows_times_the_matrix(sparse: bool) -> None:
    w = torch.rand(5, 5, generator=torch.Generator().manual_seed(0))
    got = model(w.to_sparse_csr() if sparse else w).score(torch.arange(4), VIEW)
    expected = R @ w
    assert torch.allclose(got[[0, 2, 3]], expected[[0, 2, 3]], rtol=2e-6)


def test_ties_and_users_without_history_are_ordered_by_popularity() -> None:
    got = model(torch.eye(5).to_sparse_csr()).score(torch.arange(4), VIEW)
    assert got[1].tolist() == [0, 1, 0, 0.5, 0.5]  # item w has two interactions, y and z have one
    assert got[3, 4] == pytest.approx(1, abs=1e-5)
    assert 0 < got[3, 3] < got[3, 1] < 1e-5


def test_a_user_gets_the_same_scores_in_any_batch() -> None:
    built = model(torch.rand(5, 5, generator=torch.Generator().manual_seed(1)))
    whole = built.score(torch.arange(4), VIEW)
    alone = torch.cat([built.score(torch.tensor([u]), VIEW) for u in range(4)])
    assert torch.equal(whole, alone)


def test_the_matrix_is_stored_with_the_order_of_ties() -> None:
    built = model(torch.eye(5))
    stored = built.deployable(VIEW)
    assert torch.equal(stored["item_item"], torch.eye(5))
    assert stored["popularity"].tolist() == [0, 1, 0, 0.5, 0.5]


def sparse(n: int, seed: int) -> Tensor:
    x = torch.rand(n, n, generator=torch.Generator().manual_seed(seed))
    return torch.where(x < 0.05, x, 0).to_sparse_csr()


def test_a_product_of_sparse_matrices_is_that_of_dense_ones() -> None:
    a, b, c = (sparse(40, seed) for seed in range(3))
    assert torch.allclose(product(a, b, c), a.to_dense() @ b.to_dense() @ c.to_dense(), atol=1e-7)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc")
def test_products_give_their_memory_back() -> None:
    """PyTorch's own keeps 12 MB of each of these."""

    def resident_mb() -> float:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

    a, b = sparse(1500, 0), sparse(1500, 1)
    product(a, b)
    before = resident_mb()
    for _ in range(10):
        product(a, b)
    assert resident_mb() < before + 40
