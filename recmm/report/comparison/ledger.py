"""The ledger: what was spent on each method, baselines included, and which budgets were not equal."""

from typing import Any

import polars as pl

from recmm.experiment.sweep.budgets import Budget
from recmm.report.comparison.tables import Row, Table
from recmm.report.results.budgets import Spent
from recmm.report.results.cells import Cell
from recmm.report.results.naming import file_name, short_name
from recmm.report.results.order import in_order
from recmm.report.results.results import Results

_COLUMNS = (
    *("budget", "trials", "epochs at most", "epochs run", "seeds", "mask seeds", "s of a run"),
    *("values tried", "chosen on validation"),
)
_NOTE = (
    "Trials: different settings of a method under one condition, the most over the conditions, those that a search "
    "pruned among them. A search whose runs are not in this report does not count. Epochs at most: "
    "trainer.max_epochs; 0 where nothing is trained. Epochs run and s of a run: means over all runs. Equal: the "
    "trials and epochs that most methods with training had; a method without training is within it with no more "
    "trials, or no more seconds for all of its trials. Only methods with equal budgets are marked best or starred. "
    "Seeds do not count, since a mean over more of them is no higher. Published settings (†) are a paper's own and "
    "never ranked"
)


def ledger(results: Results) -> list[Table]:
    """One table per catalogue, a row for each model."""
    tables = []
    for (catalogue,), group in results.frame.group_by("catalogue", maintain_order=True):
        rows, unequal = [], []
        for model in group.sort("method_order")["model"].unique(maintain_order=True):
            for own in group.filter(pl.col("model") == model).partition_by("published", maintain_order=True):
                published = bool(own["published"][0])
                spent = None if published else results.budgets[str(catalogue), model]
                if spent is not None and not spent.equal:
                    unequal.append(f"{model} {_told(spent.budget)}")
                rows.append(Row((f"{model}†" if published else model,), _cells(own, spent)))
        common = next((spent.common for (place, _), spent in results.budgets.items() if place == catalogue), None)
        said = f". The common budget: {_told(common)}" if common else ""
        said += f". Unequal: {'; '.join(unequal)}." if unequal else ". All budgets were equal."
        name, title = file_name("ledger", str(catalogue)), f"Budgets on {catalogue}"
        tables.append(Table(name, title, _NOTE + said, ("method",), _COLUMNS, tuple(rows)))
    return tables


def _cells(own: pl.DataFrame, spent: Spent | None) -> tuple[Cell, ...]:
    folders = tuple(own["link"].sort())
    values: tuple[Any, ...] = (
        "published" if spent is None else _standing(spent),
        None if spent is None else spent.budget.trials,
        None if spent is None else spent.budget.epochs,
        own["epochs"].mean(),
        own["seed"].n_unique(),
        own["mask_seed"].drop_nulls().n_unique() or None,
        own["wall_seconds"].mean(),
        _space(spent),
        _chosen(own, spent),
    )
    return tuple(Cell(value, folders=folders, digits=1) for value in values)


def _standing(spent: Spent) -> str:
    return ("equal" if spent.budget.epochs else "within") if spent.equal else "unequal"


def _told(budget: Budget) -> str:
    trials = "1 trial" if budget.trials == 1 else f"{budget.trials} trials"
    return f"{trials}, {f'{budget.epochs} epochs' if budget.epochs else 'without training'}"


def _space(spent: Spent | None) -> str:
    """The values tried; "one setting" where there was no search."""
    if spent is None or not spent.space:
        return "one setting"
    tried = "; ".join(
        f"{short_name(key)}: {', '.join('none' if value is None else str(value) for value in values)}"
        for key, values in spent.space.items()
    )
    return tried + (f" ({spent.n_pruned} runs pruned)" if spent.n_pruned else "")


def _chosen(own: pl.DataFrame, spent: Spent | None) -> str:
    """The setting with the best validation under each condition, named once where it is the same under all."""
    sources = "/".join(sorted({source or "not noted" for source in own["settings_source"]}))
    if spent is None or not spent.space:
        return f"{sources} settings"
    selected = own.filter("selected")
    by_condition = {
        condition: ", ".join(in_order(selected.filter(pl.col("condition") == condition), "method"))
        for condition in in_order(selected, "condition")
    }
    if len(set(by_condition.values())) == 1:
        return next(iter(by_condition.values()))
    return "; ".join(f"{condition}: {method}" for condition, method in by_condition.items())
