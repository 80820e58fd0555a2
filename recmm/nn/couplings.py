"""The transport plans between all pairs of modalities, and their life over a training run (CI2MG Eq. 6-8)."""

import logging
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import torch
from torch import Tensor, nn

from recmm.nn.transport import Plan, TransportSettings, plan_from_state, solve, spread

log = logging.getLogger(__name__)

Pair = tuple[int, int]
Plans = dict[Pair, Plan]
"""(m, m'), m < m' -> T^{mm'} [n_items, n_items], of all pairs of modalities."""


class Couplings(nn.Module):
    """Plans T^{mm'} for all pairs of modalities, solved once per unordered pair.

    Cost is symmetric and both marginals are uniform, so T^{m'm} is the transpose of T^{mm'}. A plan is a constant: no
    gradient flows through its solution. The plans travel in the module's state, with the digest of the view that they
    were made of.

    Args:
        modalities: names, for logs and reports.
        settings: how a plan is solved, and how often.
    """

    def __init__(self, modalities: Sequence[str], settings: TransportSettings) -> None:
        super().__init__()
        self.modalities, self.settings = tuple(modalities), settings
        self.present: Plans = {}
        self.digest = ""
        self._warned = False

    def due(self, epoch: int) -> bool:
        """Whether the plans are solved anew at this epoch's start."""
        every = self.settings.refresh
        return not isinstance(every, int) or epoch % every == 0

    def refresh(self, items: Tensor, digest: str) -> None:
        """Solve all plans anew for ``items`` [n, M, d] of the view with this digest, starting from the present ones."""
        self.present = {pair: self._solve(items, pair, fixed=False) for pair in self._pairs()}
        self.digest = digest
        self._warn()

    @torch.no_grad()
    def of(self, items: Tensor, digest: str) -> Plans:
        """The present plans if they belong to this view; else plans for it at the same epsilon, which are not kept.

        So a phase that hides other entries than training is coupled by its own features, and evaluation changes no
        state.
        """
        if self.present and self.digest == digest:
            self.present = {pair: plan.to(items.device) for pair, plan in self.present.items()}
            return self.present
        return {pair: self._solve(items, pair, fixed=True) for pair in self._pairs()}

    def _pairs(self) -> list[Pair]:
        return list(combinations(range(len(self.modalities)), 2))

    def _solve(self, items: Tensor, pair: Pair, *, fixed: bool) -> Plan:
        """One pair's plan; ``fixed``: at the epsilon of the present one, if there is one."""
        source, target = items[:, pair[0]], items[:, pair[1]]
        before = self.present.get(pair)
        start = None if before is None else before.to(items.device)
        epsilon = before.epsilon if fixed and before is not None else 0.0
        return solve(source, target, self.settings, start=start, epsilon=epsilon or None)  # a uniform plan has none

    # ------------------------------------------------------------------ what is said of them

    def report(self, generated: Tensor) -> dict[str, float]:
        """Per pair epsilon, perplexity and marginal error; per modality the spread of what was generated, [n, M, d]."""
        values: dict[str, float] = {}
        for (a, b), plan in self.present.items():
            name = f"{self.modalities[a]}_{self.modalities[b]}"
            values[f"epsilon_{name}"] = plan.epsilon
            values[f"perplexity_{name}"] = plan.perplexity
            values[f"marginal_error_{name}"] = plan.marginal_error
        for m, modality in enumerate(self.modalities):
            values[f"spread_{modality}"] = spread(generated[:, m])
        return values

    def _warn(self) -> None:
        """Once: a plan close to uniform gives every item the same generated vector."""
        for (a, b), plan in self.present.items():
            if plan.perplexity > plan.n_distinct / 2 and not self._warned:
                log.warning(
                    "The transport plan between %s and %s is close to uniform (perplexity %.0f of %d): it generates "
                    "nearly the same vector for all items. Lower perplexity or epsilon of %s.",
                    self.modalities[a],
                    self.modalities[b],
                    plan.perplexity,
                    plan.n_distinct,
                    self.settings.key,
                )
                self._warned = True

    # ------------------------------------------------------------------ checkpoints

    def get_extra_state(self) -> dict[str, Any]:
        return {"digest": self.digest, "plans": {f"{a}-{b}": plan.state() for (a, b), plan in self.present.items()}}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self.digest, self.present = state["digest"], {}
        for name, kept in state["plans"].items():
            a, b = name.split("-")
            self.present[int(a), int(b)] = plan_from_state(kept, torch.device("cpu"))
