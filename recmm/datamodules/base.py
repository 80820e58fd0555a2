"""The data of a run: dataset, masks, views and batches, all from one LightningDataModule."""

import logging
from collections.abc import Sequence
from typing import Any, Literal

import pytorch_lightning as pl

from recmm.data.batches.ranking import EvaluationSettings, RankingBatches
from recmm.data.batches.sampling import ItemBatches, PairBatches, static_negatives
from recmm.data.batches.sharding import ALONE, Process
from recmm.data.catalog import Catalog
from recmm.data.dataset import MultimodalDataset
from recmm.data.protocols import SplitProtocol
from recmm.missing.base import MissingSetting
from recmm.missing.imputers import Imputer, Zero
from recmm.missing.masks import Masks, Phase
from recmm.missing.settings import Full
from recmm.missing.view import ModalityView
from recmm.missing.views import build_views

log = logging.getLogger(__name__)


class MultimodalDataModule(pl.LightningDataModule):
    """Base of every dataset: a subclass implements ``load``, which says where its catalogue comes from.

    Before ``setup``, ``configure`` says which missing setting, imputer and evaluation protocol apply; without it the
    catalogue is used as it is, missing entries are imputed with zeros, and all items are ranked.

    Args:
        modalities: which of the dataset's modalities to use, in this order; None for all.
        protocol: divides the catalogue again; None keeps the split that the dataset comes with.
    """

    def __init__(self, *, modalities: Sequence[str] | None = None, protocol: SplitProtocol | None = None) -> None:
        super().__init__()
        self.modalities = modalities
        self.protocol = protocol
        self.configure()

    def load(self) -> MultimodalDataset:
        """Read or generate the catalogue as it comes, with the modalities chosen by ``self.modalities``."""
        raise TypeError(f"{type(self).__name__} does not say how to load its data.")

    def configure(
        self,
        *,
        missing: MissingSetting | None = None,
        imputer: Imputer | None = None,
        evaluation: EvaluationSettings | None = None,
    ) -> None:
        """Choose the missing setting, the imputer and the evaluation protocol."""
        self.missing = missing or Full()
        self.imputer = imputer or Zero()
        self.evaluation = evaluation or EvaluationSettings()
        self._dataset: MultimodalDataset | None = None
        self._masks: Masks | None = None
        self._views: dict[Phase, ModalityView] | None = None
        self._ranking: dict[str, RankingBatches] = {}

    @property
    def dataset(self) -> MultimodalDataset:
        """The catalogue in the chosen split, loaded on first use."""
        if self._dataset is None:
            given = self.load()
            self._dataset = given if self.protocol is None else self.protocol.apply(given)
        return self._dataset

    @property
    def masks(self) -> Masks:
        """Which entries are visible in which phase, drawn on first use."""
        if self._masks is None:
            self._masks = self.missing.draw(self.dataset)
        return self._masks

    @property
    def catalog(self) -> Catalog:
        """What a method may use of the data before training."""
        return self.dataset.catalog()

    def view(self, phase: Phase) -> ModalityView:
        """The features that are visible in ``phase``, "train", "val" or "test", after imputation; on the CPU."""
        if self._views is None:
            self._views = build_views(self.dataset, self.masks, self.imputer, self.missing.replace)
        return self._views[phase]

    def ranking_batches(self, split: Literal["val", "test"]) -> RankingBatches:
        """The users of ``split``, "val" or "test", in chunks, with their held-out items and their excluded items.

        In a distributed run only those of this process.
        """
        if split not in self._ranking:
            self._ranking[split] = RankingBatches(
                self.dataset,
                split,
                candidates=self.evaluation.candidates,
                mask_validation_at_test=self.evaluation.mask_validation_at_test,
                memory_mb=self.evaluation.memory_mb,
                val_users=self.evaluation.val_users,
                process=self._process(),
            )
        return self._ranking[split]

    def train_dataloader(self) -> PairBatches | ItemBatches:
        """Batches as the running stage of the method wants them: training pairs with negatives, or items."""
        trainer: Any = self.trainer
        method = trainer.lightning_module
        wanted, items = method.settings.training, method.batches_at(trainer.current_epoch)
        common: Any = {"seed": wanted.seed, "epoch": lambda: trainer.current_epoch, "process": self._process()}
        if items is not None:
            return ItemBatches(self.dataset.n_items, batch_size=items.batch_size, **common)
        static = None
        if method.n_negatives and method.negatives == "static":
            static = static_negatives(self.catalog, method.n_negatives, wanted.seed)
        return PairBatches(
            self.dataset.train,
            batch_size=method.batch_size,
            per=wanted.pairs,
            negatives=self.dataset.split.negatives,
            n_negatives=method.n_negatives,
            static=static,
            **common,
        )

    def _process(self) -> Process:
        trainer = self.trainer
        return ALONE if trainer is None else Process(trainer.global_rank, trainer.world_size)

    def val_dataloader(self) -> RankingBatches:
        return self.ranking_batches("val")

    def test_dataloader(self) -> RankingBatches:
        return self.ranking_batches("test")


class InMemory(MultimodalDataModule):
    """A datamodule around ``dataset``, with all of its modalities and in its own split."""

    def __init__(self, dataset: MultimodalDataset) -> None:
        super().__init__()
        self.in_memory = dataset

    def load(self) -> MultimodalDataset:
        return self.in_memory
