"""SimGCL (Yu et al., SIGIR 2022): LightGCN with a contrast between passes that add noise to every layer."""

from typing import Any

import torch
from torch import Tensor

from recmm.data.batches import Pairs
from recmm.data.catalog import Catalog
from recmm.graph import symmetric_adjacency
from recmm.losses import bpr_of, contrast, squared_l2
from recmm.missing.view import ModalityView
from recmm.models.base import Embeddings, Recommender
from recmm.models.settings import MethodSettings, hp
from recmm.models.training import Training
from recmm.nn.id_table import IdInit, id_table
from recmm.nn.rows import perturbed


class SimGCL(Recommender):
    """L = L_bpr + lambda1 (L_cl^users + L_cl^items) + ego_l2 ||E^0||^2 / 2, on E = mean over l = 1..L of A^l E^0.

    A perturbed pass is E'^l = A E'^(l-1) + noise, where a node's noise has length eps and the signs of its embedding.
    Two such passes give every node E' and E''. L_cl^users is the mean over the different users of a batch of

        -log exp(cos(e'_u, e''_u) / temperature) / sum over these users v of exp(cos(e'_u, e''_v) / temperature)

    and L_cl^items the same for its positive items. As in the released code, the mean over layers leaves E^0 out, which
    the paper has in it. That code's L2 term is of norms that are not squared; here it is LightGCN's.
    """

    class Settings(MethodSettings):
        """The authors' values but for lambda1, whose .5 drowns the ranking on small catalogues (see SGL); another port
        of it sums the contrast over the batch, where a weight is a batch's size times as strong.
        """

        dim: int = hp(64, "width d of the embeddings; authors 64", ge=1)
        n_layers: int = hp(2, "L, propagation layers; authors 2, 3", ge=1)
        lambda1: float = hp(0.01, "weight of the contrast; authors .5", ge=0)
        eps: float = hp(0.1, "length of the noise; authors .1", ge=0)
        temperature: float = hp(0.2, "of the contrast; authors .2", gt=0)
        ego_l2: float = hp(
            1e-4, "weight of 1/2 ||ego embeddings of the batch||^2 / that batch's own size; authors 1e-4", ge=0
        )
        init: IdInit = hp("xavier", "of the IDs: xavier (uniform; authors) | normal (standard deviation 0.1)")
        training: Training = hp(Training(), "authors: Adam, lr 1e-3, batches of 2048, 20 epochs")

    settings: Settings
    uses_modalities = False
    in_batch_losses = True

    def __init__(self, catalog: Catalog, **values: Any) -> None:
        super().__init__(catalog, **values)
        self.adjacency = symmetric_adjacency(catalog)
        self.ego = id_table(catalog.n_users + catalog.n_items, self.settings.dim, self.settings.init)

    def nodes(self) -> Tensor:
        """E, the mean over layers 1 to L, of all nodes."""
        return self.adjacency.propagate(self.adjacency(self.ego), self.settings.n_layers - 1)

    def perturbed_layers(self) -> list[Tensor]:
        """E'^1 to E'^L of one perturbed pass."""
        layers: list[Tensor] = [self.ego]
        for _ in range(self.settings.n_layers):
            layers.append(perturbed(self.adjacency(layers[-1]), self.settings.eps))
        return layers[1:]

    def represent(self, view: ModalityView) -> Embeddings:
        return self.of_nodes(self.nodes())

    def losses(self, batch: Pairs, view: ModalityView) -> dict[str, Tensor]:
        terms = self.ranking(self.nodes(), batch)
        if self.settings.lambda1:
            first, second = (torch.stack(self.perturbed_layers()).mean(0) for _ in range(2))
            terms["contrast"] = self.settings.lambda1 * self.contrast(first, second, batch)
        return terms

    def ranking(self, nodes: Tensor, batch: Pairs) -> dict[str, Tensor]:
        """L_bpr of ``nodes`` [n_users + n_items, d], and the L2 term of E^0."""
        n_users, ego_l2 = self.catalog.n_users, self.settings.ego_l2
        u, i, j = batch.gather(nodes, n_users).chunk(3)
        ego = batch.gather(self.ego, n_users)
        return {"bpr": bpr_of(u, i, j), "ego_l2": ego_l2 * squared_l2(ego, batch_size=len(batch.users))}

    def contrast(self, first: Tensor, second: Tensor, batch: Pairs) -> Tensor:
        """L_cl^users + L_cl^items of two views of all nodes [n_users + n_items, d]."""
        total = first.new_zeros(())
        for ids in (batch.users, self.catalog.n_users + batch.positives):
            a, b = first.index_select(0, ids), second.index_select(0, ids)
            total = total + contrast(a, b, ids, self.settings.temperature, unique=True)
        return total
