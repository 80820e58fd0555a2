"""The look of all figures: colours, markers and Matplotlib's settings."""

from typing import Any

import matplotlib

matplotlib.use("Agg")  # no screen is needed

# Okabe and Ito's palette without its yellow, which is too light on white; markers and dashes differ as well.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES = ("-", "--", ":", "-.")
HATCHES = ("", "//", "..", "xx", "\\\\", "oo", "++")
STYLE: dict[str, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e3e3e3",
    "axes.axisbelow": True,
    "svg.hashsalt": "recmm",  # the same numbers give the same file
    "hatch.linewidth": 0.6,
}


def plain(text: str) -> str:
    """``text`` as Matplotlib shows it unchanged: no mathematics, and no leading ``_``, which hides a legend's entry."""
    text = text.replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text
