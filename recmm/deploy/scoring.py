"""Scores and similarities from what a checkpoint holds, the same that the run ranked with."""

from abc import ABC, abstractmethod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from recmm.deploy.checkpoint import Deployed
from recmm.errors import CheckpointError, ConfigError
from recmm.missing.view import ModalityView
from recmm.models.base import Recommender
from recmm.models.gfcf import GFCF
from recmm.models.history import FromHistory, ItemToItem
from recmm.models.knn import UserKNN
from recmm.models.modwalk import ModWalk
from recmm.models.modwalk_fused import ModWalkFused
from recmm.nn.item_walk import ItemWalk


class Scorer(ABC):
    """Scores all items for some users.

    Attributes:
        deployed: what it scores with.
    """

    def __init__(self, deployed: Deployed) -> None:
        self.deployed = deployed
        self._history = FromHistory(deployed.catalog)

    @abstractmethod
    def scores(self, users: Tensor) -> Tensor:
        """``users`` int64 [B] -> float [B, n_items], a new tensor."""

    @abstractmethod
    def similarities(self, items: Tensor) -> Tensor:
        """``items`` int64 [B] -> float [B, n_items], how similar every item is to each of them."""

    def seen(self, users: Tensor) -> tuple[Tensor, Tensor]:
        """The training pairs of ``users``: rows into ``users`` and items, both int64 [n]."""
        rows = self._history.rows(users)
        sizes = rows.crow_indices().diff()
        return torch.arange(len(users)).repeat_interleave(sizes), rows.col_indices()


class InnerProducts(Scorer):
    """Scores of methods whose users and items are embeddings. Items are similar by the cosine of their embeddings."""

    def scores(self, users: Tensor) -> Tensor:
        return Recommender.deployed_scores(self.deployed.tensors, users)

    def similarities(self, items: Tensor) -> Tensor:
        normalised = F.normalize(self.deployed.tensors["items"].float(), dim=1)
        return normalised[items] @ normalised.T


class ItemWeights(Scorer):
    """Scores r_u W of methods without training. Similar to item i are those that i recommends: row i of W."""

    def __init__(self, deployed: Deployed) -> None:
        super().__init__(deployed)
        self._method = _filter(deployed) if "into" in deployed.tensors else _matrix(deployed)

    def scores(self, users: Tensor) -> Tensor:
        return self._method.score(users, _NO_VIEW)

    def similarities(self, items: Tensor) -> Tensor:
        one_each = torch.zeros(len(items), self.deployed.catalog.n_items)
        one_each[torch.arange(len(items)), items] = 1.0
        return self._method.score_rows(one_each.to_sparse_csr(), self._method.prepared(_NO_VIEW))


class UserWeights(Scorer):
    """Scores S R of a user's neighbours; there are no vectors or weights of items to be similar by."""

    def __init__(self, deployed: Deployed) -> None:
        super().__init__(deployed)
        self._method = _with(UserKNN(deployed.catalog), deployed.tensors["user_user"])

    def scores(self, users: Tensor) -> Tensor:
        return self._method.score(users, _NO_VIEW)

    def similarities(self, items: Tensor) -> Tensor:
        raise ConfigError(
            f"{self.deployed.name} scores by users' neighbours: it has no similarity of items. Take a run of another "
            "method, such as itemknn."
        )


def _matrix(deployed: Deployed) -> FromHistory:
    return _with(ItemToItem(deployed.catalog), deployed.tensors["item_item"])


def _filter(deployed: Deployed) -> FromHistory:
    method = GFCF(deployed.catalog)
    return _with(method, method.filters(deployed.tensors["into"], deployed.tensors["out_of"]))


def _with(method: FromHistory, prepared: Any) -> FromHistory:
    """The method's own scoring, with what the checkpoint holds in place of what it would prepare."""
    method.prepare = lambda view: prepared  # type: ignore[method-assign]
    return method


class Walked(Scorer):
    """Scores of ModWalk, alone or fused. Similar to an item are those that a walk from it reaches."""

    def scores(self, users: Tensor) -> Tensor:
        method = ModWalkFused if "fusion" in self.deployed.tensors else ModWalk
        return method.deployed_scores(self.deployed.tensors, users)

    def similarities(self, items: Tensor) -> Tensor:
        one_each = torch.zeros(len(items), self.deployed.catalog.n_items)
        one_each[torch.arange(len(items)), items] = 1.0
        return ItemWalk(self.deployed.tensors).scores(one_each.to_sparse_csr())


_NO_VIEW = ModalityView({}, torch.ones(0, 0, dtype=torch.bool), "none")


def scorer_of(deployed: Deployed) -> Scorer:
    """The scorer for what the checkpoint holds.

    Raises:
        CheckpointError: the method stores something else.
    """
    names = set(deployed.tensors)
    if "coefficients" in names:
        return Walked(deployed)
    if {"users", "items"} <= names:
        return InnerProducts(deployed)
    if "item_item" in names or {"into", "out_of"} <= names:
        return ItemWeights(deployed)
    if "user_user" in names:
        return UserWeights(deployed)
    raise CheckpointError(
        f"{deployed.path} holds {', '.join(sorted(names)) or 'nothing'} of {deployed.name}: recommending needs "
        "embeddings of users and items, a matrix over items or users, a graph filter, or a walk."
    )
