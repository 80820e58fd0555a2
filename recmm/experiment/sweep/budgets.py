"""What was spent on a method: how many settings were tried, over how many epochs, and in how many seconds."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from recmm.experiment.config.identity import CONDITION_KEYS, is_hyper_parameter

Result = Mapping[str, Any]
"""Content of a run's `result.json`."""


@dataclass(frozen=True)
class Budget:
    """What was spent on one method on one catalogue.

    Attributes:
        trials: different settings that were tried under one condition, the most over the conditions.
        epochs: most epochs that a trial could take (`trainer.max_epochs`); 0: nothing is trained.
        seconds: of all trials, as many times the mean of a run.
    """

    trials: int
    epochs: int
    seconds: float

    def within(self, other: "Budget") -> bool:
        """Whether this is no more than ``other``: in trials and epochs, or without training in trials or seconds."""
        if not self.epochs:
            return self.trials <= other.trials or self.seconds <= other.seconds
        return self.trials <= other.trials and self.epochs <= other.epochs


def budget_of(results: Sequence[Result]) -> Budget:
    """The budget of one method on one catalogue from its runs, those that a search pruned among them."""
    tried = defaultdict(set)
    for result in results:
        identity = result["identity"]
        condition = {key: value for key, value in identity.items() if key.startswith(CONDITION_KEYS)}
        condition.pop("missing.seed", None)
        tried[json.dumps(condition, sort_keys=True)].add(settings_of(result))
    trials = max(map(len, tried.values()))
    trained = any(result.get("epochs") != 0 for result in results)
    limits = [result["identity"].get("trainer.max_epochs") or result.get("epochs") or 1 for result in results]
    seconds = fmean(float(result.get("wall_seconds") or 0.0) for result in results)
    return Budget(trials, max(limits) if trained else 0, trials * seconds)


def settings_of(result: Result) -> str:
    """The hyper-parameters of a run as one text, the same for all of its seeds and conditions."""
    settings = {key: value for key, value in result["identity"].items() if is_hyper_parameter(key)}
    return json.dumps(settings, sort_keys=True)


def common_budget(budgets: Iterable[Budget]) -> Budget:
    """What most methods with training had (of equally frequent ones the largest), with the fewest seconds of them."""
    every = list(budgets)
    trained = [budget for budget in every if budget.epochs] or every
    pairs = [(budget.trials, budget.epochs) for budget in trained]
    most = max(pairs, key=lambda pair: (pairs.count(pair), pair))
    return Budget(*most, min(b.seconds for b, pair in zip(trained, pairs, strict=True) if pair == most))


def is_equal(budget: Budget, common: Budget) -> bool:
    """Whether a budget equals the common one: the same trials and epochs, or without training no more than it."""
    if budget.epochs:
        return (budget.trials, budget.epochs) == (common.trials, common.epochs)
    return budget.within(common)


def searched(results: Sequence[Result]) -> dict[str, list[Any]]:
    """Each hyper-parameter of which several values were tried, with these values, the smallest first."""
    keys = sorted({key for result in results for key in result["identity"] if is_hyper_parameter(key)})
    found = {}
    for key in keys:
        values = {json.dumps(result["identity"].get(key)): result["identity"].get(key) for result in results}
        if len(values) > 1:
            found[key] = sorted(values.values(), key=_place)
    return found


def _place(value: Any) -> tuple[bool, float, str]:
    is_number = isinstance(value, int | float)
    return not is_number, float(value) if is_number else 0.0, str(value)
