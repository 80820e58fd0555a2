"""MILK (Bai et al., SIGIR 2024): multimodality invariant learning, made for new items. methods.md section 7.21."""

from itertools import combinations
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Dirichlet

from recmm.data.batches import Pairs
from recmm.data.catalog import Catalog
from recmm.errors import ConfigError
from recmm.losses import bpr, loss_variance, squared_l2
from recmm.missing.view import ModalityView
from recmm.models.base import Embeddings, Recommender
from recmm.models.checks import check_choices, check_lowest, check_modalities
from recmm.models.training import Training
from recmm.nn.rows import first_occurrences


class MILK(Recommender):
    """Items are what their modalities say, v^m = W_m x^m / ||x^m|| + b_m; there is no item ID and no graph.

    An environment e mixes the modalities, s^e = u . sum_m lambda^e_m v^m. There are 1 + M of them: equal shares, and
    the M cyclic shifts of one draw lambda ~ Dir(alpha, ..., alpha), a fresh one in every step. With L_e the BPR loss
    of environment e,

        loss = sum_e L_e + penalty Var_e(L_e) + align MSE(v^m, v^m') + final_l2 / 2B sum (||u||^2 + ||i||^2 + ||j||^2)

    where the last term takes the items of equal shares. Ranking uses equal shares, too. What an item lacks enters as
    the imputer filled it; zeros become b_m.

    Source is the released code, as section 7.21 describes it; the paper's own equations were not at hand, so that no
    difference between the two is known here and none is switched. What the sources leave open: one lambda serves a
    whole batch; with three or more modalities the MSE is the mean over their pairs; with a single one there is one
    environment, hence neither penalty nor alignment.

    Args:
        dim: width d of all embeddings.
        alpha: of the Dirichlet distribution; small values draw environments in which one modality speaks alone.
        penalty: weight of the unbiased variance of the environments' losses.
        align: weight of the mean squared difference between an item's modalities, over the distinct positives of the
            batch that lack none of them.
        final_l2: weight of half the squared norm of the batch's embeddings divided by its size; the released code
            writes it without the half.
        pooling: shares at ranking. "mean": equal ones over all modalities, whatever stands in the holes; "available":
            equal ones over those that the item has, a zero vector if none (DGMRec's, for all-item ranking).
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
        alpha: float = 0.1,
        penalty: float = 50.0,
        align: float = 0.05,
        final_l2: float = 2e-4,
        pooling: Literal["mean", "available"] = "mean",
        training: Training = Training(),
    ) -> None:
        _check(locals())
        super().__init__(catalog, training)
        self.penalty, self.align, self.final_l2, self.pooling = penalty, align, final_l2, pooling
        widths = list(catalog.dims.values())
        self.users = nn.Parameter(torch.randn(catalog.n_users, dim) * 0.1)
        self.projectors = nn.ModuleList(nn.Linear(width, dim) for width in widths)  # W_m, b_m
        self.register_buffer("concentration", torch.full((len(widths),), alpha), persistent=False)
        self.concentration: Tensor

    def prepare(self, view: ModalityView) -> list[Tensor]:
        """Raw features with unit or zero rows: M tensors [n_items, D_m]."""
        return [F.normalize(view.features[m]) for m in self.catalog.modalities]

    def project(self, features: list[Tensor]) -> Tensor:
        """v^m of n items: M tensors [n, D_m] -> [n, M, d]."""
        return torch.stack([project(x) for project, x in zip(self.projectors, features, strict=True)], 1)

    def represent(self, view: ModalityView) -> Embeddings:
        items = self.project(self.prepared(view))
        if self.pooling == "mean":
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
        if self.penalty:
            terms["invariance"] = self.penalty * loss_variance(by_environment)
        if self.align and i.shape[1] > 1:
            terms["alignment"] = self.align * self.alignment(i, batch.positives, view.mask)
        if self.final_l2:
            terms["final_l2"] = self.final_l2 * squared_l2(u, i.mean(1), j.mean(1))
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


def _check(values: dict[str, Any]) -> None:
    """Raises ConfigError for a keyword of MILK outside its choices or range, naming both."""
    check_choices(MILK.__init__, values)
    check_lowest(values, {"dim": 1, "penalty": 0, "align": 0, "final_l2": 0})
    if values["alpha"] <= 0:
        raise ConfigError(f"model.alpha must be positive; got {values['alpha']}.")
    check_modalities(values, "MILK")
