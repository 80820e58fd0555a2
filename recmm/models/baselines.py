"""Baselines without training: the most popular items (Popularity) and scores drawn at random (Random)."""

from typing import Any

import torch
from torch import Tensor

from recmm.data.catalog import Catalog
from recmm.missing.view import ModalityView
from recmm.models.base import Embeddings, Recommender
from recmm.models.settings import MethodSettings, hp
from recmm.models.training import Training
from recmm.seeding import derive


class Popularity(Recommender):
    """Every user gets the items with the most training interactions; personalisation has to rank better."""

    class Settings(MethodSettings):
        training: Training = hp(Training(), "without effect: nothing is trained and nothing is drawn")

    settings: Settings
    uses_modalities = False
    trained = False

    def __init__(self, catalog: Catalog, **values: Any) -> None:
        super().__init__(catalog, **values)
        self.register_buffer("counts", catalog.item_counts().float(), persistent=False)

    def represent(self, view: ModalityView) -> Embeddings:
        counts: Tensor = self.get_buffer("counts")
        return Embeddings(counts.new_ones(self.catalog.n_users, 1), counts[:, None])


class Random(Recommender):
    """Inner products of Gaussian vectors drawn from the run's seed: every item is as likely as any other."""

    class Settings(MethodSettings):
        dim: int = hp(64, "width of the random vectors", ge=1)
        training: Training = hp(Training(), "without effect except for the seed: nothing is trained")

    settings: Settings
    uses_modalities = False
    trained = False

    def __init__(self, catalog: Catalog, **values: Any) -> None:
        super().__init__(catalog, **values)
        s = self.settings
        generator = torch.Generator().manual_seed(derive(s.training.seed, 0, "random scores"))
        for name, n_rows in (("users", catalog.n_users), ("items", catalog.n_items)):
            self.register_buffer(name, torch.randn(n_rows, s.dim, generator=generator), persistent=False)

    def represent(self, view: ModalityView) -> Embeddings:
        return Embeddings(self.get_buffer("users"), self.get_buffer("items"))
