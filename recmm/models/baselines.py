"""Floors without training: what any method has to beat."""

import torch
from torch import Tensor

from recmm.data.catalog import Catalog
from recmm.missing.view import ModalityView
from recmm.models.base import Embeddings, Recommender
from recmm.models.training import Training
from recmm.seeding import derive


class Popularity(Recommender):
    """Every user gets the items with the most training interactions. A method below this has learnt no taste."""

    uses_modalities = False
    trained = False

    def __init__(self, catalog: Catalog, *, training: Training = Training()) -> None:
        super().__init__(catalog, training)
        self.register_buffer("counts", catalog.item_counts().float(), persistent=False)

    def represent(self, view: ModalityView) -> Embeddings:
        counts: Tensor = self.get_buffer("counts")
        return Embeddings(counts.new_ones(self.catalog.n_users, 1), counts[:, None])


class Random(Recommender):
    """Inner products of Gaussian vectors drawn from the run's seed: every item is as likely as any other."""

    uses_modalities = False
    trained = False

    def __init__(self, catalog: Catalog, *, dim: int = 64, training: Training = Training()) -> None:
        super().__init__(catalog, training)
        generator = torch.Generator().manual_seed(derive(training.seed, 0, "random scores"))
        for name, n_rows in (("users", catalog.n_users), ("items", catalog.n_items)):
            self.register_buffer(name, torch.randn(n_rows, dim, generator=generator), persistent=False)

    def represent(self, view: ModalityView) -> Embeddings:
        return Embeddings(self.get_buffer("users"), self.get_buffer("items"))
