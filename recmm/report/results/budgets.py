"""What was spent on each method of each catalogue, and which methods had equal budgets."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import polars as pl

from recmm.experiment.sweep.budgets import Budget, budget_of, common_budget, is_equal, searched
from recmm.report.records.runs import Runs
from recmm.report.records.variants import Record

PUBLISHED = "published"
"""`settings_source` of hyper-parameters that a paper chose on its test set; they do not count as trials."""


@dataclass(frozen=True)
class Spent:
    """What was spent on one model on one catalogue.

    Attributes:
        budget: trials, epochs and seconds.
        common: the budget that most models of the catalogue had, see ``common_budget``.
        space: hyper-parameters of which several values were tried, with these values.
        n_pruned: runs that a search ended early; they count as trials.
    """

    budget: Budget
    common: Budget
    space: dict[str, list[Any]]
    n_pruned: int

    @property
    def equal(self) -> bool:
        """Whether its budget equals the common one."""
        return is_equal(self.budget, self.common)


Budgets = dict[tuple[str, str], Spent]
"""Catalogue and model -> what was spent. Models that ran with published settings only are absent."""


def budgets_of(frame: pl.DataFrame, runs: Runs) -> Budgets:
    """What was spent on each model.

    Args:
        frame: the table of results with its names.
        runs: the finished runs, and those that searches pruned.
    """
    keys = frame.select("dataset", "split", "data_digest", "catalogue").unique().rows()
    catalogues = {(dataset, split, digest): catalogue for dataset, split, digest, catalogue in keys}
    made: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in [*runs.records.values(), *runs.pruned]:
        place = (record["dataset"], record["data"]["split"], record["data"]["digest"])
        if record.get("settings_source") != PUBLISHED and place in catalogues:
            made[catalogues[place], record["model"]].append(record)
    budgets = {place: budget_of(records) for place, records in made.items()}
    common = {
        catalogue: common_budget(budget for (other, _), budget in budgets.items() if other == catalogue)
        for catalogue, _ in budgets
    }
    return {
        (catalogue, model): Spent(
            budgets[catalogue, model],
            common[catalogue],
            searched(records),
            sum(record["status"] == "pruned" for record in records),
        )
        for (catalogue, model), records in made.items()
    }


def with_equality(frame: pl.DataFrame, budgets: Budgets) -> pl.DataFrame:
    """Add *equal_budget*: whether the row's model had the budget that most models of its catalogue had."""
    equal = [(place in budgets and budgets[place].equal) for place in frame.select("catalogue", "model").iter_rows()]
    return frame.with_columns(equal_budget=pl.Series(equal, dtype=pl.Boolean))
