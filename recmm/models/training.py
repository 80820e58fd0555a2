"""How a method is trained: the settings that all methods share."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from recmm.settings import ComponentSettings, hp

AUTO_BATCH_SIZE, AUTO_STEPS = 2048, 96
"""The smallest batch that ``batch_size=auto`` takes, and the most batches of an epoch."""


class Training(ComponentSettings):
    """Optimiser, batches and random streams of a method's training."""

    key: ClassVar[str] = "model.training"

    optimizer: Literal["adam", "adamw"] = hp(
        "adam", "adam: weight decay as an L2 term of the gradient | adamw: decoupled weight decay"
    )
    lr: float = hp(1e-3, "learning rate", gt=0)
    weight_decay: float = hp(0.0, "on all parameters; the method's own regularisers have keys of their own", ge=0)
    batch_size: Literal["auto"] | Annotated[int, Field(ge=1)] = hp(
        2048,
        "training pairs in a batch, over all processes | auto: 2048, more where that gives over 96 batches",
    )
    pairs: Literal["interaction", "user"] = hp(
        "interaction", "interaction: every training pair once an epoch | user: users drawn uniformly"
    )
    lr_decay: float = hp(
        1.0, "factor on all learning rates per 50 epochs, applied every epoch; 1: constant", gt=0, le=1
    )
    seed: int = hp(0, "the run's seed; every random stream derives from it", interpolation="${seed}")

    def pairs_in_batch(self, n_train: int) -> int:
        """``batch_size`` for ``n_train`` training pairs.

        A step of a graph method propagates the whole graph, so with batches of one size the cost of an epoch grows with
        the square of the number of pairs. With ``auto`` the number of steps is bounded, and the cost is linear.
        """
        if self.batch_size != "auto":
            return self.batch_size
        return max(AUTO_BATCH_SIZE, -(-n_train // AUTO_STEPS))
