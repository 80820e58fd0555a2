"""The pictures of a description: what each shows, one overview as PNG, and each alone as SVG."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from recmm.data.files.atomic import atomic_file
from recmm.ingest.describe.description import Description
from recmm.ingest.describe.tables import pattern_name
from recmm.report.figures import COLOURS, HATCHES, STYLE, plain

MOST_PATTERNS = 12  # bars; with more modalities than three, rare subsets are summed up
LOG_FROM = 5  # ratio of norms from which their axis is logarithmic
SIZE = (4.8, 3.3)  # inches of one picture


@dataclass(frozen=True)
class Picture:
    """One picture: its title, what a reader has to know, and how it is drawn."""

    name: str
    title: str
    note: str
    draw: Callable[[Axes], None]


def pictures(description: Description) -> list[Picture]:
    """All that this catalogue has something to show for."""
    found = [
        Picture(
            f"degrees-{side}",
            f"Interactions per {side[:-1]}",
            f"Each point: how many {side} have exactly that many interactions. Both axes are logarithmic, so {side} "
            "without any stand in the legend.",
            lambda axes, side=side, number=number: _degrees(axes, description, side, number),  # type: ignore[misc]
        )
        for number, side in enumerate(description.degrees)
    ]
    if description.modalities:
        found += [
            Picture(
                "patterns",
                "What items have",
                "How many items have exactly these modalities in the data; what a missing setting hides comes on top.",
                lambda axes: _patterns(axes, description),
            ),
            Picture(
                "alignment",
                "Do the features belong to the items?",
                "AUC: how often a user's test item is closer to the mean feature of the user's training items than an "
                "item the user never met. Whiskers: ± two standard errors. On the line of chance the features say "
                "nothing about taste, or their rows belong to other items.",
                lambda axes: _alignment(axes, description),
            ),
            Picture(
                "norms",
                "Length of the feature vectors",
                "Share of the items by the Euclidean norm of their features. A heap of its own may be placeholders; "
                "modalities far apart have different scales.",
                lambda axes: _norms(axes, description),
            ),
        ]
    return found


def overview(description: Description, found: Sequence[Picture], path: Path) -> None:
    """All pictures in one PNG, under a line with the sizes."""
    columns, rows = 3, -(-(len(found) + 1) // 3)  # the last place is for words
    with plt.rc_context(STYLE):  # type: ignore[arg-type]
        figure, grid = plt.subplots(
            rows,
            columns,
            figsize=(SIZE[0] * columns, SIZE[1] * rows + 0.7),
            layout=ConstrainedLayoutEngine(h_pad=0.12, w_pad=0.08),
            squeeze=False,
        )
        for axes, picture in zip(grid.flat, found, strict=False):
            axes.set_title(picture.title, loc="left", fontweight="bold")
            picture.draw(axes)
        for axes in grid.flat[len(found) :]:
            axes.axis("off")
        _sizes(grid.flat[len(found)], description)
        numbers = description.statistics
        figure.suptitle(
            plain(
                f"{description.name}: {numbers['users']:,} users, {numbers['items']:,} items, "
                f"{description.interactions:,} interactions ({description.sparsity:.2f} % sparse)"
            ),
            fontsize=13,
        )
        with atomic_file(path) as spare:
            figure.savefig(spare, format="png", dpi=150)
        plt.close(figure)


def svg(picture: Picture) -> bytes:
    """One picture alone; its title stands beside it in the page."""
    with plt.rc_context(STYLE):  # type: ignore[arg-type]
        figure, axes = plt.subplots(figsize=SIZE, layout="constrained")
        picture.draw(axes)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
        plt.close(figure)
    return buffer.getvalue()


def _degrees(axes: Axes, description: Description, side: str, number: int) -> None:
    shapes = {"all splits": ("o", COLOURS[6], "none"), "training": ("o", COLOURS[number], COLOURS[number])}
    for over, counts in description.degrees[side].items():
        marker, edge, face = shapes[over]
        numbers = np.bincount(counts)
        places = np.flatnonzero(numbers[1:]) + 1
        none = f", {numbers[0]:,} with none" if numbers[0] else ""
        label = f"{over}: median {np.median(counts):.0f}{none}"
        axes.scatter(
            places, numbers[places], s=14, marker=marker, facecolors=face, edgecolors=edge, linewidths=0.6, label=label
        )
    axes.set(xscale="log", yscale="log", xlabel=f"interactions of one {side[:-1]}", ylabel=f"number of {side}")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(10, numticks=8))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 else ""))
        axis.set_minor_formatter(NullFormatter())
    axes.set_xlim(left=0.8)
    axes.set_ylim(bottom=0.7, top=axes.get_ylim()[1] * 6)  # room for the legend
    axes.legend(fontsize=8, frameon=False, loc="upper right", handletextpad=0.2)


def _patterns(axes: Axes, description: Description) -> None:
    given = list(description.patterns.items())
    n_items, n_all = description.statistics["items"], len(description.modalities)
    bars = [(pattern_name(names, n_all), n) for names, n in given[:MOST_PATTERNS]]
    if rest := given[MOST_PATTERNS:]:
        bars.append((f"{len(rest)} other subsets", sum(n for _, n in rest)))
    places = np.arange(len(bars))
    axes.barh(places, [n for _, n in bars], color=COLOURS[0], height=0.65)
    for place, (_, n) in zip(places, bars, strict=True):
        axes.annotate(
            f"{n:,} ({100 * n / n_items:.1f} %)",
            (n, place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    axes.set_yticks(places, [plain(name) for name, _ in bars])
    axes.invert_yaxis()
    axes.set(xlabel="number of items", xlim=(0, 1.3 * max(n for _, n in bars)), ylim=(max(len(bars), 3) - 0.4, -0.6))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.grid(visible=False, axis="y")


def _alignment(axes: Axes, description: Description) -> None:
    places = np.arange(len(description.modalities))
    top = 0.6
    for place, one in zip(places, description.modalities, strict=True):
        if one.alignment is None:
            axes.annotate("cannot be told", (place, 0.5), xytext=(0, 6), textcoords="offset points", ha="center")
            continue
        spread = 2 * (one.alignment.error or 0.0)
        axes.errorbar(
            place, one.alignment.auc, yerr=spread or None, fmt="o", color=COLOURS[place % 7], capsize=5, markersize=7
        )
        axes.annotate(
            f"{one.alignment.auc:.3f}",
            (place, one.alignment.auc),
            xytext=(9, 0),
            textcoords="offset points",
            va="center",
        )
        top = max(top, one.alignment.auc + spread)
    lowest = min(
        (one.alignment.auc - 2 * (one.alignment.error or 0) for one in description.modalities if one.alignment),
        default=0.5,
    )
    axes.axhline(0.5, color="#333333", linestyle="--", linewidth=1)
    axes.annotate(
        "chance", (len(places) - 0.5, 0.5), xytext=(-2, 4), textcoords="offset points", ha="right", fontsize=8
    )
    axes.set_xticks(places, [plain(one.name) for one in description.modalities])
    axes.set(
        ylabel="comparisons that the test item wins (AUC)",
        xlim=(-0.5, len(places) - 0.5),
        ylim=(min(0.45, lowest - 0.02), min(1.02, top + 0.05)),
    )
    axes.grid(visible=False, axis="x")


def _norms(axes: Axes, description: Description) -> None:
    norms = {one.name: one.norms[one.norms > 0] for one in description.modalities}
    norms = {name: values for name, values in norms.items() if len(values)}
    if not norms:
        axes.annotate("no features", (0.5, 0.5), xycoords="axes fraction", ha="center")
        return
    low, high = min(values.min() for values in norms.values()), max(values.max() for values in norms.values())
    logarithmic = high > LOG_FROM * low
    edges = np.geomspace(low, high * 1.0001, 60) if logarithmic else np.linspace(low, high * 1.0001 + 1e-9, 60)
    names = [one.name for one in description.modalities]
    for name, values in norms.items():
        number = names.index(name)
        axes.hist(
            values,
            bins=edges.tolist(),
            weights=np.full(len(values), 100 / len(values)),
            histtype="stepfilled",
            facecolor=f"{COLOURS[number % 7]}55",
            edgecolor=COLOURS[number % 7],
            hatch=HATCHES[number % 7],
            label=plain(name),
        )
    if logarithmic:
        axes.set_xscale("log")
        ticks = [
            base * 10.0**power for power in range(-12, 13) for base in (1, 2, 5) if low <= base * 10.0**power <= high
        ]
        axes.set_xticks(ticks if len(ticks) <= 8 else [tick for tick in ticks if np.log10(tick) % 1 == 0])
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_locator(NullLocator())
    axes.set(xlabel="Euclidean norm", ylabel="share of the items (%)")
    axes.legend(fontsize=8, frameon=False)


def _sizes(axes: Axes, description: Description) -> None:
    """What fills the last place of the overview: the splits in words."""
    lines = [f"split {description.split}"]
    lines += [f"{part}: {description.statistics[part]:,} interactions" for part in ("train", "val", "test")]
    lines += [f"{description.notes['cold_items']:,} items without training interaction"]
    lines += [f"{description.notes['users_without_history']:,} users without training history"]
    lines += [f"{one.name}: {one.dim:,} columns, {one.n_observed:,} items" for one in description.modalities]
    axes.text(0.02, 0.95, plain("\n".join(lines)), va="top", fontsize=11, linespacing=1.6, transform=axes.transAxes)
