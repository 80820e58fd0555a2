"""What a model file imports as ``common.init``: functions for ``nn.Module.apply``."""

from collections.abc import Callable

from torch import Tensor, nn


def xavier_normal_initialization(module: nn.Module) -> None:
    """Xavier-normal weights of an Embedding or Linear, biases 0; other modules stay as they are."""
    _initialise(module, nn.init.xavier_normal_)


def xavier_uniform_initialization(module: nn.Module) -> None:
    """Xavier-uniform weights of an Embedding or Linear, biases 0; other modules stay as they are."""
    _initialise(module, nn.init.xavier_uniform_)


def _initialise(module: nn.Module, fill: Callable[[Tensor], Tensor]) -> None:
    if isinstance(module, nn.Embedding | nn.Linear):
        fill(module.weight.data)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias.data)
