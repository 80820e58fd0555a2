"""From a configuration node to an object."""

from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig


def build(node: DictConfig, **injected: Any) -> Any:
    """Call the node's ``_target_`` with its keys and with what only the run knows (``catalog``, ``record``).

    ``hydra.utils.instantiate`` would turn dataclasses among its keyword arguments into mappings; a partial leaves
    the injected objects as they are, and errors of the constructor as they were raised.
    """
    return instantiate(node, _partial_=True, _convert_="all")(**injected)
