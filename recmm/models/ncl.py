"""NCL (Lin et al., WWW 2022): LightGCN with contrasts to neighbours in structure and in meaning."""

from typing import Any

import torch
from torch import Tensor

from recmm.data.batches import Pairs
from recmm.data.catalog import Catalog
from recmm.graph import symmetric_adjacency
from recmm.losses import bpr_of, contrast, info_nce, squared_l2
from recmm.missing.view import ModalityView
from recmm.models.base import Embeddings, Recommender
from recmm.models.settings import MethodSettings, hp
from recmm.models.training import Training
from recmm.nn.clusters import kmeans
from recmm.nn.id_table import IdInit, id_table


class NCL(Recommender):
    """L = L_bpr + structure (L_s^users + alpha L_s^items) + prototype (L_p^users + L_p^items) + ego_l2 ||E^0||^2 / 2.

    LightGCN's layers are E^l = A^l E^0. L_s^users is the mean over a batch's users of

        -log exp(cos(E^2h_u, E^0_u) / temperature) / sum over all users v of exp(cos(E^2h_u, E^0_v) / temperature)

    where an even number of steps leads from users to users; L_s^items the same for its positive items among all items.
    L_p is the same of E^0_u and its k-means centre among all centres. Users and items are clustered apart, on E^0, at
    every epoch's start (the paper's E-step), and the centres have no gradient.

    The released code sums both contrasts over a batch of 4096 beside a mean of BPR; here all are means, so that its
    weights are multiplied by 4096. Its L2 term is of norms that are not squared; here it is LightGCN's.
    """

    class Settings(MethodSettings):
        """The authors' values, of those that they vary between datasets one within their range; but for the clusters,
        which are fewer as our catalogues are smaller than theirs.
        """

        dim: int = hp(64, "width d of the embeddings; authors 64", ge=1)
        n_layers: int = hp(3, "L, layers of LightGCN; authors 3", ge=0)
        hops: int = hp(1, "h, 2h steps lead to the neighbours in structure; authors 1", ge=1)
        structure: float = hp(4e-3, "weight of the contrast to neighbours in structure; authors 4e-4 to 4e-3", ge=0)
        alpha: float = hp(1.0, "weight of the items beside the users in that contrast; authors .8 to 1.5", ge=0)
        prototype: float = hp(4e-4, "weight of the contrast to cluster centres; authors 3e-4 to 4e-4", ge=0)
        n_clusters: int = hp(
            200,
            "centres of the users, and of the items; at most as many as there are of them; authors 1000, 2000",
            ge=1,
        )
        warm_up: int = hp(20, "epochs before the prototype contrast begins; authors 20", ge=0)
        temperature: float = hp(0.1, "of both contrasts; authors .05 to .1", gt=0)
        ego_l2: float = hp(1e-4, "weight of 1/2 ||ego embeddings of the batch||^2 / that batch's own size", ge=0)
        init: IdInit = hp("xavier", "of the IDs: xavier (uniform; authors) | normal (standard deviation 0.1)")
        training: Training = hp(
            Training(batch_size=4096), "authors: Adam, lr 1e-3, batches of 4096, every pair once an epoch"
        )

    settings: Settings
    uses_modalities = False

    def __init__(self, catalog: Catalog, **values: Any) -> None:
        super().__init__(catalog, **values)
        self.adjacency = symmetric_adjacency(catalog)
        self.ego = id_table(catalog.n_users + catalog.n_items, self.settings.dim, self.settings.init)
        self._clusters: list[tuple[Tensor, Tensor]] = []  # of users and of items; none during the warm-up

    def start_epoch(self, epoch: int, view: ModalityView) -> None:
        begun = self.settings.prototype and epoch >= self.settings.warm_up
        self._clusters = [self.clustered(x) for x in self.of_nodes(self.ego.detach())] if begun else []

    def clustered(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Centres [K, d] of x [n, d], and the nearest one of every row, int64 [n]."""
        centres = kmeans(x, min(self.settings.n_clusters, len(x)))
        return centres, torch.cdist(x, centres).argmin(1)

    def represent(self, view: ModalityView) -> Embeddings:
        return self.of_nodes(self.adjacency.propagate(self.ego, self.settings.n_layers))

    def final_and_context(self) -> tuple[Tensor, Tensor]:
        """LightGCN's output and E^2h, of all nodes [n_users + n_items, d]."""
        s, e, total, context = self.settings, self.ego, self.ego, self.ego
        for n_steps in range(1, max(s.n_layers, 2 * s.hops) + 1):
            e = self.adjacency(e)
            total = total + e if n_steps <= s.n_layers else total
            context = e if n_steps == 2 * s.hops else context
        return total / (s.n_layers + 1), context

    def losses(self, batch: Pairs, view: ModalityView) -> dict[str, Tensor]:
        s, n_users, terms = self.settings, self.catalog.n_users, {}
        if s.structure:
            nodes, context = self.final_and_context()
            terms["structure"] = s.structure * self.structure_contrast(self.of_nodes(context), batch)
        else:
            nodes = self.adjacency.propagate(self.ego, s.n_layers)
        u, i, j = batch.gather(nodes, n_users).chunk(3)
        ego = batch.gather(self.ego, n_users)
        if s.prototype:
            terms["prototype"] = s.prototype * self.prototype_contrast(ego, batch)
        return {
            "bpr": bpr_of(u, i, j),
            "ego_l2": s.ego_l2 * squared_l2(ego, batch_size=len(batch.users)),
            **terms,
        }

    def structure_contrast(self, context: Embeddings, batch: Pairs) -> Tensor:
        """L_s^users + alpha L_s^items, from E^2h of all nodes."""
        ego, s = self.of_nodes(self.ego), self.settings
        of_kinds = [
            contrast(around.index_select(0, anchors), own, anchors, s.temperature, among="all", merged=True)
            for around, own, anchors in zip(context, ego, (batch.users, batch.positives), strict=True)
        ]
        return of_kinds[0] + s.alpha * of_kinds[1]

    def prototype_contrast(self, ego: Tensor, batch: Pairs) -> Tensor:
        """L_p^users + L_p^items, from E^0 of the batch's nodes [3B, d]; 0 during the warm-up."""
        total = ego.new_zeros(())
        anchors = zip(ego.chunk(3)[:2], (batch.users, batch.positives), strict=True)
        for (rows, nodes), (centres, nearest) in zip(anchors, self._clusters, strict=False):
            total = total + info_nce(rows, centres, nearest[nodes], self.settings.temperature)
        return total
