"""The numbers of the league's table: a method under a setting, averaged over the winner's seeds, with its marks."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from recmm.league.jobs import ANY, Job
from recmm.league.rows import DONE, Row
from recmm.league.standing import Cell, Standing

POPULARITY = "popularity"
REFERENCE = "full"
"""The setting that the retained share refers to."""


@dataclass(frozen=True)
class Entry:
    """What a method reaches on one dataset under one setting with its best trial.

    Attributes:
        model, dataset, setting: one of the league's settings, also for a method that ran once for all.
        cell: of its runs.
        jobs, rows: the winner's runs that are done, one row each.
        n_wanted: runs that the winner gets in all.
        feature_free: whether the method uses no modality.
    """

    model: str
    dataset: str
    setting: str
    cell: Cell
    jobs: tuple[Job, ...]
    rows: tuple[Row, ...]
    n_wanted: int
    feature_free: bool

    def mean(self, column: str) -> float:
        """Over the winner's runs."""
        return mean(row[column] for row in self.rows)

    def sd(self, column: str) -> float | None:
        """Sample standard deviation over the winner's runs; None with one."""
        return stdev(row[column] for row in self.rows) if len(self.rows) > 1 else None


class Entries:
    """All entries of a league by dataset and setting.

    Attributes:
        entries: in the order of the league's settings, the methods by name.
    """

    def __init__(self, standing: Standing) -> None:
        league = standing.jobs.league
        by_name = {cell.name: cell for cell in standing.cells}
        self.standing, self.entries = standing, list[Entry]()
        for dataset in league.datasets:
            for setting in league.settings:
                for model in sorted(league.methods):
                    free = by_name.get((model, dataset, ANY))
                    cell = free or by_name.get((model, dataset, setting))
                    if cell is not None and cell.winner is not None:
                        jobs = [job for job in (cell.winner, *cell.repetitions) if standing.state(job) == DONE]
                        rows = [row for job in jobs if (row := standing.row(job)) is not None]
                        n_wanted = 1 + standing.n_repetitions(cell)
                        self.entries.append(
                            Entry(model, dataset, setting, cell, tuple(jobs), tuple(rows), n_wanted, free is not None)
                        )

    def of(self, dataset: str, setting: str) -> list[Entry]:
        """One entry per method that has a winner there."""
        return [entry for entry in self.entries if (entry.dataset, entry.setting) == (dataset, setting)]

    def find(self, model: str, dataset: str, setting: str) -> Entry | None:
        """The method's entry, if it has a winner there."""
        return next((entry for entry in self.of(dataset, setting) if entry.model == model), None)

    def marks(self, entry: Entry, column: str) -> str:
        """▽ below popularity, ◇ below the best method that uses no modality, … while seeds are open."""
        value, others = entry.mean(column), self.of(entry.dataset, entry.setting)
        floor = next((other.mean(column) for other in others if other.model == POPULARITY), None)
        free = max((other.mean(column) for other in others if other.feature_free), default=None)
        marks = "▽" if floor is not None and value < floor else ""
        marks += "◇" if free is not None and not entry.feature_free and value < free else ""
        return marks + ("…" if len(entry.rows) < entry.n_wanted else "")

    def retained(self, entry: Entry, column: str) -> float | None:
        """The share of its own number with full modality that a method keeps; None for one that uses no modality."""
        full = self.find(entry.model, entry.dataset, REFERENCE)
        if entry.feature_free or full is None or not full.mean(column):
            return None
        return entry.mean(column) / full.mean(column)

    def methods(self, dataset: str) -> list[str]:
        """Those that have an entry on the dataset, by name."""
        return sorted({entry.model for entry in self.entries if entry.dataset == dataset})

    def complete_blocks(self, column: str) -> tuple[list[str], list[list[float]]]:
        """The methods that have a number in every block (dataset x setting) in which any has one, and these numbers.

        Returns:
            methods; values [n_blocks][n_methods].
        """
        blocks = list(dict.fromkeys((entry.dataset, entry.setting) for entry in self.entries))
        found: Sequence[dict[str, float]] = [
            {entry.model: entry.mean(column) for entry in self.of(*block)} for block in blocks
        ]
        names = sorted(set.intersection(*({*values} for values in found))) if found else []
        return names, [[values[name] for name in names] for values in found]
