"""What a method's checkpoint holds beside its parameters."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from recmm.missing.view import ModalityView
from recmm.models.evaluation import Evaluated
from recmm.nn.self_fitting import SelfFitting, Stateful


class Stored(Evaluated):
    """Checkpoints: the catalogue, the optimisers of blocks that fit themselves and of opponents, the embeddings."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._stored: dict[str, Any] = {}
        self._stored_epoch: int | None = None  # of the checkpoint that is being resumed

    def opponent_optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """The optimisers of the running stage's opponents."""
        return {}

    def side_optimizers(self) -> dict[str, Stateful]:
        """All optimisers and schedulers beside the main one: those of blocks that fit themselves, and of opponents."""
        blocks = {name: module for name, module in self.named_modules() if isinstance(module, SelfFitting)}
        found = {f"{name}.{key}": part for name, block in blocks.items() for key, part in block.optimizers().items()}
        return found | {f"opponent.{name}": part for name, part in self.opponent_optimizers().items()}

    def deployable(self, view: ModalityView) -> dict[str, Tensor]:
        """Tensors that suffice to recommend later: the embeddings, for methods that score by inner products."""
        embeddings = self._embeddings or self.represent(view)  # those of this epoch's validation, if it had one
        return {"users": embeddings.users.cpu(), "items": embeddings.items.cpu()}

    @classmethod
    def deployed_scores(cls, deployed: Mapping[str, Tensor], users: Tensor) -> Tensor:
        """The scores of all items from what ``deployable`` stored, for ``users`` (int64 [B]) -> float [B, n_items]."""
        return deployed["users"][users] @ deployed["items"].T

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["catalog"] = self.catalog.state()
        checkpoint["side_optimizers"] = {name: part.state_dict() for name, part in self.side_optimizers().items()}
        training = self.training
        self.eval()
        with torch.no_grad():
            checkpoint["deployed"] = self.deployable(self.view("val"))
        self.train(training)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self._stored, self._stored_epoch = checkpoint["side_optimizers"], checkpoint["epoch"]

    def _restore_side_optimizers(self) -> None:
        """Once the parameters are on their device."""
        parts = self.side_optimizers()
        for name, state in self._stored.items():
            parts[name].load_state_dict(state)
        self._stored, self._stored_epoch = {}, None
