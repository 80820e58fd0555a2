"""MMSSL (Wei et al., WWW 2023): relations that each modality suggests, an adversary against them, and a contrast."""

from functools import partial
from typing import Any, ClassVar, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from recmm.data.batches import Pairs
from recmm.data.catalog import Catalog
from recmm.losses import bpr_of, mutual_info_nce, squared_l2
from recmm.missing.view import ModalityView
from recmm.models.base import Embeddings, Recommender
from recmm.models.settings import MethodSettings, hp
from recmm.models.stages import Opponent, Stage
from recmm.models.training import Training
from recmm.nn.adversary import Critic, gradient_penalty
from recmm.nn.id_table import id_table
from recmm.nn.modality_attention import ModalityAttention
from recmm.nn.modality_input import Projection
from recmm.nn.modality_relations import OneSidedPropagation, Relation
from recmm.nn.rows import select, unit_rows
from recmm.settings import ComponentSettings


class Adversary(ComponentSettings):
    """The critic that tells a user's row of modality scores from its row of interactions."""

    key: ClassVar[str] = "model.adversary"

    weight: float = hp(1e-4, "weight of deceiving the critic; 0: there is none; released code 1e-4", ge=0)
    n_users: int | None = hp(32, "users of a batch whose rows it sees; null: all (released code)", ge=2)
    hidden: int | None = hp(
        128, "width of its first hidden layer, the second has half; null: n_items / 4 (released code)", ge=2
    )
    penalty: float = hp(0.3, "weight of the gradient penalty in the critic's loss; released code .3", ge=0)
    similarity: float = hp(100.0, "weight of cos(u, i) in the rows of interactions; released code 100", ge=0)
    lr: float = hp(3e-4, "of the critic's Adam, with betas .5 and .9; released code 3e-4", gt=0)


class Encoded(NamedTuple):
    """One forward pass, of all nodes: mean of e^l [n_nodes, d], F^m and u^m, i^m, [n_nodes, M, d] each."""

    nodes: Tensor
    features: Tensor
    related: Tensor

    def final(self, rows: Tensor | slice, side: float) -> Tensor:
        """Final embeddings of some nodes, [n, d]."""
        return select(self.nodes, rows) + side * unit_rows(select(self.features, rows)).sum(1)


class MMSSL(Recommender):
    """Final = mean over l = 0..L of e^l + side sum_m norm(F^m); a score is an inner product.

        P_u = D_U^-1/2 R,  P_i = D_V^-1/2 R^T
        f^m = dropout(X^m W_m + b_m),  F_U^m = P_u f^m,  F_V^m = P_i F_U^m
        G^m links every user to the k best items of F_U^m F_V^mT outside its history
        u^m = mean over G^m of the item IDs,  i^m = mean over G^mT of the user IDs
        e^0 = ID + guidance norm(attention over the modalities of u^m, or i^m)
        e_U^l = P_u e_V^(l-1),  e_V^l = P_i e_U^l;  the last layer through a softmax over its d features
        fake rows = norm of F_U^m F_V^mT without the history,  real rows = norm(softmax((R + 1e-5 Gumbel) / .005)
            + similarity cos(u, i)),  D a critic with values in 0..100
        L = L_bpr + contrast sum_m NCE(u^m, u) - adversary.weight mean D(fake) + final_l2 ||batch||^2 / 2B
            + feature_l2 sum_m ||F^m||^2 / (2 n_items)
        L_D = mean D(fake) - mean D(real) + adversary.penalty mean (||grad D(mixed rows)|| - 1)^2

    NCE has the other users of both views as negatives. The released code rebuilds G^m after every step from the best
    int(1e-4 n_items) items, which are none on small catalogues, and keeps none from an epoch's second step on: u^m and
    i^m are zero, so that neither attention nor contrast has an effect (k 0, mmssl_code). Its attention has the query's
    modality in place of the key's and is the identity (attention identity). Here G^m is found for all users at every
    epoch's start, and anew for an evaluation's view. Its first G^m, R itself, is left out. The sum with cos(u, i) and
    slope .01 of the critic's LeakyReLU are our reading. The released code is for image and text.
    """

    class Settings(MethodSettings):
        """The released values, but for G^m, attention and the size of the critic. ``mmssl_code`` is the released code,
        whose critic needs several minutes of CPU an epoch.
        """

        dim: int = hp(64, "width d of all embeddings; released code 64", ge=1)
        n_layers: int = hp(2, "L, propagation layers; released code 2", ge=1)
        last: Literal["softmax", "plain"] = hp("softmax", "last layer: softmax over its features (released) | plain")
        k: int = hp(5, "items that G^m links a user to; 0: G^m is empty (released code on small catalogues)", ge=0)
        attention: Literal["modalities", "identity"] = hp(
            "modalities", "over the modalities | identity: their mean, then a linear map (released code)"
        )
        n_heads: int = hp(4, "heads of the attention; released code 4", ge=1)
        guidance: float = hp(0.36, "weight of what G^m brings into e^0; released code .36", ge=0)
        side: float = hp(0.55, "weight of the modalities in the final embeddings; released code .55", ge=0)
        dropout: float = hp(0.2, "of the projected features; released code .2", ge=0, lt=1)
        contrast: float = hp(0.03, "weight of the contrast; released code .03", ge=0)
        temperature: float = hp(0.5, "of the contrast; released code .5", gt=0)
        adversary: Adversary = hp(Adversary(), "the critic and what it is worth")
        final_l2: float = hp(1e-5, "weight of 1/2 ||final embeddings of the batch||^2 / batch_size", ge=0)
        feature_l2: float = hp(1e-5, "weight of 1/2 sum_m ||F^m||^2 / n_items; released code 1e-5", ge=0)
        training: Training = hp(
            Training(optimizer="adamw", lr=5e-3, weight_decay=1e-2, batch_size=4096),
            "released code: adamw, lr 5.5e-4, weight_decay 1e-2, batches of 1024, pairs: user",
        )

    settings: Settings
    in_batch_losses = True

    def __init__(self, catalog: Catalog, **values: Any) -> None:
        super().__init__(catalog, **values)
        s, n_modalities = self.settings, len(catalog.dims)
        self.graph = OneSidedPropagation(catalog)
        self.ego = id_table(catalog.n_users + catalog.n_items, s.dim)
        self.projection = Projection(list(catalog.dims.values()), s.dim)
        if s.k:
            self.attention = ModalityAttention(n_modalities, s.dim, s.n_heads, identity=s.attention == "identity")
        if s.adversary.weight:
            self.critic = Critic(catalog.n_items, s.adversary.hidden or catalog.n_items // 4, (0.31, 0.5))
        self._related: dict[str, list[Relation]] = {}  # of this epoch by the view's digest
        self._shared: tuple[Pairs, Encoded] | None = None  # the critic's batch and forward pass

    def stages(self) -> list[Stage]:
        adversary = self.settings.adversary
        if not adversary.weight:
            return [Stage()]
        optimizer = partial(torch.optim.Adam, lr=adversary.lr, betas=(0.5, 0.9))
        return [Stage(opponents={"critic": Opponent(self.critic.parameters, self.critic_losses, optimizer)})]

    # ------------------------------------------------------------------ relations that the modalities suggest

    def start_epoch(self, epoch: int, view: ModalityView) -> None:
        self._related = {}

    def of_this_epoch(self, view: ModalityView) -> list[Relation]:
        if view.digest not in self._related:
            self._related[view.digest] = self.relations(view)
        return self._related[view.digest]

    @torch.no_grad()
    def relations(self, view: ModalityView) -> list[Relation]:
        """G^m of every modality; none with k 0."""
        if not self.settings.k:
            return []
        f = self.of_nodes(self.graph.two_hops(self.projection(list(view.features.values()))))
        pairs = zip(*(x.unbind(1) for x in f), strict=True)
        return [self.graph.best(users, items, self.settings.k) for users, items in pairs]

    # ------------------------------------------------------------------ representation

    def encode(self, view: ModalityView, relations: list[Relation]) -> Encoded:
        s = self.settings
        f = self.projection(list(view.features.values()))
        features = self.graph.two_hops(F.dropout(f, s.dropout, self.training))
        ids, related = self.of_nodes(self.ego), torch.zeros_like(features)
        nodes: Tensor = self.ego
        if relations:
            to_users = torch.stack([relation.to_users(ids.items) for relation in relations], 1)
            to_items = torch.stack([relation.to_items(ids.users) for relation in relations], 1)
            related = torch.cat([to_users, to_items])
            nodes = nodes + s.guidance * unit_rows(self.attention(related))
        return Encoded(self.graph(nodes, s.n_layers, s.last), features, related)

    def encoded_for(self, batch: Pairs, view: ModalityView) -> Encoded:
        """The critic's forward pass, if it was on this batch: nothing has changed since. Otherwise a new one."""
        shared, self._shared = self._shared, None
        if shared is not None and shared[0] is batch:
            return shared[1]
        return self.encode(view, self.of_this_epoch(view))

    def represent(self, view: ModalityView) -> Embeddings:
        return self.of_nodes(self.encode(view, self.relations(view)).final(slice(None), self.settings.side))

    # ------------------------------------------------------------------ objectives

    def losses(self, batch: Pairs, view: ModalityView) -> dict[str, Tensor]:
        s, n_users = self.settings, self.catalog.n_users
        encoded = self.encoded_for(batch, view)
        u, i, j = encoded.final(batch.nodes(n_users), s.side).chunk(3)
        terms = {
            "bpr": bpr_of(u, i, j),
            "final_l2": s.final_l2 * squared_l2(u, i, j, batch_size=self.full_batch_size),
            "feature_l2": s.feature_l2 * squared_l2(encoded.features, batch_size=self.catalog.n_items),
        }
        if s.contrast and s.k:
            users = torch.unique(batch.users)
            final = encoded.final(users, s.side)
            views = encoded.related.index_select(0, users).unbind(1)
            nce = torch.stack([mutual_info_nce(related, final, s.temperature) for related in views])
            terms["contrast"] = s.contrast * nce.sum()
        if s.adversary.weight:
            judged = self.critic.as_judge(self.fake_rows(encoded, self.seen(batch)))
            terms["adversary"] = -s.adversary.weight * judged.mean()
        return terms

    def critic_losses(self, batch: Pairs, view: ModalityView) -> dict[str, Tensor]:
        encoded, users = self.encode(view, self.of_this_epoch(view)), self.seen(batch)
        self._shared = (batch, encoded)  # the method's own step on this batch goes on from here
        with torch.no_grad():
            fake, real = self.fake_rows(encoded, users), self.real_rows(encoded, users)
        of_pairs = real.repeat(len(fake) // len(real), 1)
        return {
            "fake": self.critic(fake).mean(),
            "real": -self.critic(real).mean(),
            "penalty": self.settings.adversary.penalty * gradient_penalty(self.critic, of_pairs, fake),
        }

    def seen(self, batch: Pairs) -> Tensor:
        """The users whose rows the critic sees, two at least, as it normalises over its batch."""
        users = batch.users[: self.settings.adversary.n_users]
        return users if len(users) > 1 else users.repeat(2)

    def history_rows(self, users: Tensor) -> Tensor:
        """R of n users, dense: [n, n_items]."""
        chosen = self.ego.new_zeros(self.catalog.n_users, len(users))
        chosen[users, torch.arange(len(users), device=users.device)] = 1
        return self.graph.histories.transposed()(chosen).T

    def fake_rows(self, encoded: Encoded, users: Tensor) -> Tensor:
        """Of n users by every modality, [M n, n_items]."""
        of_users, of_items = self.of_nodes(encoded.features)
        unknown = 1 - self.history_rows(users)
        pairs = zip(of_users.index_select(0, users).unbind(1), of_items.unbind(1), strict=True)
        return torch.cat([unit_rows(u @ i.T * unknown) for u, i in pairs])

    def real_rows(self, encoded: Encoded, users: Tensor) -> Tensor:
        """Of n users, [n, n_items]."""
        s, items = self.settings, slice(self.catalog.n_users, None)
        of_users, of_items = (unit_rows(encoded.final(rows, s.side)) for rows in (users, items))
        known = self.history_rows(users)
        gumbel = -torch.empty_like(known).exponential_().log()
        chosen = ((known + 1e-5 * gumbel) / 0.005).softmax(1)
        return unit_rows(chosen + s.adversary.similarity * of_users @ of_items.T)
