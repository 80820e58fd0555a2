"""SimGCL against its losses written out in NumPy; what the noise is; its limits."""

from typing import Any

import numpy as np
import pytest
import torch

from recmm.errors import ConfigError
from recmm.models.simgcl import SimGCL
from recmm.seeding import seed_torch
from tests.models.toys import (
    BATCH,
    N_USERS,
    catalog,
    check_gradients,
    numpy_adjacency,
    numpy_bpr,
    numpy_ego_l2,
    numpy_info_nce,
    randomised,
    toy_view,
)


def make(**values: Any) -> SimGCL:
    torch.manual_seed(2)
    return randomised(SimGCL(catalog(), **{"dim": 5, "n_layers": 3, "lambda1": 0.7, "ego_l2": 0.1} | values))


def losses(model: SimGCL) -> dict[str, float]:
    seed_torch(0, 0, "method")
    return {name: x.item() for name, x in model.losses(BATCH, toy_view()).items()}


@pytest.mark.parametrize("n_layers", [1, 3])
def test_losses_written_out(n_layers: int) -> None:
    model = make(n_layers=n_layers)
    seed_torch(0, 0, "method")
    a, ego = numpy_adjacency(), model.ego.detach().double().numpy()
    layers, views = [np.linalg.matrix_power(a, n) @ ego for n in range(1, n_layers + 1)], []
    for _ in range(2):
        layer, seen = ego, []
        for _ in range(n_layers):
            noise = torch.rand(ego.shape).double().numpy()
            layer = a @ layer
            layer = layer + 0.1 * np.sign(layer) * noise / np.linalg.norm(noise, axis=1, keepdims=True)
            seen.append(layer)
        views.append(np.mean(seen, 0))
    contrast = 0.0
    for nodes in (np.unique(BATCH.users), N_USERS + np.unique(BATCH.positives)):
        contrast += numpy_info_nce(views[0][nodes], views[1][nodes], np.arange(len(nodes)), 0.2)
    expected = {"bpr": numpy_bpr(np.mean(layers, 0)), "ego_l2": 0.1 * numpy_ego_l2(ego), "contrast": 0.7 * contrast}
    assert losses(model) == pytest.approx(expected, rel=1e-4)


def test_without_noise_both_passes_are_the_clean_one() -> None:
    model = make(eps=0.0)
    assert torch.allclose(torch.stack(model.perturbed_layers()).mean(0), model.nodes(), atol=1e-6)
    assert losses(model) == losses(make(eps=0.0)) and losses(make()) != losses(model)


def test_without_contrast_it_is_light_gcn_without_layer_0() -> None:
    model = make(lambda1=0.0)
    a, ego = numpy_adjacency(), model.ego.detach().double().numpy()
    nodes = (a @ ego + a @ a @ ego + a @ a @ a @ ego) / 3
    assert losses(model) == pytest.approx({"bpr": numpy_bpr(nodes), "ego_l2": 0.1 * numpy_ego_l2(ego)}, rel=1e-5)
    scores = make().score(torch.arange(N_USERS), toy_view())  # the contrast and its noise leave scores alone
    assert scores.detach().numpy() == pytest.approx(nodes[:N_USERS] @ nodes[N_USERS:].T, abs=1e-5)


def test_every_parameter_has_a_gradient() -> None:
    check_gradients(make(), BATCH, toy_view())


def test_wrong_keywords_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"model\.n_layers must be at least 1; got 0"):
        make(n_layers=0)
