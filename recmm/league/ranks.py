"""Mean ranks over blocks, Friedman's test, and the critical difference of Nemenyi's test (Demšar, JMLR 2006)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats

from recmm.data.files.atomic import atomic_file

LEVEL = 0.05


@dataclass(frozen=True)
class Ranks:
    """Methods by mean rank over the blocks; 1 is the best.

    Attributes:
        methods, ranks: the best first.
        n_blocks: dataset x setting.
        p: of Friedman's test that all methods are alike; None with fewer than 3 methods or 2 blocks.
        critical_difference: two methods whose mean ranks differ by less cannot be told apart at .05; None as for p.
    """

    methods: tuple[str, ...]
    ranks: tuple[float, ...]
    n_blocks: int
    p: float | None
    critical_difference: float | None

    def cliques(self) -> list[tuple[int, int]]:
        """First and last place of every longest group of methods that cannot be told apart, of two or more."""
        if self.critical_difference is None:
            return []
        found: list[tuple[int, int]] = []
        for first, rank in enumerate(self.ranks):
            last = max(i for i, other in enumerate(self.ranks) if other - rank < self.critical_difference)
            if last > first and (not found or last > found[-1][1]):
                found.append((first, last))
        return found


def rank(methods: Sequence[str], values: Sequence[Sequence[float]]) -> Ranks:
    """The mean ranks of methods; equal values share a rank.

    Args:
        methods: their names.
        values: [n_blocks][n_methods], larger is better.
    """
    table = np.asarray(values, dtype=np.float64).reshape(-1, len(methods))
    n_blocks, n_methods = table.shape
    means = stats.rankdata(-table, axis=1).mean(axis=0) if n_blocks else np.zeros(n_methods)
    order = np.argsort(means, kind="stable")
    p = difference = None
    if n_methods > 2 and n_blocks > 1:
        p = float(stats.friedmanchisquare(*table.T).pvalue)
        quantile = stats.studentized_range.ppf(1 - LEVEL, n_methods, np.inf) / math.sqrt(2)
        difference = float(quantile * math.sqrt(n_methods * (n_methods + 1) / (6 * n_blocks)))
    return Ranks(tuple(methods[i] for i in order), tuple(float(means[i]) for i in order), n_blocks, p, difference)


def draw_ranks(ranks: Ranks, folder: Path, name: str = "critical_difference") -> tuple[Path, Path]:
    """The critical-difference diagram as ``<name>.png`` and ``<name>.svg`` in ``folder``; returns their paths."""
    import matplotlib.pyplot as plt

    from recmm.report.figures.style import COLOURS, STYLE, plain

    n = len(ranks.methods)
    half, cliques = math.ceil(n / 2), ranks.cliques()
    with plt.rc_context(STYLE):  # type: ignore[arg-type]  # its keys are typed one by one
        drawing, axes = plt.subplots(figsize=(7.2, 1.2 + 0.14 * len(cliques) + 0.2 * half), layout="constrained")
        low, high = 1.0, float(max(n, 2))
        depth = 0.5 + 0.35 * len(cliques)
        margin = 0.3 * (high - low)
        axes.hlines(0, low, high, color="#1a1a1a", linewidth=1)
        for tick in range(1, n + 1, max(1, n // 12)):
            axes.vlines(tick, 0, 0.15, color="#1a1a1a", linewidth=0.8)
            axes.text(tick, 0.25, str(tick), ha="center", va="bottom", fontsize=8)
        for place, (method, value) in enumerate(zip(ranks.methods, ranks.ranks, strict=True)):
            is_left = place < half
            y = -depth - 0.55 * (place if is_left else n - 1 - place)
            edge = low - 0.05 * margin if is_left else high + 0.05 * margin
            axes.plot([value, value, edge], [0, y, y], color="#8a8a8a", linewidth=0.7)
            label = plain(f"{method}  {value:.1f}" if is_left else f"{value:.1f}  {method}")
            axes.text(edge, y, label, ha="right" if is_left else "left", va="center", fontsize=8)
        for number, (first, last) in enumerate(cliques):
            y = -0.3 - 0.35 * number
            axes.hlines(y, ranks.ranks[first], ranks.ranks[last], color=COLOURS[0], linewidth=2.5)
        if ranks.critical_difference is not None:
            end = min(low + ranks.critical_difference, high)
            axes.hlines(1.3, low, end, color=COLOURS[1], linewidth=2)
            axes.text(low, 1.45, f"critical difference {ranks.critical_difference:.1f}", va="bottom", fontsize=8)
        axes.set(xlim=(low - margin, high + margin), ylim=(-depth - 0.55 * half, 2.3))
        axes.set_axis_off()
        paths = folder / f"{name}.png", folder / f"{name}.svg"
        for path in paths:
            metadata = {"Date": None} if path.suffix == ".svg" else {}
            with atomic_file(path) as spare:
                drawing.savefig(spare, format=path.suffix[1:], dpi=160, metadata=metadata)
        plt.close(drawing)
    return paths
