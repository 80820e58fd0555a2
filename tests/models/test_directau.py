"""DirectAU against its losses written out in NumPy, and its limits."""

from typing import Any

import numpy as np
import pytest
import torch

from recmm.data.batches import Pairs
from recmm.models.directau import DirectAU
from tests.models.toys import BATCH, N_USERS, catalog, check_finite_step, numpy_adjacency, randomised, toy_view

NONE = torch.empty(0, dtype=torch.int64)


def make(**values: Any) -> DirectAU:
    torch.manual_seed(2)
    return randomised(DirectAU(catalog(), **{"dim": 5, "gamma": 0.7} | values))


def unit_nodes(model: DirectAU, n_layers: int) -> np.ndarray:
    a, ego = numpy_adjacency(), model.ego.detach().double().numpy()
    nodes = sum(np.linalg.matrix_power(a, n) @ ego for n in range(n_layers + 1))
    return np.asarray(nodes / np.linalg.norm(nodes, axis=1, keepdims=True))


@pytest.mark.parametrize(("n_layers", "unique"), [(0, True), (2, True), (2, False)])
def test_losses_written_out(n_layers: int, unique: bool) -> None:
    model = make(n_layers=n_layers, unique=unique)
    x = unit_nodes(model, n_layers)
    kinds = BATCH.users.numpy(), N_USERS + BATCH.positives.numpy()
    expected = {"alignment": ((x[kinds[0]] - x[kinds[1]]) ** 2).sum(1).mean(), "uniformity": 0.0}
    for ids in kinds:
        rows = x[np.unique(ids) if unique else ids]
        pairs = [np.exp(-2 * ((rows[i] - rows[j]) ** 2).sum()) for i in range(len(rows)) for j in range(i)]
        expected["uniformity"] += 0.7 * np.log(np.mean(pairs)) / 2
    terms = model.losses(BATCH._replace(negatives=NONE), toy_view())
    assert {name: value.item() for name, value in terms.items()} == pytest.approx(expected, rel=1e-4)


def test_scores_are_inner_products_or_cosines() -> None:
    users = torch.arange(N_USERS)
    cosines = make(scoring="cosine").score(users, toy_view()).detach()
    x = unit_nodes(make(), 2)
    assert cosines.numpy() == pytest.approx(x[:N_USERS] @ x[N_USERS:].T, abs=1e-5)
    assert not torch.allclose(make().score(users, toy_view()), cosines)


def test_the_length_of_embeddings_does_not_matter_to_the_loss() -> None:
    model, batch = make(), BATCH._replace(negatives=NONE)
    before = model.losses(batch, toy_view())
    with torch.no_grad():
        model.ego.mul_(3)
    assert all(torch.allclose(x, before[name]) for name, x in model.losses(batch, toy_view()).items())


def test_a_batch_of_one_pair_has_no_uniformity() -> None:
    model = make()
    check_finite_step(model, Pairs(torch.tensor([1]), torch.tensor([2]), NONE), toy_view())
    assert list(make(gamma=0.0).losses(BATCH, toy_view())) == ["alignment"]
