"""Marks of a sweep's results that a simpler method beats: below popularity, or below a method that sees no feature."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean

from recmm.experiment.sweep.budgets import Result, budget_of, settings_of

MARKED = "test/recall@20"
BASELINES = ("random", "popularity")
"""Models that are the floor of every table."""

BELOW_POPULARITY, BELOW_FEATURE_FREE = "▽", "◇"
LEGEND = {
    BELOW_POPULARITY: f"{BELOW_POPULARITY}: below the popularity baseline",
    BELOW_FEATURE_FREE: f"{BELOW_FEATURE_FREE}: below the best method that sees no feature under the same budget or a "
    "smaller one",
}
_PUBLISHED = "published"  # settings that a paper chose on its test set


def marks_of(results: Mapping[Path, Result]) -> dict[Path, str]:
    """Folder -> the marks of its test Recall@20, "" without one.

    Args:
        results: folder -> `result.json` of the finished runs of one sweep; those without the metric have no mark.
    """
    catalogues: dict[tuple[str, str], dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for folder, result in results.items():
        if isinstance(result.get(MARKED), int | float):
            catalogues[result["dataset"], result["data"]["digest"]][result["model"]].append(folder)
    marks = {}
    for models in catalogues.values():
        of_model = {model: [results[folder] for folder in folders] for model, folders in models.items()}
        floor = fmean(r[MARKED] for r in of_model["popularity"]) if "popularity" in of_model else None
        ranked = {m: rs for m, rs in of_model.items() if all(r.get("settings_source") != _PUBLISHED for r in rs)}
        budgets = {model: budget_of(found) for model, found in ranked.items()}
        free = [m for m, rs in ranked.items() if m not in BASELINES and not rs[0].get("uses_modalities", True)]
        bars = [(budgets[model], _selected(ranked[model])) for model in free]
        for model, folders in models.items():
            for folder in folders:
                value, aware = results[folder][MARKED], results[folder].get("uses_modalities", True)
                beaten = floor is not None and value < floor
                within = (bar for budget, bar in bars if model in budgets and budget.within(budgets[model]))
                marks[folder] = BELOW_POPULARITY * beaten + BELOW_FEATURE_FREE * (aware and _any_above(within, value))
    return marks


def _selected(results: Sequence[Result]) -> float:
    """The mean test value, over seeds, of the setting with the best validation."""
    by_settings = defaultdict(list)
    for result in results:
        by_settings[settings_of(result)].append(result)
    best = max(
        by_settings.values(), key=lambda runs: fmean(run.get(run.get("monitor", ""), 0.0) or 0.0 for run in runs)
    )
    return fmean(run[MARKED] for run in best)


def _any_above(bars: Iterable[float], value: float) -> bool:
    return any(bar > value for bar in bars)
