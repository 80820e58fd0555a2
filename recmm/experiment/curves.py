"""The training curves of one run as a figure."""

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, StrMethodFormatter

from recmm.data.files.atomic import atomic_file

LOSSES, SCORES = (0.09, 0.13, 0.32, 0.72), (0.66, 0.13, 0.33, 0.72)
"""Left, bottom, width and height; the losses' legend stands between. A layout engine would draw everything twice."""


def draw_curves(history: list[dict[str, Any]], monitor: str, best_epoch: int, title: str, path: Path) -> None:
    """Write a PNG: loss terms on the left; on the right the validation metric that selects, best epoch marked."""
    figure = Figure(figsize=(11, 4))  # without pyplot, whose import takes as long as the drawing
    losses, scores = figure.add_axes(LOSSES), figure.add_axes(SCORES)
    epochs = [row["epoch"] for row in history]
    names = dict.fromkeys(key for row in history for key in row if key.startswith("train/"))
    for name in names:  # a stage without this term leaves a gap
        losses.plot(epochs, [abs(row.get(name, math.nan)) for row in history], label=name.removeprefix("train/"))
    begins = [(row["epoch"], row["stage"]) for last, row in pairwise(history) if row.get("stage") != last.get("stage")]
    for epoch, stage in begins:
        losses.axvline(epoch, linestyle=":", color="grey", label=f"stage {stage}")
    losses.set(xlabel="epoch", ylabel="|mean of the epoch|", yscale="log", title="loss terms in training")
    losses.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    losses.yaxis.set_minor_formatter(NullFormatter())
    losses.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
    validated = [(row["epoch"], row[monitor]) for row in history if row.get(monitor) is not None]
    scores.plot(*zip(*validated, strict=True), marker=".")
    scores.axvline(best_epoch, linestyle="--", color="grey", label=f"best: epoch {best_epoch}")
    scores.set(xlabel="epoch", ylabel=monitor, title="validation")
    scores.legend(fontsize="small")
    for axes in (losses, scores):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.suptitle(title)
    with atomic_file(path) as spare:
        figure.savefig(spare, format="png", dpi=120)
