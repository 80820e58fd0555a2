"""SGL (Wu et al., SIGIR 2021): LightGCN with a contrast between random subgraphs. methods.md section 7.4."""

from typing import Any, Literal

from torch import Tensor

from recmm.data.batches import Pairs
from recmm.data.catalog import Catalog
from recmm.errors import ConfigError
from recmm.graph import RandomSubgraphs, symmetric_adjacency
from recmm.losses import bpr, chunked_info_nce, squared_l2
from recmm.missing.view import ModalityView
from recmm.models.base import Embeddings, Recommender
from recmm.models.checks import check_choices, check_lowest
from recmm.models.training import Training
from recmm.nn.propagation import IdInit, id_table, propagate


class SGL(Recommender):
    """L = L_bpr + lambda1 (L_ssl^users + L_ssl^items) + ego_l2 ||E0||^2 / 2, over LightGCN.

    At the start of every epoch two subgraphs of the training graph are drawn, and LightGCN on each gives every node two
    embeddings, u' and u''. L_ssl^users is the mean over a batch's users of

        -log exp(cos(u', u'') / temperature) / sum over all users v of exp(cos(u', v'') / temperature)

    and L_ssl^items the same for its positive items among all items. Scores come from the whole graph.

    The released code sums all three terms over the batch; here all are means over it, which leaves the weights as they
    are. There an epoch's subgraphs are built on the host; here they are drawn where the model is, from the run's seed.

    Args:
        dim, n_layers: width d of the embeddings; L propagation layers.
        augmentation: "ed" leaves out edges, "nd" nodes with all their edges, "rw" edges, with a subgraph of its own for
            every layer.
        rho: share of the edges, or of the users and of the items, that a subgraph is without.
        lambda1: weight of the contrast.
        temperature: of the contrast.
        ego_l2: weight of half the squared norm of the batch's ego embeddings, divided by that batch's own size.
        init: see ``id_table``.
        training: optimiser and batches.

    Raises:
        ConfigError: for a value outside its range.
    """

    uses_modalities = False

    def __init__(
        self,
        catalog: Catalog,
        *,
        dim: int = 64,
        n_layers: int = 3,
        augmentation: Literal["ed", "nd", "rw"] = "ed",
        rho: float = 0.1,
        lambda1: float = 0.1,
        temperature: float = 0.2,
        ego_l2: float = 1e-4,
        init: IdInit = "xavier",
        training: Training = Training(),
    ) -> None:
        _check(locals())
        super().__init__(catalog, training)
        self.n_layers, self.augmentation, self.rho = n_layers, augmentation, rho
        self.lambda1, self.temperature, self.ego_l2 = lambda1, temperature, ego_l2
        self.adjacency = symmetric_adjacency(catalog)
        self.subgraphs = RandomSubgraphs(catalog)
        self.ego = id_table(catalog.n_users + catalog.n_items, dim, init)
        self._drawn: list[list[Tensor]] = []  # a subgraph per layer of the first view, and of the second

    def start_epoch(self, epoch: int, view: ModalityView) -> None:
        self._drawn = [self._draw(), self._draw()]

    def _draw(self) -> list[Tensor]:
        if self.augmentation == "rw":
            return [self.subgraphs.drop_edges(self.rho) for _ in range(self.n_layers)]
        drop = self.subgraphs.drop_edges if self.augmentation == "ed" else self.subgraphs.drop_nodes
        return [drop(self.rho)] * self.n_layers

    def represent(self, view: ModalityView) -> Embeddings:
        return self.of_nodes(propagate(self.adjacency, self.ego, self.n_layers))

    def augmented(self, layers: list[Tensor]) -> Embeddings:
        """u' or u'' of all users and items."""
        weights = iter(layers)
        return self.of_nodes(propagate(lambda x: self.subgraphs(next(weights), x), self.ego, self.n_layers))

    def losses(self, batch: Pairs, view: ModalityView) -> dict[str, Tensor]:
        rows = batch.nodes(self.catalog.n_users)
        nodes = propagate(self.adjacency, self.ego, self.n_layers)
        u, i, j = nodes.index_select(0, rows).chunk(3)
        terms = {
            "bpr": bpr((u * i).sum(1), (u * j).sum(1)),
            "ego_l2": self.ego_l2 * squared_l2(self.ego.index_select(0, rows), batch_size=len(batch.users)),
        }
        if self.lambda1:
            first, second = map(self.augmented, self._drawn)
            of_users = self.contrast(first.users, second.users, batch.users)
            terms["contrast"] = self.lambda1 * (of_users + self.contrast(first.items, second.items, batch.positives))
        return terms

    def contrast(self, first: Tensor, second: Tensor, anchors: Tensor) -> Tensor:
        """The mean over ``anchors`` int64 [B] of -log softmax over all n nodes of a kind, from both views [n, d]."""
        return chunked_info_nce(first.index_select(0, anchors), second, anchors, self.temperature)


def _check(values: dict[str, Any]) -> None:
    """Raises ConfigError for a keyword of SGL outside its choices or range."""
    check_choices(SGL.__init__, values)
    check_lowest(values, {"dim": 1, "n_layers": 1, "lambda1": 0, "ego_l2": 0})
    if not 0 <= values["rho"] < 1 or values["temperature"] <= 0:
        raise ConfigError(
            "model.rho must be in [0, 1) and model.temperature positive; got "
            f"rho={values['rho']}, temperature={values['temperature']}."
        )
