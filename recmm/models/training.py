"""How a method is trained: the keywords that all methods share."""

from dataclasses import dataclass
from typing import Literal

from recmm.errors import ConfigError


@dataclass(frozen=True)
class Training:
    """How a method is trained: Adam or AdamW over triples.

    Attributes:
        optimizer: "adam" adds ``weight_decay`` to the gradient (an L2 term), "adamw" shrinks the weights themselves by
            lr x ``weight_decay`` in every step.
        lr: learning rate.
        weight_decay: on all parameters; the methods' own regularisers are keywords of the methods.
        batch_size: triples in a batch, over all processes of a distributed run.
        pairs: "interaction" visits every training pair once an epoch, "user" draws users uniformly.
        lr_decay: in (0, 1]; in epoch e, counted from 0, all learning rates are multiplied by lr_decay ** (e / 50)
            (methods.md B16).
        seed: the run's seed, from which every random stream derives.
    """

    optimizer: Literal["adam", "adamw"] = "adam"
    lr: float = 1e-3
    weight_decay: float = 0.0
    batch_size: int = 2048
    pairs: Literal["interaction", "user"] = "interaction"
    lr_decay: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.optimizer not in ("adam", "adamw"):
            raise ConfigError(f"training.optimizer must be adam or adamw; got {self.optimizer!r}.")
        if self.lr <= 0 or self.weight_decay < 0 or self.batch_size < 1:
            raise ConfigError(
                "training: lr must be positive, weight_decay not negative and batch_size at least 1; got "
                f"lr={self.lr}, weight_decay={self.weight_decay}, batch_size={self.batch_size}."
            )
        if not 0 < self.lr_decay <= 1:
            raise ConfigError(f"training.lr_decay must be above 0 and at most 1; got {self.lr_decay}.")
