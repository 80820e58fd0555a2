"""ModWalk with a backbone: the fusion by hand, the backbone's own training, and what is stored."""

from typing import Any

import numpy as np
import pytest
import torch

from recmm.errors import ConfigError
from recmm.models.modwalk import ModWalk
from recmm.models.modwalk_fused import ModWalkFused, trainable_methods
from recmm.models.sgl import SGL
from recmm.seeding import seed_torch
from tests.models.toys import BATCH, N_USERS, catalog, randomised, toy_view

USERS = torch.arange(N_USERS)


def model(**values: Any) -> ModWalkFused:
    return randomised(ModWalkFused(catalog(), **values)).eval()


def test_scores_are_logarithms_of_the_walk_plus_standardised_products() -> None:
    built = model(backbone_weight=0.3, eps=0.01)
    walked = ModWalk(catalog()).score(USERS, toy_view()).double().numpy()
    with torch.no_grad():
        users, items = (x.double().numpy() for x in built.backbone.represent(toy_view()))
        got = built.score(USERS, toy_view())
    products = users @ items.T
    expected = np.log(walked / walked.max(1, keepdims=True) + 0.01) - np.log(0.01)
    expected[:3] += 0.3 * products[:3] / products[:3].std(1, keepdims=True)  # user 3 has no history
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-4, atol=1e-5)


def test_weight_0_orders_like_the_walk() -> None:
    with torch.no_grad():
        orders = [m.score(USERS, toy_view()).argsort(1) for m in (model(backbone_weight=0.0), ModWalk(catalog()))]
    assert torch.equal(*orders)


def test_the_backbone_is_trained_as_alone() -> None:
    seed_torch(0, 0, "initialisation")
    alone = SGL(catalog(), lambda1=0.1)
    seed_torch(0, 0, "initialisation")
    both = ModWalkFused(catalog(), backbone="sgl", backbone_settings={"lambda1": 0.1})
    for method in (alone, both):
        seed_torch(0, 0, "method")
        method.start_epoch(0, toy_view())
    expected, got = alone.losses(BATCH, toy_view()), both.losses(BATCH, toy_view())
    assert expected.keys() == got.keys() and all(torch.equal(expected[name], got[name]) for name in got)
    assert [id(p) for p in both.main_parameters()] == [id(p) for p in both.backbone.parameters()]


def test_what_a_backbone_says_of_itself_holds_for_the_fusion() -> None:
    bm3, invrl = (ModWalkFused(catalog(), backbone=name) for name in ("bm3", "invrl"))
    assert bm3.n_negatives == 0 and invrl.in_batch_losses
    assert [stage.name for stage in invrl.stages()] == [stage.name for stage in invrl.backbone.stages()]
    assert invrl.settings.training is invrl.backbone.settings.training


def test_what_is_stored_recommends() -> None:
    built, users = model(), torch.tensor([3, 1])
    with torch.no_grad():
        stored = built.deployable(toy_view())
        assert torch.equal(ModWalkFused.deployed_scores(stored, users), built.score(users, toy_view()))


def test_backbones_are_trained_methods_with_embeddings() -> None:
    names = trainable_methods()
    assert {"sgl", "lightgcn", "mgcn"} <= names.keys()
    assert not {"modwalk", "modwalk_fused", "baselines"} & names.keys()
    with pytest.raises(ConfigError, match=r"model.backbone: 'sgll' is no trained method .* did you mean 'sgl'"):
        ModWalkFused(catalog(), backbone="sgll")
    with pytest.raises(ConfigError, match=r"^model.backbone_settings.rho must be"):
        ModWalkFused(catalog(), backbone="sgl", backbone_settings={"rho": 2.0})
    with pytest.raises(ConfigError, match=r"^model.backbone_settings.size: SGL takes no keyword"):
        ModWalkFused(catalog(), backbone="sgl", backbone_settings={"size": 2})
