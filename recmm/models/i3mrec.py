"""I3-MRec (Chen et al., MM 2025): invariant learning with an information bottleneck. methods.md section 6.

Three profiles are YAML files over this class: ``i3mrec`` (corrected, the defaults), ``i3mrec_code`` (as released) and
``i3mrec_paper`` (as printed). "I1" to "I29" name the rows of the table in methods.md 6.2 that a keyword decides.
"""

from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recmm.data.batches import Pairs
from recmm.data.catalog import Catalog
from recmm.errors import ConfigError
from recmm.graph import symmetric_adjacency
from recmm.losses import bpr, gradient_variance, irmv1_penalty, loss_variance, pairwise_info_nce, squared_l2
from recmm.missing.view import ModalityView
from recmm.models.base import Embeddings, Recommender
from recmm.models.checks import check_choices, check_lowest, check_modalities
from recmm.models.training import Training
from recmm.nn.club import Conditionals
from recmm.nn.fusion import MaskedFusion, nonempty_masks
from recmm.nn.propagation import propagate


class ItemContent(NamedTuple):
    """raw: M tensors [n_items, D_m] with unit or zero rows; available: float [n_items, M], 1 where visible."""

    raw: list[Tensor]
    available: Tensor


class I3MRec(Recommender):
    """Modality-wise graph encoders as environments of invariant learning, fused under simulated missingness.

    Args:
        dim, n_layers: width d of all embeddings; L propagation layers (I29).
        alpha, beta, delta: weights of L_pcon (Eq. 13), L_comp (Eq. 14) and of the penalty of Eq. 8.
        temperature, dropout: of InfoNCE (I14); of the fusion, with a fresh draw for every mask (I28).
        final_l2: weight of half the squared norm of the batch's final embeddings divided by the batch size (reg "emb").
        proj_act: I1, activation after the projection of Eq. 4.
        norm0: I2, unit rows before propagation.
        env_user: I3, the user of Eq. 7: "sum" is E_u + e_u^m, "modality" e_u^m alone.
        irm_reduce: I4, how Eq. 8 joins the environments' losses.
        irm: I5, penalty of Eq. 8: variance of the losses, of the gradients of the shared user table, or IRMv1;
            "none" leaves out L_IRM whole (delta = 0 keeps the environments without a penalty).
        mask_mode, n_masks: I6, Eq. 13 over all non-empty masks, or over ``n_masks`` of them drawn anew in every step.
        fusion_in: I7, input of Eq. 10, see ``MaskedFusion``.
        fusion_detach: I8, no gradient from the fusion into the encoders.
        rec_user: I10, the user of Eq. 12: "sum" is E_u + mean over m of e_u^m, "id" E_u alone.
        pcon_pairs, pcon_neg: I11, I12, see ``pairwise_info_nce``.
        pcon_scale: I13, "mean" over pairs with alpha rescaled to 7/6 alpha times the number of all ordered pairs, so
            that alpha means the same however many pairs are taken; "sum" as printed; "code" 7/6 of the sum.
        pcon_unique: every item of a batch is one row of Eq. 13; otherwise repetitions are each other's negatives.
        comp: I15, "club_x" bounds I(x; z), "club_e" I(e; z) given the encoders, "printed" is Eq. 14 to the letter.
        club_target: I16, the conditionals are fitted to z or to the projected features.
        club_in_main: I16, the main optimiser trains the conditionals too, in the direction that lowers the bound.
        club_squash: I17, a sigmoid on both inputs of Eq. 14.
        club_missing: I18, whether items without modality m take part in its bound.
        club_plateau: the conditionals' learning rate falls when their likelihood stalls.
        use_avail: I19, the fusion leaves out modalities that an item lacks and divides by the number left.
        zero_proj: I20, what an item lacks starts the propagation as zero and not as the projection's bias.
        reg: I21, ``final_l2`` on the final embeddings, or none beside Adam's ``training.weight_decay``.
        training: optimiser and batches.

    Raises:
        ConfigError: for a value outside its range, or a catalogue without modalities.
    """

    in_batch_losses = True

    def __init__(
        self,
        catalog: Catalog,
        *,
        dim: int = 64,
        n_layers: int = 3,
        alpha: float = 1e-3,
        beta: float = 1e-5,
        delta: float = 100.0,
        temperature: float = 0.4,
        dropout: float = 0.5,
        final_l2: float = 1e-3,
        proj_act: Literal["none", "leaky", "tanh"] = "none",
        norm0: bool = True,
        env_user: Literal["sum", "modality"] = "sum",
        irm_reduce: Literal["sum", "mean"] = "sum",
        irm: Literal["rex_loss", "grad_user", "irmv1", "none"] = "rex_loss",
        mask_mode: Literal["all", "sampled"] = "all",
        n_masks: int = 2,
        fusion_in: Literal["mean_M", "mean_active", "concat"] = "mean_M",
        fusion_detach: bool = True,
        rec_user: Literal["sum", "id"] = "sum",
        pcon_pairs: Literal["ordered", "unordered"] = "ordered",
        pcon_neg: Literal["cross", "intra"] = "cross",
        pcon_scale: Literal["mean", "sum", "code"] = "mean",
        pcon_unique: bool = True,
        comp: Literal["club_x", "club_e", "printed", "none"] = "club_x",
        club_target: Literal["z", "proj"] = "z",
        club_in_main: bool = False,
        club_squash: bool = True,
        club_missing: Literal["exclude", "include"] = "exclude",
        club_plateau: bool = False,
        use_avail: bool = False,
        zero_proj: bool = False,
        reg: Literal["emb", "adam_wd"] = "emb",
        training: Training = Training(),
    ) -> None:
        _check(locals())
        super().__init__(catalog, training)
        self.n_layers, self.proj_act, self.norm0, self.zero_proj = n_layers, proj_act, norm0, zero_proj
        self.irm, self.irm_reduce, self.delta = irm, irm_reduce, delta
        self.env_user, self.rec_user = env_user, rec_user
        self.fusion_detach, self.use_avail = fusion_detach, use_avail
        self.alpha, self.temperature, self.n_masks = alpha, temperature, n_masks if mask_mode == "sampled" else None
        self.pcon_pairs, self.pcon_neg = pcon_pairs, pcon_neg
        self.pcon_scale, self.pcon_unique = pcon_scale, pcon_unique
        self.beta, self.comp, self.club_target, self.club_missing = beta, comp, club_target, club_missing
        self.club_in_main = club_in_main
        self.final_l2 = final_l2 if reg == "emb" else 0.0

        widths = list(catalog.dims.values())
        self.n_modalities = len(widths)
        self.adjacency = symmetric_adjacency(catalog)
        self.user_table = nn.Parameter(torch.randn(catalog.n_users, dim) * 0.1)  # E
        self.projectors = nn.ModuleList(nn.Linear(width, dim) for width in widths)  # W_m, b_m
        self.fusion = MaskedFusion(len(widths), dim, pooling=fusion_in, dropout=dropout)  # h
        self.register_buffer("masks", nonempty_masks(len(widths)), persistent=False)
        self.masks: Tensor
        self.conditionals: Conditionals | None = None
        if comp != "none" and beta > 0:  # q(z | x^m), then q(z | e^m), as far as Eq. 14 is read to need them
            conditions = {"club_x": widths, "club_e": [dim] * len(widths), "printed": widths + [dim] * len(widths)}
            self.conditionals = Conditionals(
                conditions[comp], dim, squash=club_squash, frozen=not club_in_main, plateau=club_plateau
            )

    def prepare(self, view: ModalityView) -> ItemContent:
        return ItemContent([F.normalize(view.features[m]) for m in self.catalog.modalities], view.mask.float())

    # ------------------------------------------------------------------ 4.1.1 collaborative modality graph learning

    def project(self, content: ItemContent) -> list[Tensor]:
        """F^m = act(X^m W_m + b_m), Eq. 4: M tensors [n_items, d]."""
        act = {"none": lambda x: x, "leaky": F.leaky_relu, "tanh": torch.tanh}[self.proj_act]
        return [act(projector(x)) for projector, x in zip(self.projectors, content.raw, strict=True)]

    def encode(self, content: ItemContent) -> Tensor:
        """e^m of all users and items, Eq. 4-6: [n_users + n_items, M * d], the modalities side by side."""
        items = torch.stack(self.project(content), 1)
        if self.zero_proj:
            items = items * content.available[..., None]
        users: Tensor = self.user_table
        if self.norm0:
            items, users = F.normalize(items, dim=2), F.normalize(users)
        layer0 = torch.cat([users.repeat(1, self.n_modalities), items.flatten(1)])
        return propagate(self.adjacency, layer0, self.n_layers)

    # ------------------------------------------------------------------ 4.2.1 missing-aware fusion

    def fuse(self, items: Tensor, available: Tensor, masks: Tensor, *, drop: bool) -> Tensor:
        """z under each mask, Eq. 10: e^m of n items [n, M, d], available [n, M], masks [K, M] -> [K, n, d]."""
        items = items.detach() if self.fusion_detach else items
        return self.fusion(items, masks, available if self.use_avail else None, drop=drop)

    def ranking_user(self, ids: Tensor, by_modality: Tensor) -> Tensor:
        """The user of Eq. 12, from E_u [n, d] and e_u^m [n, M, d]."""
        return ids + by_modality.mean(1) if self.rec_user == "sum" else ids

    def represent(self, view: ModalityView) -> Embeddings:
        content, n_users = self.prepared(view), self.catalog.n_users
        nodes = self.by_modality(self.encode(content))
        z = self.fuse(nodes[n_users:], content.available, self.masks[-1:], drop=False)[0]
        return Embeddings(self.ranking_user(self.user_table, nodes[:n_users]), z)

    def by_modality(self, nodes: Tensor) -> Tensor:
        """[n, M * d] -> [n, M, d]."""
        return nodes.unflatten(1, (self.n_modalities, -1))

    # ------------------------------------------------------------------ the objective, Eq. 15

    def losses(self, batch: Pairs, view: ModalityView) -> dict[str, Tensor]:
        content = self.prepared(view)
        nodes = self.encode(content)
        wanted = batch.nodes(self.catalog.n_users)
        e_u, e_i, e_j = self.by_modality(nodes.index_select(0, wanted)).chunk(3)  # [B, M, d] each
        ids = self.user_table.index_select(0, batch.users)
        terms: dict[str, Tensor] = {}

        if self.irm != "none":  # 4.1.2 invariant learning
            u = ids[:, None] + e_u if self.env_user == "sum" else e_u
            positives, negatives = (u * e_i).sum(2), (u * e_j).sum(2)  # Eq. 7, [B, M]
            environments = bpr(positives, negatives)  # Eq. 9, [M]
            terms["environments"] = environments.sum() if self.irm_reduce == "sum" else environments.mean()  # Eq. 8
            if self.delta:
                terms["invariance"] = self.delta * self.invariance(environments, positives - negatives)

        full, available = self.masks[-1:], content.available  # 4.2.2 information bottleneck
        user = self.ranking_user(ids, e_u)
        z_i = self.fuse(e_i, available[batch.positives], full, drop=True)[0]
        z_j = self.fuse(e_j, available[batch.negatives], full, drop=True)[0]
        terms["ranking"] = bpr((user * z_i).sum(1), (user * z_j).sum(1))  # Eq. 12
        if self.alpha:
            i = torch.unique(batch.positives) if self.pcon_unique else batch.positives
            items = self.by_modality(nodes.index_select(0, self.catalog.n_users + i))
            terms["consistency"] = self.alpha * self.consistency(items, available[i])  # Eq. 13
        if self.conditionals is not None:
            terms["compression"] = self.beta * self.compression(  # Eq. 14
                self.conditionals, content, batch.positives, e_i, z_i
            )
        if self.final_l2:
            terms["final_l2"] = self.final_l2 * squared_l2(user, z_i, z_j, batch_size=self.full_batch_size)
        return terms

    def invariance(self, environments: Tensor, margins: Tensor) -> Tensor:
        """The penalty of Eq. 8, from the environments' losses [M] and their margins [B, M]."""
        if self.irm == "grad_user":
            return gradient_variance(environments, self.user_table)
        return irmv1_penalty(margins) if self.irm == "irmv1" else loss_variance(environments)

    def consistency(self, items: Tensor, available: Tensor) -> Tensor:
        """L_pcon, Eq. 13, over pairs of masks: e^m of n items [n, M, d], available [n, M]."""
        n_all, masks = len(self.masks), self.masks
        if self.n_masks is not None:
            masks = masks[torch.randperm(n_all, device=masks.device)[: self.n_masks]]
        views = self.fuse(items, available, masks, drop=True)
        total = pairwise_info_nce(views, self.temperature, pairs=self.pcon_pairs, negatives=self.pcon_neg)
        if self.pcon_scale == "sum" or len(masks) < 2:
            return total
        if self.pcon_scale == "code":  # the released code adds a sixth of the sum to the sum
            return total * 7 / 6
        n_pairs = len(masks) * (len(masks) - 1) // (1 if self.pcon_pairs == "ordered" else 2)
        return total / n_pairs * (7 / 6 * n_all * (n_all - 1))

    def compression(self, q: Conditionals, content: ItemContent, items: Tensor, e: Tensor, z: Tensor) -> Tensor:
        """L_comp, Eq. 14, from items int64 [B] with their e^m [B, M, d] and z [B, d]."""
        conditions, targets = self.conditioned(content, items, e, [z] * self.n_modalities)
        if self.comp != "printed":
            return q.bounds(conditions, targets).mean()
        on_x, on_e = q.log_likelihoods(conditions, targets).chunk(2)
        return (on_e - on_x).mean()

    # ------------------------------------------------------------------ the conditionals q of Eq. 14

    def conditioned(
        self, content: ItemContent, items: Tensor | slice, e: Tensor, targets: list[Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """What each q is conditioned on, rows of x^m or of e^m, and its target rows, of the items that take part."""
        conditions = [raw[items] for raw in content.raw] if self.comp != "club_e" else []
        conditions += list(e.detach().unbind(1)) if self.comp != "club_x" else []
        targets = targets * (len(conditions) // self.n_modalities)
        if self.club_missing == "exclude":
            rows = [column.nonzero()[:, 0] for column in content.available[items].unbind(1)]
            rows *= len(conditions) // self.n_modalities
            conditions = [c[kept] for c, kept in zip(conditions, rows, strict=True)]
            targets = [t[kept] for t, kept in zip(targets, rows, strict=True)]
        return conditions, targets

    def start_epoch(self, epoch: int, view: ModalityView) -> None:
        """Fits the conditionals on the whole catalogue, without dropout and with nothing else trained."""
        if self.conditionals is None:
            return
        content = self.prepared(view)
        with torch.no_grad():
            items = self.by_modality(self.encode(content)[self.catalog.n_users :])
            z = self.fuse(items, content.available, self.masks[-1:], drop=False)[0]
            targets = self.project(content) if self.club_target == "proj" else [z] * self.n_modalities
        self.conditionals.fit(*self.conditioned(content, slice(None), items, targets))


def _check(values: dict[str, Any]) -> None:
    """Raises ConfigError for a keyword of I3MRec outside its choices or range, naming both."""
    check_choices(I3MRec.__init__, values)
    lowest = {"dim": 1, "n_layers": 0, "n_masks": 2, "alpha": 0, "beta": 0, "delta": 0, "final_l2": 0}
    check_lowest(values, lowest)
    if values["temperature"] <= 0 or not 0 <= values["dropout"] < 1:
        raise ConfigError(
            "model.temperature must be positive and model.dropout in [0, 1); got "
            f"temperature={values['temperature']}, dropout={values['dropout']}."
        )
    check_modalities(values, "I3-MRec")
