"""What a model file imports as ``common.abstract_recommender``."""

from typing import Any

import torch
from torch import Tensor, nn

from recmm.adapters.mmrec.loader import TrainLoader


class GeneralRecommender(nn.Module):
    """The base of every model in MMRec's interface.

    Attributes:
        n_users, n_items, batch_size: sizes.
        device: where the model is built.
        v_feat, t_feat, a_feat: float32 [n_items, D], copies of the phase's features; None where there are none.
        USER_ID, ITEM_ID, NEG_ITEM_ID: names of fields.
    """

    def __init__(self, config: Any, dataloader: TrainLoader) -> None:
        super().__init__()
        self.USER_ID = config["USER_ID_FIELD"]
        self.ITEM_ID = config["ITEM_ID_FIELD"]
        self.NEG_ITEM_ID = config["NEG_PREFIX"] + self.ITEM_ID
        self.n_users = dataloader.dataset.get_user_num()
        self.n_items = dataloader.dataset.get_item_num()
        self.batch_size = config["train_batch_size"]
        self.device: torch.device = config["device"]
        given = {} if config["end2end"] or not config["is_multimodal_model"] else dataloader.features()
        self.v_feat, self.t_feat, self.a_feat = (given.get(name) for name in ("v_feat", "t_feat", "a_feat"))

    def pre_epoch_processing(self) -> Any:
        """Called before every epoch."""

    def post_epoch_processing(self) -> Any:
        """Called after every epoch."""

    def calculate_loss(self, interaction: Tensor) -> Any:
        """The loss of a batch, LongTensor [3, B]: users, positive and negative items."""
        raise NotImplementedError(f"{type(self).__name__} has no calculate_loss().")

    def predict(self, interaction: Any) -> Tensor:
        """Scores of single pairs; nothing calls it."""
        raise NotImplementedError(f"{type(self).__name__} has no predict().")

    def full_sort_predict(self, interaction: Any) -> Tensor:
        """Scores [b, n_items] of users [b]; the second entry holds their training items."""
        raise NotImplementedError(f"{type(self).__name__} has no full_sort_predict().")

    def __str__(self) -> str:
        n_trained = sum(p.numel() for p in self.parameters() if p.requires_grad)
        return f"{super().__str__()}\nTrainable parameters: {n_trained}"
