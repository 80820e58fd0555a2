"""CI2MG (Lin et al., MM 2023): contrastive intra- and inter-modality generation. methods.md section 5.

No code was released. Two profiles are YAML files over this class: ``ci2mg`` (recommended, the defaults) and
``ci2mg_literal`` (as printed, where print suffices to run). "C1" to "C31" name the rows of the table in methods.md 5.2
that a keyword decides. C21 (widths) and C28 (one mask for training and test) need none; C24, C25 are in ``training``,
C27 in ``missing``, C29 in ``imputer``.
"""

import logging
from collections.abc import Callable
from itertools import permutations
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recmm.data.batches import Pairs
from recmm.data.catalog import Catalog
from recmm.errors import ConfigError
from recmm.graph import symmetric_adjacency
from recmm.losses import bpr_of, contrast, squared_l2
from recmm.missing.view import ModalityView
from recmm.models.base import Embeddings, Recommender
from recmm.models.checks import check_choices, check_lowest, check_modalities
from recmm.models.training import Training
from recmm.nn.activations import Activation, activate
from recmm.nn.couplings import Coupled, Coupling, Couplings, Pair
from recmm.nn.hypergraph import ClusterHypergraph, Degree, HyperWeight, Incidence, Prototypes
from recmm.nn.modality_input import BlockNorm, Blocks, ColdItems, Projection, ProjectionKind, TwoHopMean
from recmm.nn.propagation import id_table, propagate
from recmm.nn.rows import centred, unit_rows
from recmm.nn.transport import TransportSettings

log = logging.getLogger(__name__)

Plans = dict[Pair, Coupling]


class CI2MG(Recommender):
    """What an item lacks is generated from its cluster and from other modalities, then guided by the task.

    The parts add up as in the paper's Table 3: ``intra``, ``inter``, ``contrast``, ``task``. With all of them off, what
    is left is LightGCN-M (variant a); without ``task`` the generated block is the mean of what ``intra`` and ``inter``
    made (the paper does not say). With one modality there is nothing to transport or contrast: both are left out.

    Args:
        dim: d. n_layers: layers of the ID graph (C3).
        id_gnn: C3, "lightgcn", on which Table 3 adds its parts, or "paper" (Eq. 2, with weights and activation).
        readout, id_act: C3, over the layers of Eq. 2; its activation.
        ego_l2: weight of half the squared norm of the batch's ego embeddings / their number, as in LightGCN; not in
            the paper.
        center: raw features less the mean of the visible ones. Not in the paper, and needed: with mean fill at 90 %
            missing all rows of F^V point the same way, all cosines of Eq. 4 are 1 and all rows of Q one vector.
        projection: C1. keep_own, cold: C2, see ``TwoHopMean``.
        n_prototypes, n_hyper_layers: K and L. incidence, incidence_temperature: C4. degree: C5. hyper_weight: C6.
            hyper_act, hyper_residual: C7. mask_sources: C8, only items that have a modality give to its hyperedges.
            prototypes: C9. prototype_epochs: epochs between two k-means of "kmeans_fixed".
            K is cut to the number of items.
        transport: C11, C13, how a plan is solved. What the paper leaves open, beside epsilon, iterations and gradient,
            is the scale of the cost, on which epsilon depends: at a fixed epsilon the plan is uniform or underflows as
            the embeddings shrink or grow. Hence the target perplexity of its rows.
        refresh: C11, plans are solved every "epoch", every "step", or every n epochs. detach: C11, plans are constants;
            false (only with refresh "step" and transport.method "dense") lets gradients through their solution.
        coupled: C10, "items" (plans [n_items, n_items]), "dims" (between the d coordinates of two modalities) or
            "batch" (random groups of ``training.batch_size`` items are coupled within, a block-diagonal plan).
        barycentre: C12, "printed" T^{mm'} Q^{m'}, or "target" T^{m'm} Q^m, m'-items mapped into the space of m.
        mu: C14, rows of T + dT are divided by the row sums of T ("plan", which are 1) or of both ("both").
        delta: C15, dT as none, P S^T ("lowrank"), a full matrix ("dense"), or a map of coordinates ("feature", [d, d]).
            "auto" is "dense" up to ``DENSE_DELTA_ITEMS`` items, else "lowrank". delta_rank: of P and S.
        source_mask: C31, only items that have m' are sources of Eq. 9; rows are normalised again.
        lambda1, temperature: weight and tau of Eq. 10. negatives: C16, the batch's items or all. contrast_both: C16,
            both directions, halved. contrast_missing: C16, anchors are only the items that lack the modality.
        psi: C17, what Eq. 11 fuses: "q_qhat", "q_f" (Q and F^V), "q_qhat_f". item_bias: C18, a bias per item.
            task_shared, task_act: C19.
        lambda2: weight of Eq. 12. rec_target: C20, what Z is compared with: "projected", as printed; "projected_sg",
            without its gradient; "standard", that again with every coordinate standardised over the visible items, as Z
            comes out of a batch normalisation (raw features of size 4 make Eq. 12 thirty times Eq. 14); "pca", a fixed
            projection; "raw", Z is decoded to D_m.
        user_side: C22, users by Eq. 1 or as means of completed items. block_norm: C23, see ``Blocks``.
        lambda3: C25, weight of the squared norm of all parameters in the loss, Eq. 15.
        generator_lr: C26, learning rate of Adam without decay for prototypes, hyperedge weights, dT and Eq. 11; None
            leaves them with the others.
        training: optimiser and batches.

    Raises:
        ConfigError: for a value outside its range, a catalogue without modalities, or contrast without both views.
    """

    DENSE_DELTA_ITEMS = 2048

    def __init__(
        self,
        catalog: Catalog,
        *,
        dim: int = 64,
        intra: bool = True,
        inter: bool = True,
        contrast: bool = True,
        task: bool = True,
        id_gnn: Literal["lightgcn", "paper"] = "lightgcn",
        n_layers: int = 2,
        readout: Literal["mean", "last", "concat"] = "mean",
        id_act: Activation = "leaky",
        ego_l2: float = 1e-4,
        center: bool = True,
        projection: ProjectionKind = "linear",
        keep_own: bool = False,
        cold: ColdItems = "raw",
        n_prototypes: int = 64,
        n_hyper_layers: int = 2,
        incidence: Incidence = "softmax",
        incidence_temperature: float = 0.1,
        degree: Degree = "sum",
        hyper_weight: HyperWeight = "diag",
        hyper_act: Activation = "leaky",
        hyper_residual: bool = False,
        mask_sources: bool = False,
        prototypes: Prototypes = "kmeans",
        prototype_epochs: int = 5,
        transport: TransportSettings = TransportSettings(),
        refresh: Literal["epoch", "step"] | int = "epoch",
        detach: bool = True,
        coupled: Coupled = "items",
        barycentre: Literal["printed", "target"] = "printed",
        mu: Literal["plan", "both"] = "plan",
        delta: Literal["none", "lowrank", "dense", "feature", "auto"] = "lowrank",
        delta_rank: int = 16,
        source_mask: bool = False,
        lambda1: float = 0.01,
        temperature: float = 0.2,
        negatives: Literal["batch", "all"] = "batch",
        contrast_both: bool = False,
        contrast_missing: bool = False,
        psi: Literal["q_qhat", "q_f", "q_qhat_f"] = "q_qhat",
        item_bias: bool = False,
        task_shared: bool = False,
        task_act: Activation = "leaky",
        lambda2: float = 1.0,
        rec_target: Literal["standard", "projected_sg", "projected", "pca", "raw"] = "standard",
        user_side: Literal["eq1", "completed"] = "eq1",
        block_norm: BlockNorm = "l2",
        lambda3: float = 0.0,
        generator_lr: float | None = None,
        training: Training = Training(),
    ) -> None:
        _check(locals())
        super().__init__(catalog, training)
        n_users, n_items, n_modalities = catalog.n_users, catalog.n_items, len(catalog.dims)
        if n_modalities == 1 and (inter or contrast):
            log.warning("With one modality CI2MG has nothing to transport or to contrast: both parts are left out.")
            inter = contrast = False
        self.intra, self.inter, self.contrast, self.task = intra, inter, contrast, task
        self.in_batch_losses = contrast and lambda1 > 0
        self.n_layers, self.readout, self.id_act = n_layers, readout, id_act
        self.ego_l2, self.center, self.prototype_epochs = ego_l2, center, prototype_epochs
        self.mask_sources, self.source_mask = mask_sources, source_mask
        self.refresh_every, self.barycentre, self.mu = refresh, barycentre, mu
        self.lambda1, self.temperature, self.negatives = lambda1, temperature, negatives
        self.contrast_both, self.contrast_missing = contrast_both, contrast_missing
        self.psi, self.task_act, self.lambda2, self.rec_target = psi, task_act, lambda2, rec_target
        self.user_side, self.lambda3, self.generator_lr = user_side, lambda3, generator_lr

        self.adjacency = symmetric_adjacency(catalog)
        self.ego = id_table(n_users + n_items, dim)  # X^(0)
        self.projection = Projection(list(catalog.dims.values()), dim, projection)
        self.two_hops = TwoHopMean(catalog, keep_own=keep_own, cold=cold)
        self.blocks = Blocks(n_modalities, block_norm)
        self.id_weights = nn.Parameter(_xavier(2 * n_layers, dim, dim)) if id_gnn == "paper" else None  # W^U, W^V
        if intra:
            if n_prototypes > n_items:
                log.warning("%d prototypes for %d items: cut to one per item.", n_prototypes, n_items)
            self.hypergraph = ClusterHypergraph(
                n_modalities,
                dim,
                min(n_prototypes, n_items),
                n_hyper_layers,
                incidence=incidence,
                temperature=incidence_temperature,
                degree=degree,
                weight=hyper_weight,
                act=hyper_act,
                residual=hyper_residual,
                prototypes=prototypes,
            )
        if inter:
            self.couplings = Couplings(
                catalog.modalities, transport, coupled, group_size=training.batch_size, detach=detach
            )
            if delta == "auto":
                delta = "dense" if n_items <= self.DENSE_DELTA_ITEMS else "lowrank"
            self.delta = delta
            n_pairs = n_modalities * (n_modalities - 1)  # ordered
            sizes = {"dense": (n_items, n_items), "feature": (dim, dim), "lowrank": (n_items, delta_rank)}
            if delta != "none":  # dT starts at zero, so that training starts from the plan itself
                self.delta_left = nn.Parameter(torch.zeros(n_pairs, *sizes[delta]))
            if delta == "lowrank":
                self.delta_right = nn.Parameter(torch.randn(n_pairs, n_items, delta_rank) * 0.01)
        if task:
            self.task_weight = nn.Parameter(
                _xavier(1 if task_shared else n_modalities, len(self._fused_names()) * dim, dim)
            )
            self.norm_scale = nn.Parameter(torch.ones(n_modalities, dim))
            self.norm_shift = nn.Parameter(torch.zeros(n_modalities, dim))
            self.item_bias = nn.Parameter(torch.zeros(n_items, n_modalities, dim)) if item_bias else None
            if rec_target == "pca":
                self.target_projection = Projection(list(catalog.dims.values()), dim, "pca")
            if rec_target == "raw":
                self.decoders = nn.ModuleList(nn.Linear(dim, width) for width in catalog.dims.values())

    # ------------------------------------------------------------------ 3.2.1 inputs, Eq. 1 and 2

    def prepare(self, view: ModalityView) -> list[Tensor]:
        raw = {m: view.features[m] for m in self.catalog.modalities}
        return [centred(x, view.visible(m)) if self.center else x for m, x in raw.items()]

    def identities(self) -> Tensor:
        """X of all users and items, Eq. 2 or LightGCN: [n_users + n_items, d], (n_layers + 1) d for "concat"."""
        if self.id_weights is None:
            return propagate(self.adjacency, self.ego, self.n_layers)
        users, items = self.of_nodes(self.ego)
        layers: list[Tensor] = [self.ego]
        for of_users, of_items in self.id_weights.unflatten(0, (-1, 2)):
            users, items = (  # both from the layer below
                activate(self.two_hops.over_items(items) @ of_users, self.id_act),
                activate(self.two_hops.over_users(users) @ of_items, self.id_act),
            )
            layers.append(torch.cat([users, items]))
        if self.readout == "last":
            return layers[-1]
        return torch.cat(layers, 1) if self.readout == "concat" else torch.stack(layers).mean(0)

    def inputs(self, view: ModalityView) -> tuple[Tensor, Tensor, Tensor]:
        """F-bar [n_items, M, d], and F^U [n_users, M, d], F^V [n_items, M, d] of Eq. 1."""
        projected = self.projection(self.prepared(view))
        users, items = self.two_hops(projected.flatten(1))
        return projected, self.by_modality(users), self.by_modality(items)

    def by_modality(self, x: Tensor) -> Tensor:
        """[n, M * d] -> [n, M, d]."""
        return x.unflatten(1, (len(self.catalog.dims), -1))

    # ------------------------------------------------------------------ intra-modality generation, Eq. 3-5

    def within(self, items: Tensor, view: ModalityView) -> Tensor:
        """Q of F^V, both [n_items, M, d]; F^V itself without ``intra``."""
        if not self.intra:
            return items
        return self.hypergraph(items, view.mask.float() if self.mask_sources else None)

    # ------------------------------------------------------------------ inter-modality generation, Eq. 6-9

    def between(self, q: Tensor, plans: Plans, view: ModalityView) -> Tensor:
        """Q-hat, Eq. 9, from Q, both [n_items, M, d]."""
        generated: list[list[Tensor]] = [[] for _ in self.catalog.modalities]
        for k, (m, other) in enumerate(permutations(range(len(generated)), 2)):
            first, second = (m, other) if self.barycentre == "printed" else (other, m)  # rows and columns of T
            generated[m].append(self._barycentres(q[:, second], _directed(plans, first, second), k, view, second))
        return torch.stack([torch.stack(parts).mean(0) for parts in generated], 1)

    def _barycentres(self, q: Tensor, transport: Any, k: int, view: ModalityView, second: int) -> Tensor:
        """diag(1 / mu) (T + dT) Q of the k-th ordered pair, Q [n_items, d] of modality ``second``."""
        if self.source_mask:
            sources = view.visible(self.catalog.modalities[second]).float()[:, None]
            rows = transport(sources)
            out = transport(q * sources) / rows.clamp_min(1e-8)
            out = torch.where(rows > 1e-8, out, transport(q))  # an item coupled to none that has the modality
        else:
            out = transport(q)
        if self.delta == "none":
            return out
        if self.delta == "feature":
            return out + q @ self.delta_left[k]
        adjust = self._adjustment(q, k)
        if self.mu == "plan":
            return out + adjust
        sums = 1 + self._adjustment(torch.ones_like(q[:, :1]), k)
        return (out + adjust) / torch.where(sums.abs() < 1e-2, 1e-2, sums)

    def _adjustment(self, x: Tensor, k: int) -> Tensor:
        """dT x of the k-th ordered pair."""
        if self.delta == "dense":
            return self.delta_left[k] @ x
        return self.delta_left[k] @ (self.delta_right[k].T @ x)

    # ------------------------------------------------------------------ 3.3.1 task-guided generation, Eq. 11

    def _fused_names(self) -> list[str]:
        """What Psi joins."""
        wanted = {"q_qhat": ["q", "q_hat"], "q_f": ["q", "f"], "q_qhat_f": ["q", "q_hat", "f"]}[self.psi]
        return [name for name in wanted if name != "q_hat" or self.inter]

    def guided(self, parts: dict[str, Tensor]) -> Tensor:
        """Z, Eq. 11, from Q, Q-hat and F^V, [n_items, M, d] each. The batch of BN is all items, at evaluation too."""
        psi = torch.cat([parts[name] for name in self._fused_names()], 2)
        z = (psi.transpose(0, 1) @ self.task_weight).transpose(0, 1)
        if self.item_bias is not None:
            z = z + self.item_bias
        scale, shift = self.norm_scale.flatten(), self.norm_shift.flatten()
        z = self.by_modality(F.batch_norm(z.flatten(1), None, None, scale, shift, training=True))
        return activate(z, self.task_act)

    # ------------------------------------------------------------------ 3.3.2 representation, Eq. 13

    def forward(self, view: ModalityView) -> dict[str, Tensor]:
        """Everything from Eq. 1 to Eq. 13; "users" and "items" are the final embeddings."""
        f_bar, f_users, f_items = self.inputs(view)
        parts = {"f_bar": f_bar, "f": f_items, "q": self.within(f_items, view)}
        block = parts["q"]
        if self.inter:
            if self.refresh_every == "step" and self.training:
                self.couplings.refresh(parts["q"], view.digest)
            plans = self.couplings.of(parts["q"], view.digest)
            parts["q_hat"] = self.between(parts["q"], plans, view)
            block = (parts["q"] + parts["q_hat"]) / 2
        if self.task:
            block = parts["z"] = self.guided(parts)
        if self.user_side == "completed":
            f_users = self.by_modality(self.two_hops.over_items(block.flatten(1)))
        ids = self.identities()
        parts["users"] = self.blocks(ids[: self.catalog.n_users], f_users)
        parts["items"] = self.blocks(ids[self.catalog.n_users :], block)
        return parts

    def represent(self, view: ModalityView) -> Embeddings:
        parts = self(view)
        return Embeddings(parts["users"], parts["items"])

    # ------------------------------------------------------------------ the objective, Eq. 14 and 15

    def losses(self, batch: Pairs, view: ModalityView) -> dict[str, Tensor]:
        parts = self(view)
        users, items = parts["users"][batch.users], parts["items"]
        positives, negatives = items[batch.positives], items[batch.negatives]
        terms = {"bpr": bpr_of(users, positives, negatives)}  # Eq. 14
        if self.contrast and self.lambda1:
            terms["contrast"] = self.lambda1 * self.contrasted(parts, batch, view)
        if self.task and self.lambda2:
            terms["reconstruction"] = self.lambda2 * self.reconstruction(parts, view)
        if self.ego_l2:
            terms["ego_l2"] = self.ego_l2 * squared_l2(*batch.gather(self.ego, self.catalog.n_users).chunk(3))
        if self.lambda3:
            squares = [p.square().sum() for p in self.main_parameters()]
            terms["l2"] = self.lambda3 * torch.stack(squares).sum()
        return terms

    def contrasted(self, parts: dict[str, Tensor], batch: Pairs, view: ModalityView) -> Tensor:
        """L_s, Eq. 10, as the mean over anchors, summed over modalities."""
        total = parts["q"].new_zeros(())
        items = torch.unique(batch.positives)  # an item that a batch holds twice is no negative of itself
        for m, modality in enumerate(self.catalog.modalities):
            anchors = items[~view.visible(modality)[items]] if self.contrast_missing else items
            if not len(anchors):
                continue
            q, q_hat = unit_rows(parts["q"][:, m]), unit_rows(parts["q_hat"][:, m])
            if self.negatives == "batch":
                q, q_hat, anchors = q[anchors], q_hat[anchors], torch.arange(len(anchors), device=q.device)
            loss = contrast(q[anchors], q_hat, anchors, self.temperature, among="all", tiled=False)
            if self.contrast_both:
                back = contrast(q_hat[anchors], q, anchors, self.temperature, among="all", tiled=False)
                loss = (loss + back) / 2
            total = total + loss
        return total

    def reconstruction(self, parts: dict[str, Tensor], view: ModalityView) -> Tensor:
        """L_rec, Eq. 12, as the mean over visible items and coordinates, summed over modalities."""
        total = parts["z"].new_zeros(())
        for m, modality in enumerate(self.catalog.modalities):
            visible = view.visible(modality).nonzero()[:, 0]
            if not len(visible):
                continue
            z, target = parts["z"][visible, m], parts["f_bar"][visible, m]
            if self.rec_target == "raw":
                z, target = self.decoders[m](z), self.prepared(view)[m][visible]
            elif self.rec_target == "pca":
                target = self.target_projection.maps[m](self.prepared(view)[m][visible])
            elif self.rec_target != "projected":
                target = target.detach()
                if self.rec_target == "standard":
                    target = (target - target.mean(0)) / (target.var(0, correction=0) + 1e-5).sqrt()
            total = total + F.mse_loss(z, target)
        return total

    # ------------------------------------------------------------------ what happens between epochs

    @torch.no_grad()
    def start_epoch(self, epoch: int, view: ModalityView) -> None:
        """Fixed projections and prototypes at the very start, prototypes and plans as often as asked for."""
        if epoch == 0:
            self.projection.fit(self.prepared(view), view.mask)
            if self.task and self.rec_target == "pca":
                self.target_projection.fit(self.prepared(view), view.mask)
        _, _, items = self.inputs(view)
        fixed = self.intra and self.hypergraph.origin == "kmeans_fixed"
        if self.intra and (epoch == 0 or (fixed and epoch % self.prototype_epochs == 0)):
            self.hypergraph.seed(items, view.mask)
        if not self.inter:
            return
        q = self.within(items, view)
        every = 1 if isinstance(self.refresh_every, str) else self.refresh_every
        if epoch % every == 0:
            self.couplings.refresh(q, view.digest)
        self.report(self.couplings.report(self.between(q, self.couplings.of(q, view.digest), view)))

    def main_parameter_groups(self) -> list[dict[str, Any]]:
        if self.generator_lr is None:
            return super().main_parameter_groups()
        names = ("hypergraph.", "delta_", "task_weight", "norm_", "item_bias")
        generator = [p for name, p in self.named_parameters() if name.startswith(names)]
        others = [p for name, p in self.named_parameters() if not name.startswith(names)]
        adam = {"params": generator, "lr": self.generator_lr, "weight_decay": 0.0}  # AdamW without decay is Adam
        return [{"params": others}, adam]


def _directed(plans: Plans, first: int, second: int) -> Callable[[Tensor], Tensor]:
    """x -> T^{first second} x."""
    if first < second:
        return plans[first, second].apply
    return plans[second, first].apply_transposed


def _xavier(n: int, rows: int, columns: int) -> Tensor:
    """n Xavier-uniform matrices [rows, columns]."""
    weights = torch.empty(n, rows, columns)
    for weight in weights:
        nn.init.xavier_uniform_(weight)
    return weights


def _check(values: dict[str, Any]) -> None:
    """Raises ConfigError for a keyword of CI2MG outside its choices or range, naming both."""
    check_choices(CI2MG.__init__, values)
    lowest = {"dim": 1, "n_layers": 0, "ego_l2": 0, "n_prototypes": 1, "n_hyper_layers": 1, "prototype_epochs": 1}
    lowest |= {"delta_rank": 1, "lambda1": 0, "lambda2": 0, "lambda3": 0}
    if not isinstance(values["refresh"], str):
        lowest["refresh"] = 1
    check_lowest(values, lowest)
    for name in ("temperature", "incidence_temperature", "generator_lr"):
        if values[name] is not None and values[name] <= 0:
            raise ConfigError(f"model.{name} must be positive; got {values[name]}.")
    if values["contrast"] and not values["inter"]:
        raise ConfigError("model.contrast compares the intra with the inter view; it needs model.inter=true.")
    if not values["detach"] and (values["refresh"] != "step" or values["transport"].method != "dense"):
        raise ConfigError("model.detach=false needs model.refresh=step and model.transport.method=dense.")
    if not values["detach"] and values["transport"].diagonal_bonus:
        raise ConfigError("model.detach=false does not go with model.transport.diagonal_bonus.")
    check_modalities(values, "CI2MG")
