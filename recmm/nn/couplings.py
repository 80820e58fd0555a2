"""The transport plans between all pairs of modalities, and their life over a training run (CI2MG Eq. 6-9)."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import torch
from torch import Tensor, nn

from recmm.nn.transport import Plan, TransportSettings, attached, plan_from_state, solve, spread

log = logging.getLogger(__name__)

Coupled = Literal["items", "dims", "batch"]
Pair = tuple[int, int]


@dataclass
class Coupling:
    """T between two modalities: one plan between all items or all coordinates, or one within each group of items.

    Attributes:
        plans: one, or one per group.
        groups: int64 [n_g] each, item ids; together all items. None: a single plan.
        dims: the plan couples coordinates and not items.
    """

    plans: list[Plan]
    groups: list[Tensor] | None = None
    dims: bool = False

    def apply(self, x: Tensor) -> Tensor:
        """T x, for x [n_items, d]: what the first modality's items receive from rows of the second's."""
        return self._each(x, [plan.apply for plan in self.plans])

    def apply_transposed(self, x: Tensor) -> Tensor:
        """T^T x, for x [n_items, d]: the other way round."""
        return self._each(x, [plan.apply_transposed for plan in self.plans])

    def _each(self, x: Tensor, calls: list[Callable[[Tensor], Tensor]]) -> Tensor:
        if self.dims:
            return calls[0](x.T.contiguous()).T
        if self.groups is None:
            return calls[0](x)
        parts = [call(x[group]) for call, group in zip(calls, self.groups, strict=True)]
        return torch.cat(parts)[torch.cat(self.groups).argsort()]


class Couplings(nn.Module):
    """Plans T^{mm'} for all pairs of modalities, solved once per unordered pair.

    Cost is symmetric and both marginals are uniform, so T^{m'm} is the transpose of T^{mm'}. The plans travel in the
    module's state, with the digest of the view that they were made of.

    Args:
        modalities: names, for logs and reports.
        settings: how a plan is solved.
        coupled: "items" [n, n], "dims" [d, d], or "batch", items within random groups of ``group_size``.
        detach: whether plans are constants; otherwise gradients flow through their solution.
    """

    def __init__(
        self,
        modalities: Sequence[str],
        settings: TransportSettings,
        coupled: Coupled = "items",
        *,
        group_size: int = 0,
        detach: bool = True,
    ) -> None:
        super().__init__()
        self.modalities, self.settings, self.coupled = tuple(modalities), settings, coupled
        self.group_size, self.detach = group_size, detach
        self.present: dict[Pair, Coupling] = {}
        self.digest = ""
        self._warned = False

    def refresh(self, items: Tensor, digest: str) -> None:
        """Solve all plans anew for ``items`` [n, M, d] of the view with this digest, starting from the present ones.

        Groups are drawn from torch's global generator.
        """
        groups = None
        if self.coupled == "batch":
            n_groups = -(-len(items) // self.group_size)
            groups = list(torch.randperm(len(items), device=items.device).tensor_split(n_groups))
        self.present = {pair: self._solve(items, pair, groups, fixed=False) for pair in self._pairs()}
        self.digest = digest
        self._warn()

    @torch.no_grad()
    def of(self, items: Tensor, digest: str) -> dict[Pair, Coupling]:
        """The present plans if they belong to this view; else plans for it at the same epsilon, which are not kept.

        So a phase with other holes than training's is coupled by its own features, and evaluation changes no state.
        Before the first ``refresh`` groups are taken in the items' order.
        """
        if self.present and self.digest == digest:
            for pair, coupling in self.present.items():
                self.present[pair] = _on(coupling, items.device)
            return self.present
        groups = None
        if self.coupled == "batch":
            known = next(iter(self.present.values()), None)
            ids = torch.arange(len(items), device=items.device)
            groups = list(ids.split(self.group_size)) if known is None else _on(known, items.device).groups
        return {pair: self._solve(items, pair, groups, fixed=True) for pair in self._pairs()}

    def _pairs(self) -> list[Pair]:
        return list(combinations(range(len(self.modalities)), 2))

    def _solve(self, items: Tensor, pair: Pair, groups: list[Tensor] | None, *, fixed: bool) -> Coupling:
        """One pair's plans; ``fixed``: at the epsilon of the present ones, where there are any."""
        source, target = items[:, pair[0]], items[:, pair[1]]
        if self.coupled == "dims":
            clouds = [(source.T.contiguous(), target.T.contiguous())]
        else:
            clouds = [(source, target)] if groups is None else [(source[group], target[group]) for group in groups]
        before = self.present.get(pair)
        plans = []
        for k, (x, y) in enumerate(clouds):
            start = before.plans[k].to(items.device) if before is not None and groups is None else None
            epsilon = before.plans[k].epsilon if fixed and before is not None else 0.0
            plan = solve(x, y, self.settings, start=start, epsilon=epsilon or None)  # a uniform plan has none
            plans.append(plan if self.detach else attached(plan, x, y))
        return Coupling(plans, groups, self.coupled == "dims")

    # ------------------------------------------------------------------ what is said of them

    def report(self, generated: Tensor) -> dict[str, float]:
        """Per pair epsilon, perplexity and marginal error (with groups: mean, mean and largest); per modality the
        spread of what was generated, [n, M, d]."""
        values: dict[str, float] = {}
        for (a, b), coupling in self.present.items():
            name, n = f"{self.modalities[a]}_{self.modalities[b]}", len(coupling.plans)
            values[f"epsilon_{name}"] = sum(plan.epsilon for plan in coupling.plans) / n
            values[f"perplexity_{name}"] = sum(plan.perplexity for plan in coupling.plans) / n
            values[f"marginal_error_{name}"] = max(plan.marginal_error for plan in coupling.plans)
        for m, modality in enumerate(self.modalities):
            values[f"spread_{modality}"] = spread(generated[:, m])
        return values

    def _warn(self) -> None:
        """Once: a plan close to uniform gives every item the same generated vector."""
        for (a, b), coupling in self.present.items():
            plan = coupling.plans[0]
            if plan.perplexity > plan.n_distinct / 2 and not self._warned:
                log.warning(
                    "The transport plan between %s and %s is close to uniform (perplexity %.0f of %d): what it "
                    "generates is nearly one vector for all. Lower transport.perplexity or transport.epsilon.",
                    self.modalities[a],
                    self.modalities[b],
                    plan.perplexity,
                    plan.n_distinct,
                )
                self._warned = True

    # ------------------------------------------------------------------ checkpoints

    def get_extra_state(self) -> dict[str, Any]:
        couplings = {
            f"{a}-{b}": {"plans": [plan.state() for plan in coupling.plans], "groups": coupling.groups}
            for (a, b), coupling in self.present.items()
        }
        return {"digest": self.digest, "couplings": couplings}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self.digest, self.present = state["digest"], {}
        for name, kept in state["couplings"].items():
            a, b = name.split("-")
            plans = [plan_from_state(plan, torch.device("cpu")) for plan in kept["plans"]]
            self.present[int(a), int(b)] = Coupling(plans, kept["groups"], self.coupled == "dims")


def _on(coupling: Coupling, device: torch.device) -> Coupling:
    groups = None if coupling.groups is None else [group.to(device) for group in coupling.groups]
    return Coupling([plan.to(device) for plan in coupling.plans], groups, coupling.dims)
