"""CI2MG (Lin et al., MM 2023): contrastive intra- and inter-modality generation."""

import logging
from typing import Any, Literal, Self

import torch
from pydantic import model_validator
from torch import Tensor, nn

from recmm.data.batches import Pairs
from recmm.data.catalog import Catalog
from recmm.errors import ConfigError
from recmm.graph import symmetric_adjacency
from recmm.losses import bpr_of, contrast, squared_l2
from recmm.missing.view import ModalityView
from recmm.models.base import Embeddings, Recommender
from recmm.models.settings import MethodSettings, hp
from recmm.models.training import Training
from recmm.nn.activations import activate
from recmm.nn.barycentres import Barycentres, DeltaSettings
from recmm.nn.couplings import Couplings
from recmm.nn.guided import GuidanceSettings, GuidedGeneration
from recmm.nn.hypergraph import ClusterHypergraph, HypergraphSettings
from recmm.nn.id_table import id_table
from recmm.nn.initialisation import xavier_matrices
from recmm.nn.modality_input import Blocks, ColdItems, Projection, TwoHopMean
from recmm.nn.rows import centred, unit_rows
from recmm.nn.transport import TransportSettings

log = logging.getLogger(__name__)


class CI2MG(Recommender):
    """What an item lacks is generated from its cluster and from other modalities, then guided by the task.

        F^{U,m}, F^{V,m} = two-hop means of F-bar^m = X^m W_m + b_m (Eq. 1)
        Q^m = hypergraph convolution of F^{V,m} over K clusters (Eq. 3-5)
        Q-hat^m = the other modalities' Q, carried over by optimal transport (Eq. 6-9)
        Z^m = act(BN([Q^m ‖ Q-hat^m] W^m)) (Eq. 11)
        users [X^U ‖ F^{U,1} ‖ ... ‖ F^{U,M}], items [X^V ‖ Z^1 ‖ ... ‖ Z^M] (Eq. 13); X of LightGCN or Eq. 2
        L = L_bpr + lambda1 contrast(Q, Q-hat) + lambda2 reconstruction(Z, F-bar) + lambda3 ||parameters||^2 (Eq. 15)

    The parts add up as in the paper's Table 3: ``intra``, ``inter``, ``contrast``, ``task``. With all of them off it is
    LightGCN-M, variant a; without ``task``, Z is the mean of Q and Q-hat (the paper does not say). With one modality
    there is nothing to transport or to contrast, and both parts are left out.

    Raises:
        ConfigError: also if the contrast is on without the inter-modality generation.
    """

    class Settings(MethodSettings):
        """The recommended profile. No code was released and the paper leaves much open: "paper" and "as printed" say
        what it prints, "ours" what it does not. The profile ci2mg_literal is what is printed, as far as that runs.
        """

        dim: int = hp(64, "width d of all embeddings; paper 64", ge=1)
        intra: bool = hp(True, "intra-modality generation, Eq. 3-5; with all four parts off: LightGCN-M, variant a")
        inter: bool = hp(True, "inter-modality generation, Eq. 6-9")
        contrast: bool = hp(True, "contrast of the two views, Eq. 10; needs inter")
        task: bool = hp(True, "task-guided generation, Eq. 11-12; false: Z is the mean of the two views")
        id_gnn: Literal["lightgcn", "paper"] = hp(
            "lightgcn",
            "IDs by lightgcn, to which the paper's Table 3 adds the parts | paper, Eq. 2, with weights and LeakyReLU "
            "(slope 0.2), mean over the layers; activation and read-out are ours",
        )
        n_layers: int = hp(2, "layers of the ID graph; paper: one of 1, 2, 3, 4", ge=0)
        ego_l2: float = hp(
            1e-4, "weight of 1/2 ||ego IDs of the batch||^2 / batch size, as in LightGCN; paper: see lambda3", ge=0
        )
        center: bool = hp(
            True,
            "raw features less the mean of the visible ones; not in the paper: with mean imputation at 90 % missing "
            "nearly all rows of F^V have one direction, all cosines of Eq. 4 are 1 and all rows of Q one vector",
        )
        cold: ColdItems = hp(
            "raw", "items without training interactions: raw, their own features | zero, Eq. 1 as printed"
        )
        n_prototypes: int = hp(
            64, "K, hyperedges per modality, at most the number of items; paper: 64 or 256 (Fig. 4)", ge=1
        )
        n_hyper_layers: int = hp(2, "L, layers of Eq. 5; paper 2", ge=1)
        lambda1: float = hp(0.01, "weight of Eq. 10; paper: one of .001, .01, .1, 1, best about .01 (Fig. 4)", ge=0)
        temperature: float = hp(0.2, "tau of Eq. 10; paper: in (0, 1]", gt=0)
        negatives: Literal["batch", "all"] = hp(
            "batch", "denominator of Eq. 10: batch, its distinct items | all items, as printed"
        )
        lambda2: float = hp(1.0, "weight of Eq. 12; paper: one of .001, .01, .1, 1, best about 1 (Fig. 4)", ge=0)
        block_norm: Literal["l2", "none"] = hp(
            "l2",
            "rows of the modality blocks of Eq. 13: l2, unit length | none, as printed (at the start rows of Z have "
            "length 8 and those of X .1)",
        )
        lambda3: float = hp(
            0.0, "weight of ||all parameters||^2, Eq. 15; 0, as the paper's AdamW has weight_decay too", ge=0
        )
        hypergraph: HypergraphSettings = hp(HypergraphSettings(), "Eq. 3-5")
        transport: TransportSettings = hp(TransportSettings(), "Eq. 6-8")
        delta: DeltaSettings = hp(DeltaSettings(), "Eq. 9")
        guidance: GuidanceSettings = hp(GuidanceSettings(), "Eq. 11-12")
        training: Training = hp(
            Training(optimizer="adamw", weight_decay=1.2e-2),
            'paper: "AdamW and Adam as the optimizer for the generator" (here AdamW for all), lr one of 4.5e-4, 5e-4, '
            "5.4e-3, 5.6e-3, and of 2.5e-4, 3e-4, 3.5e-3; weight_decay one of 1.2e-2, 1.4e-2, 1.6e-2; batches open",
        )

        @model_validator(mode="after")
        def _contrast_has_both_views(self) -> Self:
            if self.contrast and not self.inter:
                raise ConfigError("model.contrast compares the intra with the inter view; it needs model.inter=true.")
            return self

    settings: Settings

    def __init__(self, catalog: Catalog, **values: Any) -> None:
        super().__init__(catalog, **values)
        s, n_items, n_modalities = self.settings, catalog.n_items, len(catalog.dims)
        if n_modalities == 1 and s.inter:
            log.warning("With one modality CI2MG has nothing to transport or to contrast: both parts are left out.")
        self.inter = s.inter and n_modalities > 1
        self.contrast = s.contrast and n_modalities > 1 and s.lambda1 > 0
        self.in_batch_losses = self.contrast
        self.adjacency = symmetric_adjacency(catalog)
        self.ego = id_table(catalog.n_users + n_items, s.dim)  # X^(0)
        self.projection = Projection(list(catalog.dims.values()), s.dim)  # W_m, b_m
        self.two_hops = TwoHopMean(catalog, cold=s.cold)
        self.blocks = Blocks(n_modalities, s.block_norm)
        self.id_weights = (  # W^U and W^V of each layer
            nn.Parameter(xavier_matrices(2 * s.n_layers, s.dim, s.dim)) if s.id_gnn == "paper" else None
        )
        if s.intra:
            if s.n_prototypes > n_items:
                log.warning("%d prototypes for %d items: cut to one per item.", s.n_prototypes, n_items)
            n_prototypes = min(s.n_prototypes, n_items)
            self.hypergraph = ClusterHypergraph(n_modalities, s.dim, n_prototypes, s.n_hyper_layers, s.hypergraph)
        if self.inter:
            self.couplings = Couplings(catalog.modalities, s.transport)
            self.barycentres = Barycentres(n_modalities, n_items, s.delta)
        if s.task:
            self.guided = GuidedGeneration(n_items, n_modalities, s.dim, 2 if self.inter else 1, s.guidance)

    # ------------------------------------------------------------------ 3.2.1 inputs, Eq. 1 and 2

    def prepare(self, view: ModalityView) -> list[Tensor]:
        """X^m of every modality, [n_items, D_m]."""
        raw = [view.features[m] for m in self.catalog.modalities]
        if not self.settings.center:
            return raw
        return [centred(x, visible) for x, visible in zip(raw, view.mask.unbind(1), strict=True)]

    def identities(self) -> Tensor:
        """X of all users and items, [n_users + n_items, d]."""
        if self.id_weights is None:
            return self.adjacency.propagate(self.ego, self.settings.n_layers)
        users, items = self.of_nodes(self.ego)
        layers: list[Tensor] = [self.ego]
        for of_users, of_items in self.id_weights.unflatten(0, (-1, 2)):
            users, items = (  # Eq. 2, both from the layer below
                activate(self.two_hops.over_items(items) @ of_users, "leaky"),
                activate(self.two_hops.over_users(users) @ of_items, "leaky"),
            )
            layers.append(torch.cat([users, items]))
        return torch.stack(layers).mean(0)

    def inputs(self, view: ModalityView) -> tuple[Tensor, Tensor, Tensor]:
        """F-bar [n_items, M, d], and F^U [n_users, M, d], F^V [n_items, M, d] of Eq. 1."""
        projected = self.projection(self.prepared(view))
        users, items = self.two_hops(projected.flatten(1))
        return projected, users.unflatten(1, projected.shape[1:]), items.unflatten(1, projected.shape[1:])

    # ------------------------------------------------------------------ generation and representation, Eq. 3-13

    def within(self, items: Tensor) -> Tensor:
        """Q of F^V, both [n_items, M, d], Eq. 3-5; F^V itself without ``intra``."""
        return self.hypergraph(items) if self.settings.intra else items

    def forward(self, view: ModalityView) -> dict[str, Tensor]:
        """Everything from Eq. 1 to Eq. 13; "users" and "items" are the final embeddings."""
        f_bar, f_users, f_items = self.inputs(view)
        parts = {"f_bar": f_bar, "f": f_items, "q": self.within(f_items)}
        views, block = [parts["q"]], parts["q"]
        if self.inter:
            if self.settings.transport.refresh == "step" and self.training:
                self.couplings.refresh(parts["q"], view.digest)
            plans = self.couplings.of(parts["q"], view.digest)  # Eq. 6-8
            parts["q_hat"] = self.barycentres(parts["q"], plans)  # Eq. 9
            views.append(parts["q_hat"])
            block = (parts["q"] + parts["q_hat"]) / 2
        if self.settings.task:
            block = parts["z"] = self.guided(views)  # Eq. 11
        ids = self.of_nodes(self.identities())
        parts["users"], parts["items"] = self.blocks(ids.users, f_users), self.blocks(ids.items, block)  # Eq. 13
        return parts

    def represent(self, view: ModalityView) -> Embeddings:
        parts = self(view)
        return Embeddings(parts["users"], parts["items"])

    # ------------------------------------------------------------------ the objective, Eq. 10, 12, 14 and 15

    def losses(self, batch: Pairs, view: ModalityView) -> dict[str, Tensor]:
        s, parts = self.settings, self(view)
        users, items = parts["users"][batch.users], parts["items"]
        positives, negatives = items[batch.positives], items[batch.negatives]
        terms = {"bpr": bpr_of(users, positives, negatives)}  # Eq. 14
        if self.contrast:
            terms["contrast"] = s.lambda1 * self.contrasted(parts["q"], parts["q_hat"], batch)  # Eq. 10
        if s.task and s.lambda2:
            reconstruction = self.guided.reconstruction(parts["z"], parts["f_bar"], view.mask)  # Eq. 12
            terms["reconstruction"] = s.lambda2 * reconstruction
        if s.ego_l2:
            terms["ego_l2"] = s.ego_l2 * squared_l2(*batch.gather(self.ego, self.catalog.n_users).chunk(3))
        if s.lambda3:
            squares = [p.square().sum() for p in self.main_parameters()]
            terms["l2"] = s.lambda3 * torch.stack(squares).sum()
        return terms

    def contrasted(self, intra: Tensor, inter: Tensor, batch: Pairs) -> Tensor:
        """L_s, Eq. 10, of Q and Q-hat [n_items, M, d], as the mean over the batch's items, summed over modalities.

        The similarity s, which the paper does not name, is the cosine.
        """
        total = intra.new_zeros(())
        items = torch.unique(batch.positives)  # an item that a batch holds twice is no negative of itself
        for m in range(intra.shape[1]):
            q, q_hat, anchors = unit_rows(intra[:, m]), unit_rows(inter[:, m]), items
            if self.settings.negatives == "batch":
                q, q_hat = q.index_select(0, items), q_hat.index_select(0, items)
                anchors = torch.arange(len(items), device=q.device)
            total = total + contrast(
                q.index_select(0, anchors), q_hat, anchors, self.settings.temperature, among="all", tiled=False
            )
        return total

    # ------------------------------------------------------------------ what happens between epochs

    @torch.no_grad()
    def start_epoch(self, epoch: int, view: ModalityView) -> None:
        """Places the prototypes at the very start, and solves the plans as often as asked for."""
        _, _, items = self.inputs(view)
        if self.settings.intra and epoch == 0:
            self.hypergraph.seed(items, view.mask)
        if not self.inter:
            return
        q = self.within(items)
        if self.couplings.due(epoch):
            self.couplings.refresh(q, view.digest)
        self.report(self.couplings.report(self.barycentres(q, self.couplings.of(q, view.digest))))
