"""HCCF against its losses written out in NumPy; where its gradients go; its limits."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from recmm.errors import ConfigError
from recmm.missing.view import ModalityView
from recmm.models.hccf import HCCF
from recmm.models.lightgcn import LightGCN
from tests.models.toys import (
    BATCH,
    ITEMS,
    N_ITEMS,
    N_USERS,
    USERS,
    catalog,
    randomised,
    total,
    toy_view,
)


def make(**keywords: Any) -> HCCF:
    torch.manual_seed(2)
    return randomised(HCCF(catalog(), **{"dim": 5, "n_hyperedges": 3, "contrast": 0.7, "all_l2": 0.1, **keywords}))


def adjacency() -> np.ndarray:
    a = np.zeros((N_USERS + N_ITEMS, N_USERS + N_ITEMS))
    a[USERS, N_USERS + ITEMS] = a[N_USERS + ITEMS, USERS] = 1
    degrees = np.maximum(a.sum(1), 1)
    return a / np.sqrt(degrees[:, None] * degrees)


def numpy_layers(model: HCCF) -> tuple[np.ndarray, list[tuple[np.ndarray, np.ndarray]]]:
    """The final embeddings, and G_l and Y_l; here the matrices of nodes by nodes are made."""
    e0 = model.ego.detach().double().numpy()
    h = [x @ w for x, w in zip(np.split(e0, [N_USERS]), model.hyper.detach().double().numpy(), strict=True)]
    e, final, pairs = e0, e0, []
    for _ in range(model.settings.n_layers):
        users, items = np.split(e, [N_USERS])
        pairs.append((adjacency() @ e, np.concatenate([(h[0] @ h[0].T) @ users, (h[1] @ h[1].T) @ items])))
        e = sum(pairs[-1])
        final = final + e
    return final, pairs


def info_nce(anchors: np.ndarray, others: np.ndarray, temperature: float) -> float:
    a, b = (x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12) for x in (anchors, others))
    exponentials = np.exp(a @ b.T / temperature)
    return float(-np.log(exponentials.diagonal() / exponentials.sum(1)).mean())


@pytest.mark.parametrize("n_layers", [1, 2, 3])
def test_losses_and_scores_written_out(n_layers: int) -> None:
    model = make(n_layers=n_layers, temperature=0.3)
    final, pairs = numpy_layers(model)
    users, items, negatives = (x.numpy() for x in BATCH[:3])
    margins = (final[users] * (final[N_USERS + items] - final[N_USERS + negatives])).sum(1)
    contrast = sum(
        info_nce(g[nodes], y[nodes], 0.3) for g, y in pairs for nodes in (np.unique(users), N_USERS + np.unique(items))
    )
    expected = {
        "bpr": np.logaddexp(0, -margins).mean(),
        "contrast": 0.7 * contrast,
        "all_l2": 0.1 * sum((p.detach().double().numpy() ** 2).sum() for p in model.parameters()),
    }
    terms = model.losses(BATCH, toy_view())
    assert {name: x.item() for name, x in terms.items()} == pytest.approx(expected, rel=1e-4)
    scores = torch.from_numpy(final[:N_USERS] @ final[N_USERS:].T).float()
    torch.testing.assert_close(model.score(torch.arange(N_USERS), toy_view()), scores, rtol=1e-4, atol=1e-4)


def test_the_layers_of_the_graph_are_targets_without_gradient() -> None:
    """The contrast's gradient is the same where G_1 is a constant to begin with."""
    model = make(n_layers=1, all_l2=0.0)
    (expected,) = torch.autograd.grad(model.losses(BATCH, toy_view())["contrast"], model.ego)
    _, ((g, y),) = model.layers()
    (ours,) = torch.autograd.grad(0.7 * model.contrasted(g.detach(), y, BATCH), model.ego)
    torch.testing.assert_close(ours, expected)


def test_gradients_reach_all_weights() -> None:
    for keywords in ({}, {"contrast": 0.0, "all_l2": 0.0}):
        model = make(**keywords)
        terms = model.losses(BATCH, toy_view())
        total(terms).backward()
        assert model.in_batch_losses == ("contrast" in terms) == (not keywords)
        assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in model.parameters())


def test_without_hyperedges_it_is_a_sum_of_light_gcns_layers() -> None:
    model = make(contrast=0.0)
    base = LightGCN(catalog(), dim=5, n_layers=2)
    with torch.no_grad():
        model.hyper.zero_()
        base.ego.copy_(model.ego)
    for ours, theirs in zip(model.represent(toy_view()), base.represent(toy_view()), strict=True):
        torch.testing.assert_close(ours, 3 * theirs)


def test_without_layers_it_is_matrix_factorisation() -> None:
    model = make(n_layers=0)
    assert torch.equal(torch.cat(model.represent(toy_view())), model.ego)
    assert [name for name, _ in model.named_parameters()] == ["ego"]
    assert set(model.losses(BATCH, toy_view())) == {"bpr", "all_l2"}


def test_dropout_acts_on_both_parts_in_training_alone() -> None:
    model, users = make(dropout=0.5), torch.arange(N_USERS)
    torch.manual_seed(0)
    (first, second), (again, _) = model.layers()[1], model.layers()[1]
    _, pairs = numpy_layers(model)
    assert not torch.allclose(first[0], again[0]) and not torch.allclose(first[1], again[1])
    kept = np.linalg.norm(first[0].detach().numpy(), axis=1) > 0
    assert 0 < kept.sum() < (np.linalg.norm(pairs[0][0], axis=1) > 0).sum() and len(second) == 2
    model.eval()
    torch.testing.assert_close(model.score(users, toy_view()), make().score(users, toy_view()))


def test_a_view_changes_no_bit() -> None:
    other = ModalityView({"m": torch.randn(N_ITEMS, 2)}, torch.rand(N_ITEMS, 1) > 0.5, "other")
    terms: list[dict[str, Tensor]] = [make().losses(BATCH, view) for view in (toy_view(), other)]
    assert terms[0] == terms[1]


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"n_hyperedges": 0}, r"model\.n_hyperedges must be at least 1; got 0"),
        ({"dropout": 1.0}, r"model\.dropout must be in \[0, 1\); got 1\.0"),
        ({"temperature": 0.0}, r"model\.temperature must be positive; got 0\.0"),
    ],
)
def test_wrong_keywords_are_refused(keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make(**keywords)
