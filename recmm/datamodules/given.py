"""A dataset that is in memory already."""

from recmm.data.dataset import MultimodalDataset
from recmm.datamodules.base import MultimodalDataModule


class Given(MultimodalDataModule):
    """A datamodule around ``dataset``, with all of its modalities and in its own split."""

    def __init__(self, dataset: MultimodalDataset) -> None:
        super().__init__()
        self.given = dataset

    def load(self) -> MultimodalDataset:
        return self.given
