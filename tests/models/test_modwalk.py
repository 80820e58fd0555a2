"""ModWalk: its limits, what it does without modalities, and what it stores."""

import pytest
import torch

from recmm.errors import ConfigError
from recmm.missing.view import ModalityView
from recmm.models.modwalk import ModWalk
from tests.models.toys import DIMS, N_ITEMS, N_USERS, catalog, check_views_apart, toy_view

USERS = torch.arange(N_USERS)
NO_VIEW = ModalityView({}, torch.ones(N_ITEMS, 0, dtype=torch.bool), "none")
HIDDEN = ModalityView(toy_view().features, torch.zeros(N_ITEMS, 2, dtype=torch.bool), "hidden")


def test_without_features_it_is_the_walk_over_interactions() -> None:
    alone = ModWalk(catalog({})).score(USERS, NO_VIEW)
    assert torch.equal(ModWalk(catalog(), modality_weight=0.0).score(USERS, toy_view()), alone)
    assert torch.equal(ModWalk(catalog()).score(USERS, HIDDEN), alone)
    assert not torch.allclose(ModWalk(catalog()).score(USERS, toy_view()), alone)


def test_damping_0_is_one_step() -> None:
    one = ModWalk(catalog(), damping=0.0, hops=1).score(USERS, toy_view())
    assert torch.equal(ModWalk(catalog(), damping=0.0, hops=9).score(USERS, toy_view()), one)


def test_large_kappa_is_none() -> None:
    none = ModWalk(catalog(), kappa=None).score(USERS, toy_view())
    assert torch.equal(ModWalk(catalog(), kappa=1e6).score(USERS, toy_view()), none)
    assert not torch.allclose(ModWalk(catalog(), kappa=1.0).score(USERS, toy_view()), none)


def test_a_user_without_history_is_shown_the_most_popular() -> None:
    model = ModWalk(catalog())
    assert torch.equal(model.score(USERS, toy_view())[3], model.get_buffer("popularity"))


def test_what_is_stored_recommends_and_explains() -> None:
    model, users = ModWalk(catalog()), torch.tensor([2, 0])
    stored = model.deployable(toy_view())
    assert torch.equal(ModWalk.deployed_scores(stored, users), model.score(users, toy_view()))
    explained = model.explain(0, 3, toy_view())
    assert explained.history.shape == (2,) and explained.last_step.shape == (1 + len(DIMS),)
    assert explained.history.sum() == pytest.approx(float(model.score(users, toy_view())[1, 3]), abs=1e-5)


def test_views_are_kept_apart() -> None:
    check_views_apart(ModWalk(catalog()))


def test_weights_of_unknown_modalities_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"model.weights names 'smell', .* it has visual, textual"):
        ModWalk(catalog(), weights={"smell": 1.0})
