"""LATTICE against hand values and dense algebra; when its graph is learnt; items that miss something."""

import math
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
from recmm.models.lattice import LATTICE
from recmm.models.training import Training
from tests.models.toys import (
    ITEMS,
    N_ITEMS,
    N_USERS,
    USERS,
    catalog,
    check_finite_step,
    check_views_apart,
    few_visible,
    randomised,
    total,
    toy_view,
)

BATCH = Pairs(torch.tensor([0, 1, 2]), torch.tensor([0, 2, 3]), torch.tensor([5, 0, 1]))


def make(**keywords: Any) -> LATTICE:
    """Weights that no initialisation makes special."""
    torch.manual_seed(2)
    return randomised(LATTICE(catalog(), **{"dim": 6, "k": 4, **keywords}))


def test_losses_by_hand() -> None:
    """Three users and three items without a user-item graph (n_layers = 0); k = 2, one modality, W the identity.

    Cosines: 0 and 1 0.6, 1 and 2 0.8, 0 and 2 none. So 0 has neighbour 1, 1 has 2 and 2 has 1, and the row sums are
    1.6, 1.8 and 1.8.
    """
    ids = list("abc")
    toy = Catalog(3, 3, {"m": 2}, torch.tensor([0, 1, 2]), torch.tensor([0, 1, 2]), ids, ids)
    training = Training(batch_size=4)
    model = LATTICE(toy, dim=2, n_layers=0, k=2, final_l2=0.5, trainable_features=False, training=training)
    users, items = (
        torch.tensor([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]]),
        torch.tensor([[1.0, 2.0], [3.0, 0.0], [0.0, 1.0]]),
    )
    with torch.no_grad():
        model.ego.copy_(torch.cat([users, items]))
        model.projectors[0].weight.copy_(torch.eye(2))
        model.projectors[0].bias.zero_()
    x = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 2.0]])
    toy_view = ModalityView({"m": x}, torch.ones(3, 1, dtype=torch.bool), "hand")
    a, b = 1 / 1.6, 0.6 / (1.6 * 1.8) ** 0.5  # raw and learnt graph are the same
    h0 = (a * 1 + b * 3, a * 2)
    h1 = (3 / 1.8, 0.8 / 1.8)
    i0 = [v + w / math.hypot(*h0) for v, w in zip((1, 2), h0, strict=True)]
    i1 = [v + w / math.hypot(*h1) for v, w in zip((3, 0), h1, strict=True)]
    terms = model.losses(Pairs(torch.tensor([1]), torch.tensor([0]), torch.tensor([1])), toy_view)
    assert terms["bpr"].item() == pytest.approx(math.log1p(math.exp(2 * i1[1] - 2 * i0[1])), rel=1e-5)
    squares = 4 + i0[0] ** 2 + i0[1] ** 2 + i1[0] ** 2 + i1[1] ** 2
    assert terms["final_l2"].item() == pytest.approx(0.5 * squares / 2 / 4, rel=1e-5)  # the configured batch size


def dense_knn(x: Tensor, visible: Tensor, k: int) -> Tensor:
    unit = F.normalize(x)
    cosines = (unit @ unit.T).masked_fill(~(visible[:, None] & visible), -torch.inf)
    kept = torch.zeros_like(cosines).scatter(1, cosines.topk(k).indices, 1).bool() & (cosines > 0)
    return torch.where(kept, cosines, 0) + torch.diag((~visible).float())


def dense_normalised(a: Tensor) -> Tensor:
    scale = a.sum(1).rsqrt()
    return scale[:, None] * a * scale


@pytest.mark.parametrize("trainable_features", [True, False])
@pytest.mark.parametrize("normalise", ["sum", "each"])
@pytest.mark.parametrize("adjacency", ["mean_self", "symmetric"])
def test_scores_in_dense_algebra(normalise: str, adjacency: str, trainable_features: bool) -> None:
    model = make(
        normalise=normalise, adjacency=adjacency, trainable_features=trainable_features, skip=0.4, n_item_layers=2
    )
    view, alpha = toy_view(), model.modality_weights.softmax(0)
    initial, learnt = torch.zeros(2, N_ITEMS, N_ITEMS)
    for m, x in enumerate(view.features.values()):
        visible = view.mask[:, m]
        initial = initial + alpha[m] * dense_normalised(dense_knn(x, visible, 4))
        raw = x + model.raw.offsets[m] * visible[:, None] if trainable_features else x
        graph = dense_knn(model.projectors[m](raw), visible, 4)
        learnt = learnt + alpha[m] * (dense_normalised(graph) if normalise == "each" else graph)
    s = 0.4 * initial + 0.6 * (dense_normalised(learnt) if normalise == "sum" else learnt)

    a = torch.zeros(N_USERS + N_ITEMS, N_USERS + N_ITEMS)
    a[USERS, N_USERS + ITEMS] = a[N_USERS + ITEMS, USERS] = 1
    if adjacency == "mean_self":
        a = a + torch.eye(len(a))
        a = a / a.sum(1, keepdim=True)
    else:
        scale = torch.where(a.sum(1) > 0, a.sum(1).rsqrt(), 0)
        a = scale[:, None] * a * scale
    nodes = (model.ego + a @ model.ego + a @ a @ model.ego) / 3
    items = nodes[N_USERS:] + F.normalize(s @ s @ model.ego[N_USERS:])
    expected = nodes[:N_USERS] @ items.T
    torch.testing.assert_close(model.score(torch.arange(N_USERS), view), expected, rtol=1e-4, atol=1e-5)
    margins = expected[BATCH.users, BATCH.positives] - expected[BATCH.users, BATCH.negatives]
    torch.testing.assert_close(model.losses(BATCH, view)["bpr"], -F.logsigmoid(margins).mean())


def gradients(model: LATTICE, view: ModalityView) -> dict[str, Tensor | None]:
    model.zero_grad()
    total(model.losses(BATCH, view)).backward()
    return {name: p.grad for name, p in model.named_parameters()}


def test_the_graph_is_learnt_in_the_first_batch_of_an_epoch_alone() -> None:
    model, view = make(), toy_view()
    for epoch in range(2):
        model.start_epoch(epoch, view)
        first = gradients(model, view)
        assert all(grad is not None and grad.isfinite().all() and grad.any() for grad in first.values())
        second = gradients(model, view)
        assert [name for name, grad in second.items() if grad is not None] == ["ego"]
        torch.testing.assert_close(second["ego"], first["ego"])


def test_the_graph_stays_for_the_epoch_and_is_rebuilt_at_the_next_and_for_an_evaluation() -> None:
    model, view = make(), toy_view()
    model.start_epoch(0, view)
    before = model.losses(BATCH, view)["bpr"]
    with torch.no_grad():
        for projector in model.projectors:
            projector.weight.copy_(torch.randn_like(projector.weight))
    torch.testing.assert_close(model.losses(BATCH, view)["bpr"], before)
    scores = model.score(torch.arange(N_USERS), view)
    assert not torch.allclose(-F.logsigmoid(_margins(scores)).mean(), before, atol=1e-4)
    model.start_epoch(1, view)
    torch.testing.assert_close(model.losses(BATCH, view)["bpr"], -F.logsigmoid(_margins(scores)).mean())


def _margins(scores: Tensor) -> Tensor:
    return scores[BATCH.users, BATCH.positives] - scores[BATCH.users, BATCH.negatives]


def test_hidden_rows_learn_nothing_and_have_no_neighbours() -> None:
    model, view = make(), toy_view()
    gradients(model, view)
    for offset, visible in zip(model.raw.offsets, view.mask.unbind(1), strict=True):
        assert offset.grad is not None and not offset.grad[~visible].any() and offset.grad[visible].any()
    graph = model.item_graph(view)
    alone = (graph.rows == 5) | (graph.columns == 5)
    assert alone.sum() == 1
    torch.testing.assert_close(graph.values[alone], torch.ones(1))


def test_another_view_has_a_graph_of_its_own() -> None:
    check_views_apart(make())


@pytest.mark.parametrize("imputer", [Zero, Mean])
@pytest.mark.parametrize("rate", [0.0, 0.5, 0.9])
def test_trains_at_every_missing_rate(tiny_dataset: MultimodalDataset, rate: float, imputer: type[Imputer]) -> None:
    view = build_views(tiny_dataset, Rate(rate=rate).draw(tiny_dataset), imputer())["train"]
    model = LATTICE(tiny_dataset.catalog(), dim=8)
    check_finite_step(model, BATCH, view)
    for raw in model.prepared(view).graphs:  # no item that many others have for a neighbour
        assert torch.bincount(raw.columns).max() <= view.mask.sum(0).max() and raw.values.isfinite().all()


@pytest.mark.parametrize("n_visible", [0, 1, 2])
def test_one_modality_of_which_hardly_anything_is_there(n_visible: int) -> None:
    view = few_visible(n_visible)
    model = LATTICE(catalog({"visual": 5}), dim=6)
    values = gradients(model, view)
    assert values["ego"] is not None and all(grad is None or grad.isfinite().all() for grad in values.values())
    assert torch.isfinite(model.score(torch.arange(N_USERS), view)).all()


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"normalise": "never"}, r"model\.normalise must be one of sum, each; got 'never'"),
        ({"adjacency": "random"}, r"model\.adjacency must be one of mean_self, symmetric"),
        ({"k": 1}, r"model\.k must be at least 2; got 1"),
        ({"n_item_layers": 0}, r"model\.n_item_layers must be at least 1"),
        ({"skip": 1.0}, r"model\.skip must be in \[0, 1\); got 1\.0"),
        ({"final_l2": -1.0}, r"model\.final_l2 must be at least 0"),
    ],
)
def test_wrong_keywords_are_refused(keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make(**keywords)


def test_a_catalogue_without_modalities_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"LATTICE needs at least one modality; name some in dataset\.modalities"):
        LATTICE(replace(catalog(), dims={}))
