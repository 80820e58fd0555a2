"""The statistics of a catalogue as plots: each as SVG, and all in one PNG."""

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
from recmm.ingest.describe.statistics import Description
from recmm.ingest.describe.tables import pattern_name
from recmm.report.figures.style import COLOURS, HATCHES, STYLE, plain

MOST_PATTERNS = 12  # bars; rarer subsets are summed in one more bar
LOG_FROM = 5  # ratio of the largest to the smallest norm above which the axis is logarithmic
SIZE = (4.8, 3.3)  # inches of one plot


@dataclass(frozen=True)
class Plot:
    """One plot.

    Attributes:
        name: HTML id.
        note: explanation below the plot.
        draw: draws it into given axes.
    """

    name: str
    title: str
    note: str
    draw: Callable[[Axes], None]


def plots(description: Description) -> list[Plot]:
    """All plots that apply to this catalogue."""
    found = [
        Plot(
            f"degrees-{side}",
            f"Interactions per {side[:-1]}",
            f"Number of {side} with exactly that many interactions. Both axes are logarithmic; the legend counts the "
            f"{side} without interactions.",
            lambda axes, side=side, number=number: _degrees(axes, description, side, number),  # type: ignore[misc]
        )
        for number, side in enumerate(description.degrees)
    ]
    if description.modalities:
        found += [
            Plot(
                "patterns",
                "Modalities per item",
                "Number of items that have exactly these modalities in the data. A missing setting hides more of them.",
                lambda axes: _patterns(axes, description),
            ),
            Plot(
                "alignment",
                "Do the features belong to the items?",
                "AUC: how often a user's test item is closer to the mean feature of the user's training items than an "
                "item without an interaction of the user. Error bars: ± two standard errors. At chance level, the "
                "features hold no information about preferences, or their rows belong to other items.",
                lambda axes: _alignment(axes, description),
            ),
            Plot(
                "norms",
                "Feature norms",
                "Distribution of the Euclidean norms of the items' features. A separate peak may come from "
                "placeholders. Modalities with different norms have different scales.",
                lambda axes: _norms(axes, description),
            ),
        ]
    return found


def overview(description: Description, found: Sequence[Plot], path: Path) -> None:
    """Write all plots into one PNG at ``path``, under a title with the sizes of the catalogue."""
    columns, rows = 3, -(-(len(found) + 1) // 3)  # the last place holds the sizes as text
    with plt.rc_context(STYLE):  # type: ignore[arg-type]
        figure, grid = plt.subplots(
            rows,
            columns,
            figsize=(SIZE[0] * columns, SIZE[1] * rows + 0.7),
            layout=ConstrainedLayoutEngine(h_pad=0.12, w_pad=0.08),
            squeeze=False,
        )
        for axes, plot in zip(grid.flat, found, strict=False):
            axes.set_title(plot.title, loc="left", fontweight="bold")
            plot.draw(axes)
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


def svg(plot: Plot) -> bytes:
    """One plot as SVG, without its title, which the page shows."""
    with plt.rc_context(STYLE):  # type: ignore[arg-type]
        figure, axes = plt.subplots(figsize=SIZE, layout="constrained")
        plot.draw(axes)
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
            axes.annotate("not measurable", (place, 0.5), xytext=(0, 6), textcoords="offset points", ha="center")
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
        ylabel="AUC",
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
    """Write the sizes of the splits and modalities as text into the last place of the overview."""
    lines = [f"split {description.split}"]
    lines += [f"{part}: {description.statistics[part]:,} interactions" for part in ("train", "val", "test")]
    lines += [f"{description.notes['cold_items']:,} items without training interactions"]
    lines += [f"{description.notes['users_without_history']:,} users without training interactions"]
    lines += [f"{one.name}: {one.dim:,} columns, {one.n_observed:,} items" for one in description.modalities]
    axes.text(0.02, 0.95, plain("\n".join(lines)), va="top", fontsize=11, linespacing=1.6, transform=axes.transAxes)
