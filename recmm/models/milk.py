"""MILK (Bai et al., SIGIR 2024): multimodality invariant learning, made for new items."""

from itertools import combinations
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Dirichlet

from recmm.data.batches import Pairs, first_occurrences
from recmm.data.catalog import Catalog
from recmm.losses import bpr, loss_variance, squared_l2
from recmm.missing.view import ModalityView
from recmm.models.base import Embeddings, Recommender
from recmm.models.settings import MethodSettings, hp
from recmm.models.training import Training


class MILK(Recommender):
    """Items are what their modalities say, v^m = W_m x^m / ||x^m|| + b_m; there is no item ID and no graph.

    An environment e mixes the modalities, s^e = u . sum_m lambda^e_m v^m. There are 1 + M of them: equal shares, and
    the M cyclic shifts of one draw lambda ~ Dir(alpha, ..., alpha), a fresh one in every step. With L_e the BPR loss
    of environment e,

        loss = sum_e L_e + penalty Var_e(L_e) + align MSE(v^m, v^m') + final_l2 / 2B sum (||u||^2 + ||i||^2 + ||j||^2)

    where the last term takes the items of equal shares. Ranking uses equal shares, too. What an item lacks enters as
    the imputer filled it; zeros become b_m.

    Source is the released code. The paper's own equations were not at hand, so that no difference between the two is
    known here and none is switched. What the sources leave open: one lambda serves a whole batch; with three or more
    modalities the MSE is the mean over their pairs; with a single one there is one environment, hence neither penalty
    nor alignment.
    """

    class Settings(MethodSettings):
        """Its task is split=item_cold_start eval.candidates=cold. "Code" is the released code. "DGMRec" gives the
        values that its authors tuned for Baby / Clothing / Sports / TikTok with modalities missing.
        """

        dim: int = hp(64, "width d of all embeddings; code 64", ge=1)
        alpha: float = hp(
            0.1,
            "of the Dirichlet draws; small values draw environments in which one modality speaks alone; code .1; "
            "DGMRec .2 / .1 / .2 / .1",
            gt=0,
        )
        penalty: float = hp(
            50.0,
            "weight of the unbiased variance of the environments' losses; code 50, 1000 for Baby; DGMRec "
            "1000 / 1000 / 500 / 50",
            ge=0,
        )
        align: float = hp(
            0.05,
            "weight of the mean squared difference between an item's modalities, over the distinct positives of the "
            "batch that lack none of them; code .05, .1 for Baby; DGMRec .3 / .5 / .4 / .05",
            ge=0,
        )
        final_l2: float = hp(
            2e-4, "weight of 1/2 ||embeddings of the batch||^2 / batch size; code 1e-4 without the half", ge=0
        )
        pooling: Literal["mean", "available"] = hp(
            "mean",
            "shares of the modalities at ranking: mean (equal over all, imputed ones too; code) | available (equal "
            "over those that the item has, a zero vector if none; DGMRec, for all-item ranking)",
        )
        training: Training = hp(Training(), "code: Adam, lr 1e-3, batches of 2048, every training pair once an epoch")

    settings: Settings
    in_batch_losses = True

    def __init__(self, catalog: Catalog, **values: Any) -> None:
        super().__init__(catalog, **values)
        s = self.settings
        widths = list(catalog.dims.values())
        self.users = nn.Parameter(torch.randn(catalog.n_users, s.dim) * 0.1)
        self.projectors = nn.ModuleList(nn.Linear(width, s.dim) for width in widths)  # W_m, b_m
        self.register_buffer("concentration", torch.full((len(widths),), s.alpha), persistent=False)
        self.concentration: Tensor

    def prepare(self, view: ModalityView) -> list[Tensor]:
        """Raw features with unit or zero rows: M tensors [n_items, D_m]."""
        return [F.normalize(view.features[m]) for m in self.catalog.modalities]

    def project(self, features: list[Tensor]) -> Tensor:
        """v^m of n items: M tensors [n, D_m] -> [n, M, d]."""
        return torch.stack([project(x) for project, x in zip(self.projectors, features, strict=True)], 1)

    def represent(self, view: ModalityView) -> Embeddings:
        items = self.project(self.prepared(view))
        if self.settings.pooling == "mean":
            return Embeddings(self.users, items.mean(1))
        available = view.mask.float()
        shares = available / available.sum(1, keepdim=True).clamp_min(1)
        return Embeddings(self.users, (items * shares[..., None]).sum(1))

    def environments(self) -> Tensor:
        """lambda: [1 + M, M], equal shares and the cyclic shifts of one draw; [1, 1] for a single modality."""
        m = len(self.concentration)
        equal = torch.full_like(self.concentration, 1 / m)
        if m == 1:
            return equal[None]
        drawn = Dirichlet(self.concentration, validate_args=False).sample()  # validation would wait for the device
        return torch.stack([equal, *(drawn.roll(shift) for shift in range(m))])

    def losses(self, batch: Pairs, view: ModalityView) -> dict[str, Tensor]:
        rows, features = torch.cat([batch.positives, batch.negatives]), self.prepared(view)
        i, j = self.project([x.index_select(0, rows) for x in features]).chunk(2)  # [B, M, d] each
        u = self.users.index_select(0, batch.users)
        mixes = self.environments().T
        by_environment = bpr((u[:, None] * i).sum(2) @ mixes, (u[:, None] * j).sum(2) @ mixes)  # [1 + M]
        terms = {"environments": by_environment.sum()}
        if self.settings.penalty:
            terms["invariance"] = self.settings.penalty * loss_variance(by_environment)
        if self.settings.align and i.shape[1] > 1:
            terms["alignment"] = self.settings.align * self.alignment(i, batch.positives, view.mask)
        if self.settings.final_l2:
            terms["final_l2"] = self.settings.final_l2 * squared_l2(u, i.mean(1), j.mean(1))
        return terms

    def alignment(self, items: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
        """Mean over pairs of modalities and over distinct complete items of ||v^m - v^m'||^2 / d; 0 without such items.

        Args:
            items: v^m of a batch, [B, M, d].
            ids: int64 [B], which items they are.
            mask: bool [n_items, M], what is visible.
        """
        counted = (first_occurrences(ids, len(mask)) & mask.index_select(0, ids).all(1)).float()
        differences = [(v - w).square().mean(1) for v, w in combinations(items.unbind(1), 2)]
        return (torch.stack(differences).mean(0) * counted).sum() / counted.sum().clamp_min(1)
