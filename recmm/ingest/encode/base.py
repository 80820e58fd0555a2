"""What every encoder offers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np


class Unusable(Exception):
    """An item's raw content cannot be encoded; the message is the reason in the report."""


class Encoder(Protocol):
    """A loaded model.

    Attributes:
        dim: D, the length of a feature vector.
    """

    dim: int

    def read(self, entry: str) -> Any:
        """Prepare one item's text or file for ``encode``; called from several threads.

        Raises:
            Unusable: it is empty or cannot be read.
        """

    def encode(self, inputs: Sequence[Any]) -> np.ndarray:
        """float32 [len(inputs), D]; up to rounding, a row depends only on its own input."""
