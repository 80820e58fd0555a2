"""Blocks with an optimiser of their own."""

from typing import Any, Protocol

from torch import nn


class Stateful(Protocol):
    """Whatever can be stored in a checkpoint: optimisers, schedulers."""

    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state_dict: dict[str, Any]) -> None: ...


class SelfFitting(nn.Module):
    """A block that fits itself when its method tells it to; ``Recommender`` finds it and stores its optimisers.

    Attributes:
        fitted_apart: whether the method's optimiser leaves the block's parameters alone.
    """

    fitted_apart: bool = True

    def optimizers(self) -> dict[str, Stateful]:
        """What a checkpoint has to hold beside the parameters: optimisers and their schedulers."""
        raise TypeError(f"{type(self).__name__} does not say which optimisers it has.")
