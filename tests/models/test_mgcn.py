"""MGCN against hand values and dense algebra; what receives a gradient; items that miss something."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from recmm.data.batches import Pairs
from recmm.data.catalog import Catalog
from recmm.data.dataset import MultimodalDataset
from recmm.errors import ConfigError
from recmm.missing.imputers import Imputer, Mean, Zero
from recmm.missing.settings import Rate
from recmm.missing.view import ModalityView
from recmm.missing.views import build_views
from recmm.models.mgcn import MGCN
from recmm.models.training import Training
from tests.models.toys import (
    BATCH,
    ITEMS,
    N_ITEMS,
    N_USERS,
    USERS,
    catalog,
    check_finite_step,
    check_gradients,
    check_views_apart,
    few_visible,
    randomised,
    toy_view,
)

D = 6


def make(**keywords: Any) -> MGCN:
    """Weights that no initialisation makes special."""
    torch.manual_seed(2)
    return randomised(MGCN(catalog(), **{"dim": D, "k": 4, **keywords}))


def test_losses_by_hand() -> None:
    """Three users in a chain over two items, d = 1, one modality; every gate is sigmoid(0) = 1/2.

    The cosine of the items is 0.6, so S = [[1, 0.6], [0.6, 1]] / 1.6. With one modality nothing is a modality's own:
    side = e / 2. The contents are all positive, and so are the sides: all cosines are 1.
    """
    graph = torch.tensor([0, 1, 1, 2]), torch.tensor([0, 0, 1, 1])
    toy = Catalog(3, 2, {"m": 2}, *graph, list("abc"), list("ab"))
    model = MGCN(toy, dim=1, n_layers=1, contrast=0.3, final_l2=0.5, training=Training(batch_size=8))
    with torch.no_grad():
        for p in [*model.projectors.parameters(), *model.gates.parameters()]:
            p.zero_()
        model.ego.copy_(torch.tensor([[1.0], [2.0], [3.0], [4.0], [6.0]]))
    toy_view = ModalityView({"m": torch.tensor([[1.0, 0.0], [0.6, 0.8]])}, torch.ones(2, 1, dtype=torch.bool), "hand")
    root = 2**0.5
    e0, e1 = (2 + 0.6 * 3) / 1.6, (0.6 * 2 + 3) / 1.6
    u0 = (1 + 4 / root) / 2 + e0 / root / 2
    u2 = (3 + 6 / root) / 2 + e1 / root / 2
    i0 = (4 + 1 / root + 2 / 2) / 2 + e0 / 2
    i1 = (6 + 2 / 2 + 3 / root) / 2 + e1 / 2
    terms = model.losses(Pairs(torch.tensor([0, 2]), torch.tensor([0, 1]), torch.tensor([1, 0])), toy_view)
    losses = [math.log1p(math.exp(u0 * (i1 - i0))), math.log1p(math.exp(u2 * (i0 - i1)))]
    assert terms["bpr"].item() == pytest.approx(sum(losses) / 2, rel=1e-5)
    squares = u0**2 + u2**2 + 2 * (i0**2 + i1**2)
    assert terms["final_l2"].item() == pytest.approx(0.5 * squares / 2 / 8, rel=1e-5)  # the configured batch size
    assert terms["contrast"].item() == pytest.approx(0.3 * 2 * math.log(2), rel=1e-5)


def dense_knn(x: Tensor, visible: Tensor, k: int) -> Tensor:
    unit = F.normalize(x)
    cosines = (unit @ unit.T).masked_fill(~(visible[:, None] & visible), -torch.inf)
    kept = torch.zeros_like(cosines).scatter(1, cosines.topk(k).indices, 1).bool() & (cosines > 0)
    graph = torch.where(kept, cosines, 0) + torch.diag((~visible).float())
    scale = graph.sum(1).rsqrt()
    return scale[:, None] * graph * scale


def dense_parts(model: MGCN, view: ModalityView) -> tuple[Tensor, Tensor]:
    """Contents and sides of all nodes."""
    a = torch.zeros(N_USERS + N_ITEMS, N_USERS + N_ITEMS)
    a[USERS, N_USERS + ITEMS] = a[N_USERS + ITEMS, USERS] = 1
    scale = torch.where(a.sum(1) > 0, a.sum(1).rsqrt(), 0)
    a = scale[:, None] * a * scale
    content = (model.ego + a @ model.ego + a @ a @ model.ego) / 3
    views = []
    for m, x in enumerate(view.features.values()):
        raw = x + model.raw.offsets[m] * view.mask[:, [m]] if len(model.raw.offsets) else x
        items = model.ego[N_USERS:] * model.gates[m](model.projectors[m](raw)).sigmoid()
        items = dense_knn(x, view.mask[:, m], 4) @ items
        views.append(torch.cat([a[:N_USERS, N_USERS:] @ items, items]))
    w, _, q = model.attention
    scores = torch.cat([torch.tanh(e @ w.weight.T + w.bias) @ q.weight.T for e in views], 1)
    weights = scores.softmax(1)
    common = sum((weights[:, [m]] * e for m, e in enumerate(views)), torch.zeros(()))
    side = common
    for m, e in enumerate(views):
        side = side + model.preferences[m](content).sigmoid() * (e - common)
    return content, side / (len(views) + 1)


@pytest.mark.parametrize("trainable_features", [True, False])
def test_scores_in_dense_algebra(trainable_features: bool) -> None:
    model, view = make(trainable_features=trainable_features), toy_view()
    content, side = dense_parts(model, view)
    final = content + side
    expected = final[:N_USERS] @ final[N_USERS:].T
    torch.testing.assert_close(model.score(torch.arange(N_USERS), view), expected, rtol=1e-4, atol=1e-5)
    margins = expected[BATCH.users, BATCH.positives] - expected[BATCH.users, BATCH.negatives]
    torch.testing.assert_close(model.losses(BATCH, view)["bpr"], -F.logsigmoid(margins).mean())


@pytest.mark.parametrize("unique", [True, False])
def test_the_contrast_in_textbook_form(unique: bool, info_nce: Callable[[Tensor, Tensor, float], Tensor]) -> None:
    model = make(contrast=0.7, contrast_unique=unique)
    content, side = dense_parts(model, toy_view())
    users, items = (x.unique() if unique else x for x in (BATCH.users, BATCH.positives))  # both hold one twice
    expected = info_nce(side[users], content[users], 0.2)
    expected = expected + info_nce(side[N_USERS + items], content[N_USERS + items], 0.2)
    torch.testing.assert_close(model.losses(BATCH, toy_view())["contrast"], 0.7 * expected, rtol=1e-4, atol=1e-5)
    assert "contrast" not in make(contrast=0.0).losses(BATCH, toy_view())
    assert model.in_batch_losses and not make(contrast=0.0).in_batch_losses


def test_gradients_reach_everything_but_hidden_rows() -> None:
    model, view = make(), toy_view()
    check_gradients(model, BATCH, view)
    for offset, visible in zip(model.raw.offsets, view.mask.unbind(1), strict=True):
        assert offset.grad is not None and not offset.grad[~visible].any()


def test_the_graphs_are_those_of_the_features_as_they_came() -> None:
    model, view = make(), toy_view()
    before = [graph(torch.eye(N_ITEMS)) for graph in model.prepared(view)]
    with torch.no_grad():
        for offset in model.raw.offsets:
            offset.copy_(torch.randn_like(offset))
    for graph, dense, (m, x) in zip(model.prepare(view), before, enumerate(view.features.values()), strict=True):
        assert torch.equal(graph(torch.eye(N_ITEMS)), dense)
        torch.testing.assert_close(dense, dense_knn(x, view.mask[:, m], 4))


def test_another_view_has_graphs_of_its_own() -> None:
    check_views_apart(make())


@pytest.mark.parametrize("imputer", [Zero, Mean])
@pytest.mark.parametrize("rate", [0.0, 0.5, 0.9])
def test_trains_at_every_missing_rate(tiny_dataset: MultimodalDataset, rate: float, imputer: type[Imputer]) -> None:
    view = build_views(tiny_dataset, Rate(rate=rate).draw(tiny_dataset), imputer())["train"]
    model = MGCN(tiny_dataset.catalog(), dim=8)
    check_finite_step(model, BATCH, view)
    for graph, visible in zip(model.prepared(view), view.mask.unbind(1), strict=True):
        dense = graph(torch.eye(len(visible)))
        assert torch.equal(dense[~visible], torch.eye(len(visible))[~visible])


@pytest.mark.parametrize("n_visible", [0, 1, 2])
def test_one_modality_of_which_hardly_anything_is_there(n_visible: int) -> None:
    view = few_visible(n_visible)
    model = MGCN(catalog({"visual": 5}), dim=D)
    check_finite_step(model, BATCH, view)
    assert torch.isfinite(model.score(torch.arange(N_USERS), view)).all()


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"dim": 0}, r"model\.dim must be at least 1; got 0"),
        ({"k": 0}, r"model\.k must be at least 1; got 0"),
        ({"contrast": -0.1}, r"model\.contrast must be at least 0"),
        ({"temperature": 0.0}, r"model\.temperature must be positive; got 0\.0"),
    ],
)
def test_wrong_keywords_are_refused(keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make(**keywords)


def test_a_catalogue_without_modalities_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"MGCN needs at least one modality; name some in dataset\.modalities"):
        MGCN(replace(catalog(), dims={}))
