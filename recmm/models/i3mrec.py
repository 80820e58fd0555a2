"""I3-MRec (Chen et al., MM 2025): invariant learning with an information bottleneck."""

from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recmm.data.batches import Pairs
from recmm.data.catalog import Catalog
from recmm.graph import symmetric_adjacency
from recmm.losses import bpr, bpr_of, gradient_variance, loss_variance, pairwise_info_nce, squared_l2
from recmm.missing.view import ModalityView
from recmm.models.base import Embeddings, Recommender
from recmm.models.settings import MethodSettings, hp
from recmm.models.training import Training
from recmm.nn.channels import propagate_channels
from recmm.nn.club import Conditionals
from recmm.nn.fusion import MaskedFusion, nonempty_masks
from recmm.settings import ComponentSettings


class IRM(ComponentSettings):
    """Invariant learning over the modalities, each of which is an environment (Eq. 7-9)."""

    key: ClassVar[str] = "model.irm"

    enabled: bool = hp(True, "false: without L_IRM; delta 0 leaves out the penalty alone")
    user: Literal["sum", "modality"] = hp("sum", "of Eq. 7: sum, E_u + e_u^m (code) | modality, e_u^m alone (paper)")
    reduce: Literal["sum", "mean"] = hp(
        "sum", "losses of the environments in Eq. 8: sum (code) | mean (paper: expectation)"
    )
    penalty: Literal["loss_variance", "gradient_variance"] = hp(
        "loss_variance",
        "of Eq. 8: loss_variance (code) | gradient_variance, of the losses' gradients with respect to theta_1 (paper), "
        "of which the environments share the user table alone",
    )


class Masks(ComponentSettings):
    """Consistency of what is fused under two masks (Eq. 13)."""

    key: ClassVar[str] = "model.masks"

    n_sampled: int | None = hp(
        None,
        "null: all 2^M - 1 non-empty masks (code) | so many, drawn anew in every step (paper, open how many)",
        ge=2,
    )
    pairs: Literal["ordered", "unordered"] = hp(
        "ordered", "ordered: both (c, c') and (c', c) (code) | unordered; paper: open"
    )
    negatives: Literal["cross", "intra"] = hp(
        "cross", "cross: under the positive's mask, the positive among them (code) | intra: under the anchor's (paper)"
    )
    scale: Literal["mean", "sum", "code"] = hp(
        "mean",
        "mean: over the pairs, times 7/6 of the number of all ordered pairs, so that alpha means the same as in the "
        "code however many pairs are taken | sum (paper) | code: 7/6 of the sum",
    )
    unique: bool = hp(True, "an item that a batch holds twice counts once; code false: it is a negative of itself")


class Club(ComponentSettings):
    """Networks q(z | x^m) that estimate the compression, and their optimiser, Adam with lr 1e-4 (Eq. 14)."""

    key: ClassVar[str] = "model.club"

    target: Literal["z", "proj"] = hp("z", "q is fitted to: z, what it scores | proj, the projected features (code)")
    in_main: bool = hp(False, "the main optimiser trains q too, lowering the bound by spoiling q; code true")
    visible_only: bool = hp(True, "items without modality m stay out of its bound; code false: with a zero row")
    plateau: bool = hp(False, "ReduceLROnPlateau: q's learning rate falls when its likelihood stalls; code true")


class I3MRec(Recommender):
    """Graph encoders of the modalities as environments of invariant learning, fused under simulated missingness.

        F^m = act(X^m W_m + b_m)                                                             Eq. 4
        e^m = mean over l = 0..L of A^l unit([E; F^m])                                       Eq. 5-6
        L_IRM = sum_m L^m + delta Var_m(L^m),  L^m = BPR of (E_u + e_u^m) e_i^m              Eq. 7-9
        z(c) = tanh(dropout(W mean_m c_m e_i^m)) under a mask c, z under the full one        Eq. 10
        L_rec = BPR of (E_u + mean_m e_u^m) z_i                                              Eq. 12
        L_pcon = sum over pairs of masks c, c' of InfoNCE(z(c), z(c'))                       Eq. 13
        L_comp = mean_m CLUB(sigmoid(x^m); sigmoid(z)), a bound of mutual information        Eq. 14
        L = L_rec + L_IRM + alpha L_pcon + beta L_comp + final_l2 ||final||^2 / 2            Eq. 15

    E are the users' IDs, A is the normalised adjacency of the user-item graph. An item without modality m has a zero
    row in X^m: its F^m is the bias, which is propagated. As printed, Eq. 14 rewards dependence on x^m and gives one
    network inputs of two widths; CLUB, which the text names, takes its place. The sigmoids are the released code's.
    """

    class Settings(MethodSettings):
        """The corrected profile: the released code ("code") with its evident defects removed, which are repeated items
        contrasted with themselves, an estimator fitted to another target than the one it scores, and items without a
        modality in that modality's bound. The choices i3mrec_code and i3mrec_paper are the code and the paper. With
        three modalities the code's own optimiser leaves out the audio estimator; no choice does that here."""

        dim: int = hp(64, "width d of all embeddings; paper 64", ge=1)
        n_layers: int = hp(3, "L, propagation layers, Eq. 6; not printed in the paper, code 3", ge=0)
        alpha: float = hp(1e-3, "weight of L_pcon, Eq. 13; paper 1e-3 (Baby, TikTok), 1e-2 (Clothing)", ge=0)
        beta: float = hp(1e-5, "weight of L_comp, Eq. 14; paper 1e-5 (Baby), 1e-3 (Clothing), 1e-6 (TikTok)", ge=0)
        delta: float = hp(100.0, "weight of the penalty, Eq. 8; paper 300 (Baby), 1 (Clothing), 1000 (TikTok)", ge=0)
        temperature: float = hp(0.4, "of InfoNCE, Eq. 13; paper: one of .01, .1, 1, 10; code .4", gt=0)
        dropout: float = hp(0.5, "in the fusion, anew for every mask; paper: not mentioned, code .5", ge=0, lt=1)
        final_l2: float = hp(
            1e-3,
            "weight of 1/2 ||final embeddings of the batch||^2 / batch_size; paper: Adam's weight decay instead",
            ge=0,
        )
        proj_act: Literal["none", "leaky"] = hp("none", "activation of Eq. 4: none (code) | leaky; paper: not named")
        norm0: bool = hp(True, "unit rows before propagation; paper: not mentioned, code true")
        fusion_in: Literal["mean", "concat"] = hp(
            "mean", "input of Eq. 10: mean, the sum of what the mask leaves / M (code) | concat (paper: unclear)"
        )
        fusion_detach: bool = hp(True, "no gradient from the fusion into the encoders; paper: not mentioned, code true")
        rec_user: Literal["sum", "id"] = hp("sum", "of Eq. 12: sum, E_u + mean_m e_u^m (code) | id, E_u alone (paper)")
        irm: IRM = hp(IRM(), "invariant learning over the modalities, Eq. 7-9")
        masks: Masks = hp(Masks(), "consistency between masks, Eq. 13")
        club: Club = hp(Club(), "estimator of the compression, Eq. 14")
        training: Training = hp(
            Training(),
            "paper: Adam, batch_size 1024, lr and weight_decay searched in 1e-5 .. 1e-1; code: 2048, 1e-3 (1e-2 on "
            "Clothing), 0",
        )

    settings: Settings
    in_batch_losses = True

    def __init__(self, catalog: Catalog, **values: Any) -> None:
        super().__init__(catalog, **values)
        s, widths = self.settings, list(catalog.dims.values())
        self.n_modalities = len(widths)
        self.adjacency = symmetric_adjacency(catalog)  # A
        self.user_table = nn.Parameter(torch.randn(catalog.n_users, s.dim) * 0.1)  # E
        self.projectors = nn.ModuleList(nn.Linear(width, s.dim) for width in widths)  # W_m, b_m
        self.fusion = MaskedFusion(len(widths), s.dim, pooling=s.fusion_in, dropout=s.dropout)
        self.register_buffer("masks", nonempty_masks(len(widths)), persistent=False)
        self.masks: Tensor
        self.conditionals: Conditionals | None = None
        if s.beta:
            self.conditionals = Conditionals(widths, s.dim, frozen=not s.club.in_main, plateau=s.club.plateau)

    def prepare(self, view: ModalityView) -> list[Tensor]:
        """X^m of every modality, rows of unit length or zero: M tensors [n_items, D_m]."""
        return [F.normalize(view.features[m]) for m in self.catalog.modalities]

    # ------------------------------------------------------------------ 4.1.1 collaborative modality graph learning

    def project(self, view: ModalityView) -> list[Tensor]:
        """F^m, Eq. 4: M tensors [n_items, d]."""
        projected = [project(x) for project, x in zip(self.projectors, self.prepared(view), strict=True)]
        return [F.leaky_relu(x) for x in projected] if self.settings.proj_act == "leaky" else projected

    def encode(self, view: ModalityView) -> Tensor:
        """e^m of all users and items, Eq. 5-6: [n_users + n_items, M * d], the modalities side by side."""
        items = torch.stack(self.project(view), 1)
        users: Tensor = self.user_table
        if self.settings.norm0:
            items, users = F.normalize(items, dim=2), F.normalize(users)
        return propagate_channels(self.adjacency, users, items.flatten(1), self.settings.n_layers)

    def by_modality(self, nodes: Tensor) -> Tensor:
        """[n, M * d] -> [n, M, d]."""
        return nodes.unflatten(1, (self.n_modalities, -1))

    # ------------------------------------------------------------------ 4.2.1 missing-aware fusion

    def fuse(self, items: Tensor, masks: Tensor, *, drop: bool) -> Tensor:
        """z under each mask, Eq. 10: e^m of n items [n, M, d], masks [K, M] -> [K, n, d]."""
        return self.fusion(items.detach() if self.settings.fusion_detach else items, masks, drop=drop)

    def ranking_user(self, ids: Tensor, by_modality: Tensor) -> Tensor:
        """The user of Eq. 12, from E_u [n, d] and e_u^m [n, M, d]."""
        return ids + by_modality.mean(1) if self.settings.rec_user == "sum" else ids

    def represent(self, view: ModalityView) -> Embeddings:
        e_u, e_i = self.of_nodes(self.by_modality(self.encode(view)))
        return Embeddings(self.ranking_user(self.user_table, e_u), self.fuse(e_i, self.masks[-1:], drop=False)[0])

    # ------------------------------------------------------------------ the objective, Eq. 15

    def losses(self, batch: Pairs, view: ModalityView) -> dict[str, Tensor]:
        s, n_users = self.settings, self.catalog.n_users
        nodes = self.encode(view)
        e_u, e_i, e_j = self.by_modality(batch.gather(nodes, n_users)).chunk(3)  # [B, M, d] each
        ids = self.user_table.index_select(0, batch.users)
        terms: dict[str, Tensor] = {}

        if s.irm.enabled:  # 4.1.2 invariant learning
            u = ids[:, None] + e_u if s.irm.user == "sum" else e_u
            environments = bpr((u * e_i).sum(2), (u * e_j).sum(2))  # Eq. 7 and 9, [M]
            terms["environments"] = environments.sum() if s.irm.reduce == "sum" else environments.mean()
            if s.delta:
                terms["invariance"] = s.delta * self.invariance(environments)  # Eq. 8

        user = self.ranking_user(ids, e_u)  # 4.2.2 information bottleneck
        z_i, z_j = (self.fuse(e, self.masks[-1:], drop=True)[0] for e in (e_i, e_j))
        terms["ranking"] = bpr_of(user, z_i, z_j)  # Eq. 12
        if s.alpha:
            items = torch.unique(batch.positives) if s.masks.unique else batch.positives
            terms["consistency"] = s.alpha * self.consistency(self.by_modality(nodes.index_select(0, n_users + items)))
        if self.conditionals is not None:
            rows = self.conditioned(view, batch.positives, [z_i] * self.n_modalities)
            terms["compression"] = s.beta * self.conditionals.bounds(*rows).mean()  # Eq. 14
        if s.final_l2:
            terms["final_l2"] = s.final_l2 * squared_l2(user, z_i, z_j, batch_size=self.full_batch_size)
        return terms

    def invariance(self, environments: Tensor) -> Tensor:
        """The penalty of Eq. 8, from the environments' losses [M]."""
        if self.settings.irm.penalty == "gradient_variance":
            return gradient_variance(environments, self.user_table)
        return loss_variance(environments)

    def consistency(self, items: Tensor) -> Tensor:
        """L_pcon, Eq. 13, over pairs of masks, from e^m of n items [n, M, d]."""
        s, masks, n_all = self.settings.masks, self.masks, len(self.masks)
        if s.n_sampled is not None:
            masks = masks[torch.randperm(n_all, device=masks.device)[: s.n_sampled]]
        views = self.fuse(items, masks, drop=True)
        total = pairwise_info_nce(views, self.settings.temperature, pairs=s.pairs, negatives=s.negatives)
        if s.scale == "sum" or len(masks) < 2:
            return total
        if s.scale == "code":  # the released code adds a sixth of the sum to the sum
            return total * 7 / 6
        n_pairs = len(masks) * (len(masks) - 1) // (1 if s.pairs == "ordered" else 2)
        return total / n_pairs * (7 / 6 * n_all * (n_all - 1))

    # ------------------------------------------------------------------ the estimator of Eq. 14

    def conditioned(
        self, view: ModalityView, items: Tensor | slice, targets: list[Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Rows of x^m and of each modality's target, of the items that take part in its bound."""
        conditions = [x[items] for x in self.prepared(view)]
        if self.settings.club.visible_only:
            rows = [visible.nonzero()[:, 0] for visible in view.mask[items].unbind(1)]
            conditions = [x[kept] for x, kept in zip(conditions, rows, strict=True)]
            targets = [z[kept] for z, kept in zip(targets, rows, strict=True)]
        return conditions, targets

    def start_epoch(self, epoch: int, view: ModalityView) -> None:
        """Fits the conditionals on the whole catalogue, without dropout and with nothing else trained."""
        if self.conditionals is None:
            return
        with torch.no_grad():
            of_z = self.settings.club.target == "z"
            targets = [self.represent(view).items] * self.n_modalities if of_z else self.project(view)
        self.conditionals.fit(*self.conditioned(view, slice(None), targets))
