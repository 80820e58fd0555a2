"""Generation of a modality from the others along transport plans (CI2MG Eq. 9)."""

from itertools import permutations
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from recmm.nn.couplings import Plans
from recmm.settings import ComponentSettings, hp

DENSE_UP_TO = 2_048


class DeltaSettings(ComponentSettings):
    """The adjustable transport dT of CI2MG's Eq. 9."""

    key: ClassVar[str] = "model.delta"

    kind: Literal["lowrank", "auto"] = hp(
        "lowrank",
        "dT of every ordered pair of modalities: lowrank, P S^T | auto, n x n weights as printed up to 2,048 items, "
        "else lowrank",
    )
    rank: int = hp(16, "of lowrank, columns of P and S; ours", ge=1)


class Barycentres(nn.Module):
    """Q-hat^m = 1 / (M - 1) sum over m' != m of (T^{mm'} + dT^{mm'}) Q^{m'}, CI2MG Eq. 9.

    The paper drops the indices of T; here its rows are the items in m and its columns those in m'. mu, "the
    probabilistic simplex of embedding Q-hat^m", is read as the row sums of T, which are 1. Items that lack m' are
    sources too, as printed. dT starts at zero, so that training starts from the plans.
    """

    def __init__(self, n_modalities: int, n_items: int, settings: DeltaSettings) -> None:
        super().__init__()
        n_pairs = n_modalities * (n_modalities - 1)  # ordered
        dense = settings.kind == "auto" and n_items <= DENSE_UP_TO
        self.left = nn.Parameter(torch.zeros(n_pairs, n_items, n_items if dense else settings.rank))  # dT, or P
        self.right = None if dense else nn.Parameter(torch.randn(n_pairs, n_items, settings.rank) * 0.01)  # S

    def forward(self, q: Tensor, plans: Plans) -> Tensor:
        """Q [n_items, M, d] and the plans -> Q-hat [n_items, M, d]."""
        generated: list[list[Tensor]] = [[] for _ in range(q.shape[1])]
        for k, (m, other) in enumerate(permutations(range(q.shape[1]), 2)):
            x = q[:, other]
            plan = plans[min(m, other), max(m, other)]
            transported = plan.apply(x) if m < other else plan.apply_transposed(x)
            generated[m].append(transported + self.adjustment(x, k))
        return torch.stack([torch.stack(parts).mean(0) for parts in generated], 1)

    def adjustment(self, x: Tensor, k: int) -> Tensor:
        """dT x of the k-th ordered pair."""
        return self.left[k] @ (x if self.right is None else self.right[k].T @ x)
