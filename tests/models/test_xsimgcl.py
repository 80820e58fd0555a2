"""XSimGCL against its losses written out in NumPy, and its limits."""

from typing import Any

import numpy as np
import pytest
import torch

from recmm.errors import ConfigError
from recmm.models.simgcl import SimGCL
from recmm.models.xsimgcl import XSimGCL
from recmm.seeding import seed_torch
from tests.models.toys import (
    BATCH,
    N_USERS,
    catalog,
    numpy_adjacency,
    numpy_bpr,
    numpy_ego_l2,
    numpy_info_nce,
    randomised,
    toy_view,
)

VALUES = {"dim": 5, "n_layers": 3, "lambda1": 0.7, "ego_l2": 0.1}


def make(**values: Any) -> XSimGCL:
    torch.manual_seed(2)
    return randomised(XSimGCL(catalog(), **VALUES | values))


def losses(model: SimGCL) -> dict[str, float]:
    seed_torch(0, 0, "method")
    return {name: x.item() for name, x in model.losses(BATCH, toy_view()).items()}


@pytest.mark.parametrize("contrast_layer", [0, 1, 3])
def test_losses_written_out(contrast_layer: int) -> None:
    model = make(contrast_layer=contrast_layer)
    seed_torch(0, 0, "method")
    a, ego = numpy_adjacency(), model.ego.detach().double().numpy()
    layers = [ego]
    for _ in range(3):
        noise = torch.rand(ego.shape).double().numpy()
        layer = a @ layers[-1]
        layers.append(layer + 0.2 * np.sign(layer) * noise / np.linalg.norm(noise, axis=1, keepdims=True))
    nodes, early = np.mean(layers[1:], 0), layers[contrast_layer]
    contrast = 0.0
    for ids in (np.unique(BATCH.users), N_USERS + np.unique(BATCH.positives)):
        contrast += numpy_info_nce(nodes[ids], early[ids], np.arange(len(ids)), 0.15)
    expected = {"bpr": numpy_bpr(nodes), "ego_l2": 0.1 * numpy_ego_l2(ego), "contrast": 0.7 * contrast}
    assert losses(model) == pytest.approx(expected, rel=1e-4)


def test_without_noise_and_contrast_it_is_light_gcn_without_layer_0() -> None:
    model = make(eps=0.0, lambda1=0.0)
    torch.manual_seed(2)
    base = randomised(SimGCL(catalog(), **VALUES | {"lambda1": 0.0}))  # its test holds it against NumPy
    assert losses(model) == pytest.approx(losses(base), rel=1e-6)
    users = torch.arange(N_USERS)
    assert torch.equal(make().score(users, toy_view()), base.score(users, toy_view()))


def test_with_one_layer_both_views_are_the_same() -> None:
    model = make(n_layers=1, eps=0.1)
    seed_torch(0, 0, "method")
    (layer,) = model.perturbed_layers()
    contrast = model.contrast(layer, layer, BATCH)
    assert losses(model)["contrast"] == pytest.approx(0.7 * contrast.item())


def test_the_layer_of_the_contrast_has_to_exist() -> None:
    with pytest.raises(ConfigError, match=r"model\.contrast_layer must be at most model\.n_layers = 3; got 4"):
        make(contrast_layer=4)
