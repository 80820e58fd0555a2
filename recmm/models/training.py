"""How a method is trained: the settings that all methods share."""

from typing import ClassVar, Literal

from recmm.settings import ComponentSettings, hp


class Training(ComponentSettings):
    """Optimiser, batches and random streams of a method's training."""

    key: ClassVar[str] = "model.training"

    optimizer: Literal["adam", "adamw"] = hp(
        "adam", "adam: weight decay as an L2 term of the gradient | adamw: decoupled weight decay"
    )
    lr: float = hp(1e-3, "learning rate", gt=0)
    weight_decay: float = hp(0.0, "on all parameters; the method's own regularisers have keys of their own", ge=0)
    batch_size: int = hp(2048, "training pairs in a batch, over all processes of a distributed run", ge=1)
    pairs: Literal["interaction", "user"] = hp(
        "interaction", "interaction: every training pair once an epoch | user: users drawn uniformly"
    )
    lr_decay: float = hp(
        1.0, "factor on all learning rates per 50 epochs, applied every epoch; 1: constant", gt=0, le=1
    )
    seed: int = hp(0, "the run's seed; every random stream derives from it", interpolation="${seed}")
