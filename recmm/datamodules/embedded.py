"""The synthetic dataset, which needs no file."""

from collections.abc import Sequence

from recmm.data.dataset import MultimodalDataset
from recmm.data.protocols import SplitProtocol
from recmm.data.synthetic import MODALITIES, synthetic
from recmm.datamodules.base import MultimodalDataModule


class Synthetic(MultimodalDataModule):
    """The embedded dataset; see ``recmm.data.synthetic.synthetic`` for the keywords.

    Its ``seed`` is that of the data and not the run's: all run seeds see the same catalogue.
    """

    def __init__(
        self,
        *,
        n_users: int = 2000,
        n_items: int = 1200,
        scale: float = 1.0,
        natural_missing: float = 0.04,
        seed: int = 0,
        timestamps: bool = False,
        modalities: Sequence[str] | None = None,
        protocol: SplitProtocol | None = None,
    ) -> None:
        super().__init__(modalities=modalities, protocol=protocol)
        self.n_users = n_users
        self.n_items = n_items
        self.scale = scale
        self.natural_missing = natural_missing
        self.seed = seed
        self.timestamps = timestamps

    def load(self) -> MultimodalDataset:
        return synthetic(
            n_users=self.n_users,
            n_items=self.n_items,
            modalities=tuple(MODALITIES) if self.modalities is None else self.modalities,
            scale=self.scale,
            natural_missing=self.natural_missing,
            seed=self.seed,
            timestamps=self.timestamps,
        )
