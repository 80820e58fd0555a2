"""Propagation normalised on one side, and relations to the best items, against NumPy on a small catalogue."""

import numpy as np
import pytest
import torch

from recmm.nn.modality_relations import OneSidedPropagation
from tests.models.toys import ITEMS, N_ITEMS, N_USERS, USERS, catalog

R = np.zeros((N_USERS, N_ITEMS))
R[USERS, ITEMS] = 1
P_U = R / np.sqrt(np.maximum(R.sum(1), 1))[:, None]
P_I = R.T / np.sqrt(np.maximum(R.sum(0), 1))[:, None]


def test_two_hops() -> None:
    x = torch.randn(N_ITEMS, 2, 3)
    users = P_U @ x.numpy().reshape(N_ITEMS, 6)
    expected = np.concatenate([users, P_I @ users]).reshape(-1, 2, 3)
    np.testing.assert_allclose(OneSidedPropagation(catalog()).two_hops(x).numpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("last", ["softmax", "plain"])
def test_layers_take_items_from_the_new_users(last: str) -> None:
    ego = torch.randn(N_USERS + N_ITEMS, 3)
    total, items = ego.numpy().copy(), ego.numpy()[N_USERS:]
    for layer in (1, 2):
        users = P_U @ items
        users = softmax(users) if layer == 2 and last == "softmax" else users
        items = P_I @ users
        items = softmax(items) if layer == 2 and last == "softmax" else items
        total += np.concatenate([users, items])
    graph = OneSidedPropagation(catalog())
    np.testing.assert_allclose(graph(ego, 2, last).numpy(), total / 3, rtol=1e-4, atol=1e-6)
    assert torch.equal(graph(ego, 0, "plain"), ego)


def softmax(x: np.ndarray) -> np.ndarray:
    exponentials: np.ndarray = np.exp(x)
    return exponentials / exponentials.sum(1, keepdims=True)


def test_the_best_items_outside_the_history(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    users, items = torch.randn(N_USERS, 3), torch.randn(N_ITEMS, 3)
    users[3] = 0  # scores of 0 relate nothing
    scores = np.where(R > 0, -np.inf, (users @ items.T).numpy())
    g = np.zeros_like(R)
    for user in range(3):
        g[user, np.argsort(-scores[user])[:4]] = 1
    graph = OneSidedPropagation(catalog())
    for chunk in (1024, 2):
        monkeypatch.setattr(OneSidedPropagation, "CHUNK", chunk)
        relation = graph.best(users, items, 4)
        ids, user_ids = torch.eye(N_ITEMS), torch.eye(N_USERS)
        np.testing.assert_allclose(relation.to_users(ids), g / np.maximum(g.sum(1), 1)[:, None], rtol=1e-6)
        np.testing.assert_allclose(relation.to_items(user_ids), (g / np.maximum(g.sum(0), 1)).T, rtol=1e-6)
    everything = graph.best(users, items, 99).to_users(ids).numpy()
    assert ((everything[:3] > 0) == (R[:3] == 0)).all()
