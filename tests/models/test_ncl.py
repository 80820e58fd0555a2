"""NCL against its losses written out in NumPy; when clusters are found; its limits."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from recmm.errors import ConfigError
from recmm.missing.view import ModalityView
from recmm.models.lightgcn import LightGCN
from recmm.models.ncl import NCL
from recmm.seeding import seed_torch
from tests.models.toys import (
    BATCH,
    N_ITEMS,
    N_USERS,
    catalog,
    numpy_adjacency,
    numpy_info_nce,
    randomised,
    total,
    toy_view,
)

VALUES = {"dim": 5, "structure": 0.7, "alpha": 1.5, "prototype": 0.3, "n_clusters": 3, "warm_up": 2, "ego_l2": 0.1}


def make(**keywords: Any) -> NCL:
    torch.manual_seed(2)
    return randomised(NCL(catalog(), **VALUES | keywords))


def start(model: NCL, epoch: int) -> NCL:
    seed_torch(0, epoch, "method")
    model.start_epoch(epoch, toy_view())
    return model


def numpy_layers(model: NCL, n: int) -> list[np.ndarray]:
    """E^0 to E^n."""
    a = numpy_adjacency()
    layers = [model.ego.detach().double().numpy()]
    for _ in range(n):
        layers.append(a @ layers[-1])
    return layers


@pytest.mark.parametrize(("n_layers", "hops"), [(3, 1), (2, 1), (1, 1), (3, 2), (0, 1)])
def test_losses_written_out(n_layers: int, hops: int) -> None:
    model = start(make(n_layers=n_layers, hops=hops), epoch=2)
    layers = numpy_layers(model, max(n_layers, 2 * hops))
    final, ego, context = np.mean(layers[: n_layers + 1], 0), layers[0], layers[2 * hops]
    users, items, negatives = (x.numpy() for x in BATCH[:3])
    margins = (final[users] * (final[N_USERS + items] - final[N_USERS + negatives])).sum(1)
    of_users = numpy_info_nce(context[users], ego[:N_USERS], users, 0.1)
    of_items = numpy_info_nce(context[N_USERS + items], ego[N_USERS:], items, 0.1)
    expected = {"bpr": np.log1p(np.exp(-margins)).mean(), "structure": 0.7 * (of_users + 1.5 * of_items)}
    squares = (ego[np.concatenate([users, N_USERS + items, N_USERS + negatives])] ** 2).sum()
    expected["ego_l2"] = 0.1 * squares / 2 / 4
    expected["prototype"] = 0.0
    for nodes, own, (centres, _) in zip((users, items), (ego[:N_USERS], ego[N_USERS:]), model._clusters, strict=True):
        c = centres.double().numpy()
        nearest = ((own[:, None] - c) ** 2).sum(2).argmin(1)
        expected["prototype"] += 0.3 * numpy_info_nce(own[nodes], c, nearest[nodes], 0.1)
    terms = model.losses(BATCH, toy_view())
    assert {name: x.item() for name, x in terms.items()} == pytest.approx(expected, rel=1e-4)


def test_clusters_are_found_at_every_epochs_start_after_the_warm_up() -> None:
    model = make()
    for epoch in (0, 1):
        assert not start(model, epoch)._clusters
        assert model.losses(BATCH, toy_view())["prototype"] == 0
    first = start(model, 2)._clusters
    assert [(len(centres), len(nearest)) for centres, nearest in first] == [(3, N_USERS), (3, N_ITEMS)]
    assert all(torch.equal(a[0], b[0]) for a, b in zip(first, start(model, 2)._clusters, strict=True))
    with torch.no_grad():
        model.ego.mul_(2)
    assert not torch.equal(first[1][0], start(model, 2)._clusters[1][0])
    assert not start(make(prototype=0.0), 5)._clusters
    assert [len(centres) for centres, _ in start(make(n_clusters=500), 2)._clusters] == [N_USERS, N_ITEMS]


def test_the_centres_have_no_gradient_and_all_nodes_have_one() -> None:
    model = start(make(), 2)
    assert not any(centres.requires_grad for centres, _ in model._clusters)
    total(model.losses(BATCH, toy_view())).backward()
    assert model.ego.grad is not None and model.ego.grad.isfinite().all() and model.ego.grad.any(1).all()


def test_without_its_contrasts_it_is_light_gcn() -> None:
    torch.manual_seed(2)
    base = LightGCN(catalog(), dim=5, n_layers=3)
    torch.manual_seed(2)
    model = start(NCL(catalog(), dim=5, structure=0.0, prototype=0.0), 25)
    ours, theirs = (one.losses(BATCH, toy_view()) for one in (model, base))
    assert {name: x.item() for name, x in ours.items()} == {name: x.item() for name, x in theirs.items()}
    users = torch.arange(N_USERS)
    assert torch.equal(model.score(users, toy_view()), base.score(users, toy_view()))


def test_a_view_changes_no_bit() -> None:
    other = ModalityView({"m": torch.randn(N_ITEMS, 2)}, torch.rand(N_ITEMS, 1) > 0.5, "other")
    terms: list[dict[str, Tensor]] = [start(make(), 2).losses(BATCH, view) for view in (toy_view(), other)]
    assert terms[0] == terms[1]


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"hops": 0}, r"model\.hops must be at least 1; got 0"),
        ({"n_clusters": 0}, r"model\.n_clusters must be at least 1; got 0"),
        ({"temperature": 0.0}, r"model\.temperature must be positive; got 0\.0"),
    ],
)
def test_wrong_keywords_are_refused(keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make(**keywords)
