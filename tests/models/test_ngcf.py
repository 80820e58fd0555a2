"""NGCF against hand values and its layers written out; what its parts are without each other."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from recmm.data.batches import Pairs
from recmm.data.catalog import Catalog
from recmm.errors import ConfigError
from recmm.missing.view import ModalityView
from recmm.models.ngcf import NGCF
from recmm.models.training import Training
from tests.models.toys import (
    BATCH,
    ITEMS,
    N_ITEMS,
    N_USERS,
    USERS,
    catalog,
    check_gradients,
    randomised,
    toy_view,
)


def make(**keywords: Any) -> NGCF:
    torch.manual_seed(2)
    return randomised(NGCF(catalog(), **{"dim": 5, "final_l2": 0.1, "training": Training(batch_size=8), **keywords}))


def test_losses_by_hand() -> None:
    """One user with one item, beside an item of no one; d = 1, one layer, W1 = 2, W2 = -1. A row's sign is its unit.

    Users [1], items [3] and [-2]: A E = [3], [1], [0]. E_1 of the user: leaky(2 (3 + 1) - 3) = 5, of the first item
    leaky(2 (1 + 3) - 3) = 5, of the second leaky(2 (0 - 2) - 0) = -.8.
    """
    toy = Catalog(1, 2, {}, torch.tensor([0]), torch.tensor([0]), ["a"], ["a", "b"])
    model = NGCF(toy, dim=1, n_layers=1, dropout=0.0, final_l2=0.5, training=Training(batch_size=4))
    with torch.no_grad():
        model.ego.copy_(torch.tensor([[1.0], [3.0], [-2.0]]))
        model.sums[0].weight.fill_(2.0)
        model.products[0].weight.fill_(-1.0)
    view = ModalityView({}, torch.ones(2, 0, dtype=torch.bool), "none")
    terms = model.losses(Pairs(torch.tensor([0]), torch.tensor([0]), torch.tensor([1])), view)
    margin = (1 * 3 + 1 * 1) - (1 * -2 + 1 * -1)
    assert terms["bpr"].item() == pytest.approx(math.log1p(math.exp(-margin)))
    assert terms["final_l2"].item() == pytest.approx(0.5 * (1 + 9 + 4 + 3) / 2 / 4)  # the configured batch size


def numpy_final(model: NGCF) -> np.ndarray:
    def leaky(x: np.ndarray) -> np.ndarray:
        return np.where(x > 0, x, 0.2 * x)

    a = np.zeros((N_USERS + N_ITEMS, N_USERS + N_ITEMS))
    a[USERS, N_USERS + ITEMS] = a[N_USERS + ITEMS, USERS] = 1
    degrees = np.maximum(a.sum(1), 1)
    of_paper = model.settings.layer == "paper"
    a = a / np.sqrt(degrees[:, None] * degrees) if of_paper else (a + np.eye(len(a))) / (a.sum(1, keepdims=True) + 1)
    e = model.ego.detach().double().numpy()
    blocks = [e]
    for of_sum, of_product in zip(model.sums, model.products, strict=True):
        w1, w2 = (one.weight.detach().double().numpy().T for one in (of_sum, of_product))
        s = a @ e
        if of_paper:
            e = leaky((s + e) @ w1 + (s * e) @ w2)
        else:
            b1, b2 = (one.bias.detach().double().numpy() for one in (of_sum, of_product))
            e = leaky(s @ w1 + b1) + leaky((s * e) @ w2 + b2)
        blocks.append(e / np.linalg.norm(e, axis=1, keepdims=True))
    return np.concatenate(blocks, 1)


@pytest.mark.parametrize("layer", ["paper", "code"])
@pytest.mark.parametrize("n_layers", [1, 3])
def test_scores_and_losses_written_out(layer: Any, n_layers: int) -> None:
    model = make(layer=layer, n_layers=n_layers, dropout=0.0)
    final = torch.from_numpy(numpy_final(model)).float()
    scores = final[:N_USERS] @ final[N_USERS:].T
    torch.testing.assert_close(model.score(torch.arange(N_USERS), toy_view()), scores, rtol=1e-4, atol=1e-5)
    terms = model.losses(BATCH, toy_view())
    margins = scores[BATCH.users, BATCH.positives] - scores[BATCH.users, BATCH.negatives]
    torch.testing.assert_close(terms["bpr"], (1 + (-margins).exp()).log().mean())
    rows = final[torch.cat([BATCH.users, N_USERS + BATCH.positives, N_USERS + BATCH.negatives])]
    torch.testing.assert_close(terms["final_l2"], 0.1 * rows.square().sum() / 2 / 8)


def test_without_weights_its_layers_are_powers_of_the_graph() -> None:
    """W1 = I and W2 = 0: where all entries are positive, no activation is felt and E_l = (A + I)^l E_0."""
    model = make(dropout=0.0)
    with torch.no_grad():
        model.ego.abs_()
        for of_sum, of_product in zip(model.sums, model.products, strict=True):
            torch.nn.init.eye_(of_sum.weight)
            of_product.weight.zero_()
    step = model.adjacency(torch.eye(N_USERS + N_ITEMS)) + torch.eye(N_USERS + N_ITEMS)
    blocks: list[Tensor] = [model.ego]
    for _ in range(3):
        blocks.append(step @ blocks[-1])
    expected = torch.cat([blocks[0], *(x / x.norm(dim=1, keepdim=True) for x in blocks[1:])], 1)
    torch.testing.assert_close(torch.cat(model.represent(toy_view())), expected)


def test_without_layers_it_is_matrix_factorisation() -> None:
    model = make(n_layers=0)
    assert torch.equal(torch.cat(model.represent(toy_view())), model.ego)
    assert [name for name, _ in model.named_parameters()] == ["ego"]


def test_dropout_acts_in_training_alone() -> None:
    model, users = make(dropout=0.5), torch.arange(N_USERS)
    assert model.losses(BATCH, toy_view())["bpr"] != model.losses(BATCH, toy_view())["bpr"]
    model.eval()
    assert torch.equal(model.score(users, toy_view()), model.score(users, toy_view()))
    torch.testing.assert_close(model.score(users, toy_view()), make(dropout=0.0).score(users, toy_view()))


@pytest.mark.parametrize("layer", ["paper", "code"])
def test_gradients_reach_all_weights(layer: Any) -> None:
    model = make(layer=layer)
    check_gradients(model, BATCH, toy_view())


def test_a_view_changes_no_bit() -> None:
    other = ModalityView({"m": torch.randn(N_ITEMS, 2)}, torch.rand(N_ITEMS, 1) > 0.5, "other")
    results = []
    for view in (toy_view(), other):
        model = make()
        torch.manual_seed(0)
        results.append(model.losses(BATCH, view))
    assert results[0] == results[1]


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"layer": "both"}, r"model\.layer must be one of paper, code; got 'both'"),
        ({"dropout": 1.0}, r"model\.dropout must be in \[0, 1\); got 1\.0"),
    ],
)
def test_wrong_keywords_are_refused(keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make(**keywords)
