"""Scores from embeddings, from item-to-item matrices and from walks."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from recmm.deploy.checkpoint import Deployed, read_deployed
from recmm.deploy.scoring import scorer_of
from recmm.errors import CheckpointError, ConfigError
from recmm.missing.view import ModalityView
from recmm.models.gfcf import GFCF
from recmm.models.history import TIE
from recmm.models.knn import UserKNN
from recmm.models.modwalk import ModWalk
from recmm.models.modwalk_fused import ModWalkFused


@pytest.mark.parametrize("sparse", [False, True])
def test_item_weights_score_as_the_method_does(item_weights: Deployed, sparse: bool) -> None:
    matrix = item_weights.tensors["item_item"]
    given = replace(item_weights, tensors=item_weights.tensors | {"item_item": matrix.to_sparse_csr()})
    scorer = scorer_of(given if sparse else item_weights)
    scores = scorer.scores(torch.tensor([2, 0, 1]))
    popularity = item_weights.tensors["popularity"]
    assert torch.equal(scores[0], matrix[1] + TIE * popularity)
    assert torch.equal(scores[1], matrix[1] + matrix[3] + TIE * popularity)
    assert torch.equal(scores[2], popularity)  # without history
    assert torch.equal(scorer.similarities(torch.tensor([3, 0])), matrix[[3, 0]])


def test_embeddings_score_by_inner_products_and_are_similar_by_cosine(finished: Path) -> None:
    deployed = read_deployed(finished)
    scorer, items = scorer_of(deployed), deployed.tensors["items"]
    assert torch.allclose(scorer.scores(torch.tensor([7, 0])), deployed.tensors["users"][[7, 0]] @ items.T)
    cosines = torch.cosine_similarity(items[4, None], items, dim=1)
    assert torch.allclose(scorer.similarities(torch.tensor([4]))[0], cosines, atol=1e-5)


def test_neighbours_score_as_the_method_does_and_compare_no_items(item_weights: Deployed) -> None:
    model, view = UserKNN(item_weights.catalog), ModalityView({}, torch.ones(5, 0, dtype=torch.bool), "none")
    scorer = scorer_of(replace(item_weights, tensors=model.deployable(view)))
    users = torch.tensor([2, 0, 1])
    assert torch.equal(scorer.scores(users), model.score(users, view))
    assert scorer.scores(users)[0, 3] > 0.1  # of the user who has item 1 in common
    with pytest.raises(ConfigError, match="no similarity of items"):
        scorer.similarities(users)


@pytest.mark.parametrize("method", [ModWalk, ModWalkFused])
def test_a_walk_scores_as_the_method_does_whatever_else_is_stored(
    item_weights: Deployed, method: type[ModWalk]
) -> None:
    model, view = method(item_weights.catalog), ModalityView({}, torch.ones(5, 0, dtype=torch.bool), "none")
    with torch.no_grad():
        scorer = scorer_of(replace(item_weights, tensors=model.eval().deployable(view)))
        users = torch.tensor([2, 0, 1])
        assert torch.equal(scorer.scores(users), model.score(users, view))
    similar = scorer.similarities(torch.tensor([1]))[0]
    assert similar[3] > 0 and similar[1] > similar[3] and not similar[[0, 2, 4]].any()


def test_a_filter_scores_as_the_method_does(item_weights: Deployed) -> None:
    model, view = GFCF(item_weights.catalog, rank=1), ModalityView({}, torch.ones(5, 0, dtype=torch.bool), "none")
    scorer = scorer_of(replace(item_weights, tensors=model.deployable(view)))
    users = torch.tensor([2, 0, 1])
    assert torch.equal(scorer.scores(users), model.score(users, view))
    assert scorer.similarities(torch.tensor([1]))[0, 3] > 0


def test_the_seen_items_are_the_training_pairs(item_weights: Deployed) -> None:
    rows, items = scorer_of(item_weights).seen(torch.tensor([3, 1, 0]))
    assert rows.tolist() == [0, 2, 2] and items.tolist() == [4, 1, 3]


def test_other_tensors_are_refused_by_name(item_weights: Deployed) -> None:
    with pytest.raises(CheckpointError, match="holds tree of Anything"):
        scorer_of(replace(item_weights, tensors={"tree": torch.zeros(1)}))


def test_users_neighbours_score_but_say_nothing_of_items(item_weights: Deployed) -> None:
    neighbours = torch.zeros(4, 4)
    neighbours[1, 0] = 0.5
    scorer = scorer_of(replace(item_weights, tensors={"user_user": neighbours.to_sparse_csr()}))
    popularity = item_weights.tensors["popularity"]
    expected = torch.tensor([0, 0.5, 0, 0.5, 0]) + 0.5 * TIE * popularity
    assert torch.equal(scorer.scores(torch.tensor([1]))[0], expected)
    with pytest.raises(ConfigError, match="no similarity of items"):
        scorer.similarities(torch.tensor([0]))
