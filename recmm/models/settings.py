"""The base of every method's settings."""

from typing import ClassVar

from recmm.models.training import Training
from recmm.settings import ComponentSettings, hp

__all__ = ["MethodSettings", "hp"]


class MethodSettings(ComponentSettings):
    """Hyper-parameters of a method; a method nests its own as ``class Settings(MethodSettings)``."""

    key: ClassVar[str] = "model"

    training: Training = hp(Training(), "optimiser and batches")
