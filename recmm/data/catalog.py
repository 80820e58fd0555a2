"""What a method may use of the data before training: sizes, modality dimensions and the training graph."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

NegativeItems = Literal["all", "warm"]
"""The items from which training may draw negatives; warm items are those with a training interaction."""


@dataclass(frozen=True)
class Catalog:
    """Everything a method receives in its constructor; no validation or test data, no paths, no features.

    Attributes:
        n_users, n_items: sizes of the dense id spaces.
        dims: modality name -> width of its raw features, in the dataset's order.
        train_users, train_items: int64 [n_train], the training pairs, sorted by user and then item.
        user_ids, item_ids: the raw labels, dense id -> label.
        negatives: the items from which negatives are drawn; "warm" if the others represent new items.
    """

    n_users: int
    n_items: int
    dims: dict[str, int]
    train_users: Tensor
    train_items: Tensor
    user_ids: list[str]
    item_ids: list[str]
    negatives: NegativeItems = "all"

    @property
    def modalities(self) -> tuple[str, ...]:
        return tuple(self.dims)

    def item_counts(self) -> Tensor:
        """int64 [n_items]: training interactions of each item."""
        return torch.bincount(self.train_items, minlength=self.n_items)

    def user_counts(self) -> Tensor:
        """int64 [n_users]: training interactions of each user."""
        return torch.bincount(self.train_users, minlength=self.n_users)

    def state(self) -> dict[str, Any]:
        """Plain types and tensors only, so that a checkpoint that holds it loads with ``weights_only=True``."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}
