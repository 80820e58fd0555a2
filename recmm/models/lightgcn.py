"""LightGCN (He et al., SIGIR 2020): linear propagation on the user-item graph. methods.md section 7.3."""

from torch import Tensor

from recmm.data.batches import Pairs
from recmm.data.catalog import Catalog
from recmm.graph import symmetric_adjacency
from recmm.losses import bpr, squared_l2
from recmm.missing.view import ModalityView
from recmm.models.base import Embeddings, Recommender
from recmm.models.training import Training
from recmm.nn.propagation import IdInit, id_table, propagate


class LightGCN(Recommender):
    """E = mean over l = 0..L of A^l E0, trained with BPR and an L2 term on the ego embeddings E0.

    Args:
        dim: width d of the embeddings.
        n_layers: L, propagation layers.
        ego_l2: weight of half the squared norm of the batch's ego embeddings, divided by that batch's own size (so in
            the authors' code; a short last batch weighs the same as the others).
        init: "xavier" (uniform) or "normal" with standard deviation 0.1, the authors' own.
    """

    uses_modalities = False

    def __init__(
        self,
        catalog: Catalog,
        *,
        dim: int = 64,
        n_layers: int = 2,
        ego_l2: float = 1e-4,
        init: IdInit = "xavier",
        training: Training = Training(),
    ) -> None:
        super().__init__(catalog, training)
        self.n_layers, self.ego_l2 = n_layers, ego_l2
        self.adjacency = symmetric_adjacency(catalog)
        self.ego = id_table(catalog.n_users + catalog.n_items, dim, init)

    def represent(self, view: ModalityView) -> Embeddings:
        return self.of_nodes(propagate(self.adjacency, self.ego, self.n_layers))

    def losses(self, batch: Pairs, view: ModalityView) -> dict[str, Tensor]:
        rows = batch.nodes(self.catalog.n_users)
        nodes = propagate(self.adjacency, self.ego, self.n_layers)
        u, i, j = nodes.index_select(0, rows).chunk(3)  # one gather: its gradient is one table of all nodes, not three
        ego = self.ego.index_select(0, rows)
        return {
            "bpr": bpr((u * i).sum(1), (u * j).sum(1)),
            "ego_l2": self.ego_l2 * squared_l2(ego, batch_size=len(batch.users)),
        }
