"""LightGCL against its losses written out in NumPy, and its limits."""

from typing import Any, Literal

import numpy as np
import pytest
import torch

from recmm.models.lightgcl import LightGCL
from recmm.models.lightgcn import LightGCN
from tests.models.toys import (
    BATCH,
    N_USERS,
    catalog,
    check_gradients,
    numpy_adjacency,
    numpy_bpr,
    numpy_info_nce,
    randomised,
    toy_view,
)


def make(deviation: float = 0.5, **values: Any) -> LightGCL:
    torch.manual_seed(2)
    return randomised(LightGCL(catalog(), **{"dim": 5, "rank": 2, "lambda1": 0.7} | values), deviation)


def low_rank(n_columns: int) -> np.ndarray:
    """A with the ``n_columns`` largest singular values of its block between users and items."""
    a = numpy_adjacency()
    u, s, v = np.linalg.svd(a[:N_USERS, N_USERS:], full_matrices=False)
    block = (u[:, :n_columns] * s[:n_columns]) @ v[:n_columns]
    result = np.zeros_like(a)
    result[:N_USERS, N_USERS:], result[N_USERS:, :N_USERS] = block, block.T
    return result


@pytest.mark.parametrize("similarity", ["dot", "cosine"])
@pytest.mark.parametrize(("n_layers", "deviation"), [(1, 0.5), (2, 0.5), (2, 2.0)])  # 2: beyond the bound of 5
def test_losses_written_out(similarity: Literal["dot", "cosine"], n_layers: int, deviation: float) -> None:
    model = make(deviation, similarity=similarity, n_layers=n_layers)
    a, ego = numpy_adjacency(), model.ego.detach().double().numpy()
    layers = [np.linalg.matrix_power(a, n) @ ego for n in range(n_layers + 1)]
    own, other = sum(layers), ego + low_rank(2) @ sum(layers[:-1])
    contrast = 0.0
    for kind, ids in ((slice(N_USERS), BATCH.users.numpy()), (slice(N_USERS, None), BATCH.positives.numpy())):
        if similarity == "cosine":
            contrast += numpy_info_nce(other[kind][ids], own[kind], ids, 0.2)
        else:
            logits = other[kind][ids] @ own[kind].T / 0.2
            positives = np.clip(logits[np.arange(len(ids)), ids], -5, 5)
            contrast += (np.logaddexp.reduce(logits, axis=1) - positives).mean()
    expected = {"bpr": numpy_bpr(own), "contrast": 0.7 * contrast}
    terms = model.losses(BATCH, toy_view())
    assert {name: x.item() for name, x in terms.items()} == pytest.approx(expected, rel=1e-4)


def test_with_all_singular_values_both_views_are_the_same() -> None:
    model = make(rank=N_USERS, n_layers=2)
    nodes, below = model.sums()
    assert torch.allclose(model.ego + model.reconstructed(below), nodes, atol=1e-5)


def test_without_contrast_it_ranks_like_light_gcn() -> None:
    torch.manual_seed(2)
    base = randomised(LightGCN(catalog(), dim=5, n_layers=2))
    model = make(lambda1=0.0, n_layers=2)
    assert list(model.losses(BATCH, toy_view())) == ["bpr"]
    users = torch.arange(N_USERS)
    assert torch.allclose(model.score(users, toy_view()), 9 * base.score(users, toy_view()), rtol=1e-5)


def test_dropout_is_of_training_alone() -> None:
    model, users = make(dropout=0.5), torch.arange(N_USERS)
    assert torch.equal(model.score(users, toy_view()), make().score(users, toy_view()))
    assert not torch.equal(*(model.losses(BATCH, toy_view())["bpr"] for _ in range(2)))


@pytest.mark.parametrize("similarity", ["dot", "cosine"])
def test_every_parameter_has_a_gradient(similarity: Literal["dot", "cosine"]) -> None:
    check_gradients(make(similarity=similarity), BATCH, toy_view())
