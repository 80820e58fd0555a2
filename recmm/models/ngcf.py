"""NGCF (Wang et al., SIGIR 2019): propagation with weights, activations and products of neighbours."""

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recmm.data.batches import Pairs
from recmm.data.catalog import Catalog
from recmm.graph import mean_with_self, symmetric_adjacency
from recmm.losses import bpr_of, squared_l2
from recmm.missing.view import ModalityView
from recmm.models.base import Embeddings, Recommender
from recmm.models.settings import MethodSettings, hp
from recmm.models.training import Training
from recmm.nn.id_table import IdInit, id_table
from recmm.nn.rows import unit_rows


class NGCF(Recommender):
    """Final = [E_0 ‖ norm(E_1) ‖ ... ‖ norm(E_L)]; each layer has two weight matrices of its own.

        paper: E_l = leaky((A + I) E W1 + (A E * E) W2),  A = D^-1/2 R D^-1/2 of the whole graph (Eq. 7)
        code:  E_l = leaky(S E W1 + b1) + leaky((S E * E) W2 + b2),  S = D^-1 (A + I) with entries of 1
        L = L_bpr + final_l2 ||final embeddings of the batch||^2 / 2

    E stands for E_{l-1} and * for the product element by element. E_l passes a dropout, and goes un-normalised into the
    next layer; a score is an inner product. Rows are normalised in the released code, the paper concatenates them as
    they are. The slope of the activation is .2.

    Kept out: the released code's node dropout, a random subgraph in every step, which its settings leave off.
    """

    class Settings(MethodSettings):
        """The paper's layers, with the released code's normalised rows; ngcf_code has all of that code."""

        dim: int = hp(64, "width d of every layer; a final embedding has (n_layers + 1) d entries; paper 64", ge=1)
        n_layers: int = hp(3, "L, propagation layers; paper 3; DGMRec 2", ge=0)
        layer: Literal["paper", "code"] = hp(
            "paper", "paper: Eq. 7, one activation and symmetric weights | code: the released code's, with biases"
        )
        dropout: float = hp(0.1, "of the entries of every E_l, l >= 1; paper and released code .1", ge=0, lt=1)
        final_l2: float = hp(
            1e-5, "weight of 1/2 ||final embeddings of the batch||^2 / batch_size; released code 1e-5", ge=0
        )
        init: IdInit = hp("xavier", "of the IDs: xavier (uniform; paper) | normal (standard deviation 0.1)")
        training: Training = hp(
            Training(),
            "released code: Adam, lr 1e-4 (Gowalla) or 5e-4 (Amazon-Book), batches of 1024, users drawn uniformly",
        )

    settings: Settings
    uses_modalities = False

    def __init__(self, catalog: Catalog, **values: Any) -> None:
        super().__init__(catalog, **values)
        s = self.settings
        self.adjacency = (symmetric_adjacency if s.layer == "paper" else mean_with_self)(catalog)
        self.ego = id_table(catalog.n_users + catalog.n_items, s.dim, s.init)
        bias = s.layer == "code"
        self.sums = nn.ModuleList(nn.Linear(s.dim, s.dim, bias) for _ in range(s.n_layers))  # W1, b1
        self.products = nn.ModuleList(nn.Linear(s.dim, s.dim, bias) for _ in range(s.n_layers))  # W2, b2
        for linear in [*self.sums, *self.products]:
            nn.init.xavier_uniform_(linear.weight)
            if bias:
                nn.init.zeros_(linear.bias)

    def final(self, nodes: Tensor | None = None) -> Tensor:
        """Final embeddings [n, (L + 1) d] of ``nodes`` (int64 [n]), of all nodes without.

        The last layer is computed for them alone; a node that is there twice gets two draws of its dropout.
        """

        def of_nodes(x: Tensor) -> Tensor:
            return x if nodes is None else x.index_select(0, nodes)

        e: Tensor = self.ego
        blocks = [of_nodes(e)]
        for n_above, of_sum, of_product in zip(reversed(range(len(self.sums))), self.sums, self.products, strict=True):
            neighbours = self.adjacency(e)
            if not n_above:
                e, neighbours = of_nodes(e), of_nodes(neighbours)
            if self.settings.layer == "paper":
                e = F.leaky_relu(of_sum(neighbours + e) + of_product(neighbours * e), 0.2)
            else:
                e = F.leaky_relu(of_sum(neighbours), 0.2) + F.leaky_relu(of_product(neighbours * e), 0.2)
            e = F.dropout(e, self.settings.dropout, self.training)
            blocks.append(unit_rows(of_nodes(e) if n_above else e))
        return torch.cat(blocks, 1)

    def represent(self, view: ModalityView) -> Embeddings:
        return self.of_nodes(self.final())

    def losses(self, batch: Pairs, view: ModalityView) -> dict[str, Tensor]:
        final = self.final(batch.nodes(self.catalog.n_users))
        u, i, j = final.chunk(3)
        return {
            "bpr": bpr_of(u, i, j),
            "final_l2": self.settings.final_l2 * squared_l2(final, batch_size=self.full_batch_size),
        }
