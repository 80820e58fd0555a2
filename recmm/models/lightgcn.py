"""LightGCN (He et al., SIGIR 2020): linear propagation on the user-item graph."""

from typing import Any

from torch import Tensor

from recmm.data.batches import Pairs
from recmm.data.catalog import Catalog
from recmm.graph import symmetric_adjacency
from recmm.losses import bpr_of, squared_l2
from recmm.missing.view import ModalityView
from recmm.models.base import Embeddings, Recommender
from recmm.models.settings import MethodSettings, hp
from recmm.models.training import Training
from recmm.nn.id_table import IdInit, id_table


class LightGCN(Recommender):
    """E = mean over l = 0..L of A^l E0 (Eq. 7-8), trained with BPR and an L2 term on the ego embeddings E0 (Eq. 15).

    A is the symmetrically normalised adjacency of the user-item graph. As in the authors' code, the L2 term is divided
    by the size of its own batch, so that a short last batch weighs the same as the others.
    """

    class Settings(MethodSettings):
        dim: int = hp(64, "width d of the embeddings; paper 64", ge=1)
        n_layers: int = hp(2, "L, propagation layers; the paper searches 1..4 and mostly takes 3", ge=0)
        ego_l2: float = hp(1e-4, "weight of 1/2 ||ego embeddings of the batch||^2 / batch size; paper 1e-4", ge=0)
        init: IdInit = hp("xavier", "xavier: uniform | normal: standard deviation 0.1, the authors' own")
        training: Training = hp(Training(batch_size=1024), "paper: Adam, lr 1e-3, batches of 1024")

    settings: Settings
    uses_modalities = False

    def __init__(self, catalog: Catalog, **values: Any) -> None:
        super().__init__(catalog, **values)
        self.adjacency = symmetric_adjacency(catalog)
        self.ego = id_table(catalog.n_users + catalog.n_items, self.settings.dim, self.settings.init)

    def represent(self, view: ModalityView) -> Embeddings:
        return self.of_nodes(self.adjacency.propagate(self.ego, self.settings.n_layers))

    def losses(self, batch: Pairs, view: ModalityView) -> dict[str, Tensor]:
        nodes = self.adjacency.propagate(self.ego, self.settings.n_layers)
        u, i, j = batch.gather(nodes, self.catalog.n_users).chunk(3)
        ego = batch.gather(self.ego, self.catalog.n_users)
        return {
            "bpr": bpr_of(u, i, j),
            "ego_l2": self.settings.ego_l2 * squared_l2(ego, batch_size=len(batch.users)),
        }
