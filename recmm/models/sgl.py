"""SGL (Wu et al., SIGIR 2021): LightGCN with a contrast between random subgraphs."""

from typing import Any, Literal

from torch import Tensor

from recmm.data.batches import Pairs
from recmm.data.catalog import Catalog
from recmm.graph import Graph, symmetric_adjacency
from recmm.losses import bpr_of, contrast, squared_l2
from recmm.missing.view import ModalityView
from recmm.models.base import Embeddings, Recommender
from recmm.models.settings import MethodSettings, hp
from recmm.models.training import Training
from recmm.nn.id_table import IdInit, id_table


class SGL(Recommender):
    """L = L_bpr + lambda1 (L_ssl^users + L_ssl^items) + ego_l2 ||E0||^2 / 2, over LightGCN.

    At the start of every epoch two subgraphs of the training graph are drawn, and LightGCN on each gives every node two
    embeddings, u' and u''. L_ssl^users is the mean over a batch's users of

        -log exp(cos(u', u'') / temperature) / sum over all users v of exp(cos(u', v'') / temperature)

    and L_ssl^items the same for its positive items among all items. Scores come from the whole graph.

    The released code sums all three terms over the batch; here all are means over it, which leaves the weights as they
    are. There an epoch's subgraphs are built on the host; here they are drawn where the model is, from the run's seed.
    """

    class Settings(MethodSettings):
        """Values are the authors' for Yelp2018 but for lambda1, whose .1 and .5 drown the ranking on small catalogues:
        on Last.fm-2K (1,425 items, 20 epochs) validation Recall@20 is .055 with .1, .071 with .03, .341 with .01 and
        .334 with .005; on TikTok .088 with .1 and .106 with .01 (lr .003); on Amazon Baby .081 with .01 (lr .003).
        DGMRec's authors run a variant of their own on TikTok, under missing modalities, with .008.
        """

        dim: int = hp(64, "width d of the embeddings; authors 64", ge=1)
        n_layers: int = hp(3, "L, propagation layers; authors 3", ge=1)
        augmentation: Literal["ed", "nd", "rw"] = hp(
            "ed",
            "what a subgraph leaves out: ed (edges) | nd (nodes with all their edges) | rw (edges, drawn anew for "
            "every layer)",
        )
        rho: float = hp(
            0.1,
            "share of the edges, or of the users and of the items, that a subgraph leaves out; authors .1",
            ge=0,
            lt=1,
        )
        lambda1: float = hp(0.01, "weight of the contrast; authors .1 on Yelp2018, .5 on Amazon-Book", ge=0)
        temperature: float = hp(0.2, "of the contrast; authors .2", gt=0)
        ego_l2: float = hp(
            1e-4, "weight of 1/2 ||ego embeddings of the batch||^2 / that batch's own size; authors 1e-4", ge=0
        )
        init: IdInit = hp("xavier", "of the IDs: xavier (uniform; authors) | normal (standard deviation 0.1)")
        training: Training = hp(
            Training(), "authors: Adam, lr 1e-3, batches of 2048, every training pair once an epoch"
        )

    settings: Settings
    uses_modalities = False

    def __init__(self, catalog: Catalog, **values: Any) -> None:
        super().__init__(catalog, **values)
        self.adjacency = symmetric_adjacency(catalog)
        self.ego = id_table(catalog.n_users + catalog.n_items, self.settings.dim, self.settings.init)
        self._drawn: list[list[Graph]] = []  # a subgraph per layer of the first view, and of the second

    def start_epoch(self, epoch: int, view: ModalityView) -> None:
        self._drawn = [self._draw(), self._draw()]

    def _draw(self) -> list[Graph]:
        s, whole = self.settings, self.adjacency.unweighted()
        if s.augmentation == "rw":
            return [whole.drop_edges(s.rho).symmetric() for _ in range(s.n_layers)]
        sizes = (self.catalog.n_users, self.catalog.n_items)
        drawn = whole.drop_edges(s.rho) if s.augmentation == "ed" else whole.drop_nodes(s.rho, sizes)
        return [drawn.symmetric()] * s.n_layers

    def represent(self, view: ModalityView) -> Embeddings:
        return self.of_nodes(self.adjacency.propagate(self.ego, self.settings.n_layers))

    def augmented(self, layers: list[Graph]) -> Embeddings:
        """u' or u'' of all users and items."""
        if self.settings.augmentation != "rw":
            return self.of_nodes(layers[0].propagate(self.ego, len(layers)))
        nodes = above = self.ego
        for graph in layers:
            above = graph(above)
            nodes = nodes + above
        return self.of_nodes(nodes / (len(layers) + 1))

    def losses(self, batch: Pairs, view: ModalityView) -> dict[str, Tensor]:
        nodes = self.adjacency.propagate(self.ego, self.settings.n_layers)
        u, i, j = batch.gather(nodes, self.catalog.n_users).chunk(3)
        ego = batch.gather(self.ego, self.catalog.n_users)
        terms = {
            "bpr": bpr_of(u, i, j),
            "ego_l2": self.settings.ego_l2 * squared_l2(ego, batch_size=len(batch.users)),
        }
        if self.settings.lambda1:
            first, second = map(self.augmented, self._drawn)
            of_users = self.contrast(first.users, second.users, batch.users)
            of_items = self.contrast(first.items, second.items, batch.positives)
            terms["contrast"] = self.settings.lambda1 * (of_users + of_items)
        return terms

    def contrast(self, first: Tensor, second: Tensor, anchors: Tensor) -> Tensor:
        """The mean over ``anchors`` int64 [B] of -log softmax over all n nodes of a kind, from both views [n, d]."""
        own, temperature = first.index_select(0, anchors), self.settings.temperature
        return contrast(own, second, anchors, temperature, among="all", merged=True)
