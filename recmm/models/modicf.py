"""MoDiCF (Li et al., WWW 2025): modalities completed by a diffusion, and a head that takes their own effect off."""

from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recmm.data.batches import Pairs
from recmm.data.catalog import Catalog
from recmm.losses import bpr, mutual_info_nce, squared_l2
from recmm.missing.view import ModalityView
from recmm.models.base import Embeddings, Recommender
from recmm.models.settings import MethodSettings, hp
from recmm.models.stages import Items, Stage
from recmm.models.training import Training
from recmm.nn.completion import Completion, CompletionSettings
from recmm.nn.id_table import id_table
from recmm.nn.modality_attention import ModalityAttention
from recmm.nn.modality_relations import OneSidedPropagation, Relation
from recmm.nn.rows import centred, unit_rows


class Encoded(NamedTuple):
    """One forward pass: final [n_nodes, d], kappa [n_items], G^m, and u^m [n_users, M, d] (None without G^m)."""

    nodes: Tensor
    kappa: Tensor
    relations: list[Relation]
    related: Tensor | None


def _forget(model: nn.Module, _: Any) -> None:
    """What other weights completed."""
    assert isinstance(model, MoDiCF)
    model._completed = {}


class MoDiCF(Recommender):
    """First what items lack is generated from what they have; then MMSSL without its adversary ranks, times a head.

        x~_i^m = x_i^m, or where it is hidden a sample of the diffusion given the item's other modalities
        f^m = leaky(V_m leaky(W_m x~^m)),  F_U^m = P_u f^m,  F_V^m = P_i F_U^m,  P_u = D_U^-1/2 R,  P_i = D_V^-1/2 R^T
        G^m relates every user to the k best items of F_U^m F_V^mT outside its history
        u^m = mean over G^m of the item IDs,  i^m = mean over G^mT of the user IDs
        e^0 = ID + guidance norm(attention over the modalities of u^m, or i^m)
        final = mean over l = 0..L of e^l + side sum_m norm(F^m);  s = final_u . final_i
        kappa_i = MLP([f_i^1 ‖ ... ‖ f_i^M])
        L = BPR of s sigmoid(kappa) + direct BPR of kappa + contrast sum_m NCE(u^m, final_u) + final_l2 ||batch||^2 / 2B
        a score is (s - gamma) sigmoid(kappa_i), without the effect that an item's content has whoever the user is

    x^m are raw features, less the mean of the visible ones, with rows of unit length. The completion (``recmm.nn``) is
    a stage of batches of items before ranking. It sees the mask of its phase alone: validation and test items are
    completed from what their own phase shows. Then it is frozen, or trained on with the rest (``joint``) and completes
    anew every epoch; DDIM passes no gradient from the ranking.

    Kept out of the released code: its choice of the completion's epoch by the error on hidden entries, which are not
    known; features scaled before they are masked; a condition that carries the very noise to be predicted; a gradient
    from the diffusion into its own latents, without which alpha_1 is no more than a learning rate. NCE has all users of
    both views as negatives, in tiles; a step takes ``contrast_users`` as anchors, the released code all. Its G^m
    are empty on small catalogues and its attention is the identity; ours are as described for MMSSL (Wei et al., 2023).
    """

    class Settings(MethodSettings):
        """The released values for TikTok where they are known, with networks for a CPU and learning rates to match;
        ``modicf_code`` trains and scores like the released code.
        """

        dim: int = hp(64, "width d of all embeddings; released code 256 (Baby), 128 (Allrecipes)", ge=1)
        joint: bool = hp(False, "true: the completion is trained on with the ranking (released code) | false: frozen")
        completion: CompletionSettings = hp(CompletionSettings(), "networks of the completion, and its stage")
        n_layers: int = hp(2, "L, propagation layers; released code 2", ge=0)
        last: Literal["softmax", "plain"] = hp("softmax", "last layer: softmax over its features (released) | plain")
        k: int = hp(10, "items that G^m relates a user to; 0: none (released code on small catalogues)", ge=0)
        attention: Literal["modalities", "identity"] = hp(
            "modalities", "over the modalities | identity: their mean, then a linear map (released code)"
        )
        n_heads: int = hp(4, "of the attention; released code 4 (TikTok), 8", ge=1)
        guidance: float = hp(0.3, "weight of what G^m brings into e^0; released code .3 (TikTok), .4", ge=0)
        side: float = hp(0.6, "weight of the modalities at the end; released code .6 (TikTok), .7 (Baby), .3", ge=0)
        contrast: float = hp(0.06, "lambda_1, weight of NCE; released code .06 (TikTok), .09 (Baby), .15", ge=0)
        contrast_users: int | None = hp(256, "anchors of NCE in a step; null: all users (released code)", ge=1)
        temperature: float = hp(0.5, "of NCE; released code .5", gt=0)
        direct: float = hp(0.3, "alpha_2, weight of the BPR of kappa; released code .3 (TikTok), .7 (Baby), .5", ge=0)
        gamma: float = hp(0.01, "taken off s in a score; released code .01 (Baby), 20 (TikTok), chosen on test", ge=0)
        final_l2: float = hp(1e-5, "weight of 1/2 ||final embeddings of the batch||^2 / batch_size", ge=0)
        training: Training = hp(
            Training(batch_size=4096),
            "released code: Adam, lr 1e-4, batches of 2048, pairs: user; batches of 4096 halve an epoch's time",
        )

    settings: Settings
    in_batch_losses = True

    def __init__(self, catalog: Catalog, **values: Any) -> None:
        super().__init__(catalog, **values)
        s, widths = self.settings, list(catalog.dims.values())
        self.completion = Completion(widths, s.completion)
        self.encoders = nn.ModuleList(
            nn.Sequential(nn.Linear(width, s.dim), nn.LeakyReLU(), nn.Linear(s.dim, s.dim), nn.LeakyReLU())
            for width in widths
        )
        self.head = nn.Sequential(nn.Linear(len(widths) * s.dim, s.dim), nn.LeakyReLU(), nn.Linear(s.dim, 1))
        self.graph = OneSidedPropagation(catalog)
        self.ego = id_table(catalog.n_users + catalog.n_items, s.dim)
        if s.k:
            self.attention = ModalityAttention(len(widths), s.dim, s.n_heads, identity=s.attention == "identity")
        self._completed: dict[str, list[Tensor]] = {}  # x~ by the view's digest, see ``completed``
        self.register_load_state_dict_post_hook(_forget)
        self._relations: list[Relation] | None = None  # of this epoch

    def prepare(self, view: ModalityView) -> list[Tensor]:
        """x^m with zeros where it is hidden: M tensors [n_items, D_m]."""
        pairs = zip(view.features.values(), view.mask.unbind(1), strict=True)
        return [unit_rows(centred(x, visible)) * visible[:, None] for x, visible in pairs]

    # ------------------------------------------------------------------ completion

    def stages(self) -> list[Stage]:
        s, completion = self.settings.completion, self.completion
        ranked = None if self.settings.joint else self.ranking_parameters
        items = Items(s.batch_size)
        return [
            Stage("completion", s.epochs, self.completion_losses, completion.parameters, s.lr, items, ranks=False),
            Stage("ranking", parameters=ranked),
        ]

    def ranking_parameters(self) -> list[nn.Parameter]:
        return [p for name, p in self.named_parameters() if not name.startswith("completion.")]

    def completion_losses(self, items: Tensor, view: ModalityView) -> dict[str, Tensor]:
        return self.completion.losses([x[items] for x in self.prepared(view)], view.mask[items])

    @property
    def is_frozen(self) -> bool:
        """Whether the completion has been trained."""
        return not self.settings.joint and self.stage.name == "ranking"

    def start_epoch(self, epoch: int, view: ModalityView) -> None:
        self._relations = None
        if not self.is_frozen:
            self._completed = {}

    def complete(self, view: ModalityView) -> list[Tensor]:
        """x~^m of all items under this view: M tensors [n_items, D_m]."""
        seed = self.settings.training.seed
        return [unit_rows(x) for x in self.completion.complete(self.prepared(view), view.mask, seed)]

    def completed(self, view: ModalityView) -> list[Tensor]:
        """The same, made once an epoch, or once for all when the completion is frozen."""
        if view.digest not in self._completed:
            self._completed[view.digest] = self.complete(view)
        return self._completed[view.digest]

    # ------------------------------------------------------------------ representation

    def relate(self, features: Tensor) -> list[Relation]:
        """G^m of every modality from F^m [n_nodes, M, d]; none with k 0."""
        if not self.settings.k:
            return []
        pairs = zip(*(x.unbind(1) for x in self.of_nodes(features)), strict=True)
        return [self.graph.best(users, items, self.settings.k) for users, items in pairs]

    def encode(self, completed: list[Tensor], relations: list[Relation] | None) -> Encoded:
        """Everything from x~ and G^m, which is found here if it is not given."""
        s = self.settings
        f = torch.stack([encoder(x) for encoder, x in zip(self.encoders, completed, strict=True)], 1)
        features = self.graph.two_hops(f)
        relations = self.relate(features) if relations is None else relations
        ids, related = self.of_nodes(self.ego), None
        nodes: Tensor = self.ego
        if relations:
            related = torch.stack([relation.to_users(ids.items) for relation in relations], 1)
            of_items = torch.stack([relation.to_items(ids.users) for relation in relations], 1)
            nodes = nodes + s.guidance * unit_rows(self.attention(torch.cat([related, of_items])))
        nodes = self.graph(nodes, s.n_layers, s.last)
        final = nodes + s.side * unit_rows(features).sum(1)
        return Encoded(final, self.head(f.flatten(1))[:, 0], relations, related)

    def represent(self, view: ModalityView) -> Embeddings:
        """(s - gamma) sigmoid(kappa) as an inner product: users [final, 1], items sigmoid(kappa) [final, -gamma]."""
        encoded = self.encode(self.completed(view) if self.is_frozen else self.complete(view), None)
        users, items = self.of_nodes(encoded.nodes)
        gate = encoded.kappa.sigmoid()[:, None]
        gated = torch.cat([gate * items, -self.settings.gamma * gate], 1)
        return Embeddings(F.pad(users, (0, 1), value=1.0), gated)

    # ------------------------------------------------------------------ objectives

    def losses(self, batch: Pairs, view: ModalityView) -> dict[str, Tensor]:
        s = self.settings
        encoded = self.encode(self.completed(view), self._relations)
        self._relations = encoded.relations
        u, i, j = batch.gather(encoded.nodes, self.catalog.n_users).chunk(3)
        kappa = [encoded.kappa.index_select(0, items) for items in (batch.positives, batch.negatives)]
        positive, negative = ((u * x).sum(1) * k.sigmoid() for x, k in zip((i, j), kappa, strict=True))
        terms = {
            "bpr": bpr(positive, negative),
            "direct": s.direct * bpr(*kappa),
            "final_l2": s.final_l2 * squared_l2(u, i, j, batch_size=self.full_batch_size),
        }
        if s.contrast and encoded.related is not None:
            terms["contrast"] = s.contrast * self.user_contrast(encoded.related, self.of_nodes(encoded.nodes).users)
        if s.joint:
            terms |= self.completion_losses(torch.unique(batch.positives), view)
        return terms

    def user_contrast(self, related: Tensor, final: Tensor) -> Tensor:
        """sum over m of NCE(u^m, final), whose candidates are all users in both views but the anchor itself.

        Args:
            related: u^m, [n_users, M, d].
            final: [n_users, d].
        """
        anchors = torch.randperm(len(final), device=final.device)[: self.settings.contrast_users]
        temperature = self.settings.temperature
        return torch.stack([mutual_info_nce(x, final, temperature, anchors) for x in related.unbind(1)]).sum()
