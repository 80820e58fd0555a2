"""Where a league stands: which jobs are done, stale or open, the best trial of each cell, the time that is left."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from recmm import RESULTS_VERSION
from recmm.league.jobs import Job, Jobs
from recmm.league.rows import DONE, SEED, TRIAL, Row, read_rows

SELECTION = "val_recall@20"
"""The column that selects a method's best trial."""

STALE, OPEN = "stale", "open"


@dataclass(frozen=True)
class Cell:
    """A method on one dataset under one setting.

    Attributes:
        trials: one job each.
        winner: the trial with the highest Recall@20 on validation; None while a trial is open, or if all diverged.
        repetitions: the other seeds of the winner.
    """

    trials: tuple[Job, ...]
    winner: Job | None
    repetitions: tuple[Job, ...]

    @property
    def name(self) -> tuple[str, str, str]:
        """Model, dataset, setting."""
        first = self.trials[0]
        return first.model, first.dataset, first.setting

    def jobs(self) -> list[tuple[str, Job]]:
        """Kind and job of every run that is known by now."""
        return [*((TRIAL, job) for job in self.trials), *((SEED, job) for job in self.repetitions)]


class Standing:
    """The jobs of a league beside its rows.

    Args:
        jobs: composes them.
        results: the folder with one CSV per dataset.
        only, datasets, settings: names to which it is restricted; none: all.

    Attributes:
        cells: those with the cheapest runs first.
        others: rows of this league's datasets that belong to none of its jobs.
    """

    def __init__(
        self,
        jobs: Jobs,
        results: Path,
        only: Sequence[str] = (),
        datasets: Sequence[str] = (),
        settings: Sequence[str] = (),
    ) -> None:
        self.jobs, self.results = jobs, results
        self._trials = jobs.trials(only, datasets, settings)
        self._datasets = sorted({job.dataset for job in self._trials})
        self.refresh()

    def refresh(self) -> None:
        """Read the rows again."""
        rows = [row for dataset in self._datasets for row in read_rows(self.file(dataset))]
        self._rows: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            self._rows[row["configuration"]].append(row)
        by_cell: dict[tuple[str, str, str], list[Job]] = defaultdict(list)
        for job in self._trials:
            by_cell[job.model, job.dataset, job.setting].append(job)
        winners = {name: self._winner(trials) for name, trials in by_cell.items()}
        repeated: dict[tuple[str, str, str], list[Job]] = defaultdict(list)
        for job in self.jobs.repetitions([winner for winner in winners.values() if winner is not None]):
            repeated[job.model, job.dataset, job.setting].append(job)
        cells = [Cell(tuple(trials), winners[name], tuple(repeated[name])) for name, trials in by_cell.items()]
        self.cells = sorted(cells, key=lambda cell: (self.seconds(cell.trials[0]), cell.name[:2]))
        ours = {job.configuration for cell in self.cells for _, job in cell.jobs()}
        self.others = [row for row in rows if row["configuration"] not in ours]

    def file(self, dataset: str) -> Path:
        """The dataset's results."""
        return self.results / f"{dataset}.csv"

    def row(self, job: Job) -> Row | None:
        """The row that the job would make today, if it is there."""
        return next((row for row in self._rows[job.configuration] if not is_stale(row, job)), None)

    def state(self, job: Job) -> str:
        """`done`, `diverged`, `stale` (there are rows, none of which recmm would make today), or `open`."""
        row = self.row(job)
        if row is not None:
            return str(row["status"])
        return STALE if self._rows[job.configuration] else OPEN

    def open(self, cell: Cell) -> list[tuple[str, Job]]:
        """Kind and job of the runs of a cell that have to be made by now."""
        return [(kind, job) for kind, job in cell.jobs() if self.state(job) in (OPEN, STALE)]

    def seconds(self, job: Job) -> float:
        """CPU seconds of such a run: the mean of those measured for this method and dataset, else a guess."""
        measured = [
            row["cpu_seconds"]
            for rows in self._rows.values()
            for row in rows
            if row["model"] == job.model and row["dataset"] == job.dataset and row["status"] == DONE
        ]
        return mean(measured) if measured else self.jobs.league.methods[job.model].seconds * self.jobs.league.scale

    def n_repetitions(self, cell: Cell) -> int:
        """Runs that the winner of a cell gets beside its trial, known or not."""
        league = self.jobs.league
        masks = 1 if cell.trials[0].mask_seed is None else len(league.mask_seeds)
        return len(league.seeds) * masks - 1

    def seconds_left(self, cell: Cell) -> float:
        """CPU seconds that the cell still takes, its repetitions among them."""
        n_open = len(self.open(cell))
        if cell.winner is None and any(self.state(job) in (OPEN, STALE) for job in cell.trials):
            n_open += self.n_repetitions(cell)
        return n_open * self.seconds(cell.trials[0])

    def _winner(self, trials: Sequence[Job]) -> Job | None:
        rows = [self.row(job) for job in trials]
        if not all(rows):
            return None
        done = [
            (row["val_recall@20"], job) for row, job in zip(rows, trials, strict=True) if row and row["status"] == DONE
        ]
        return max(done, key=lambda pair: pair[0])[1] if done else None  # the first of equal ones


def is_stale(row: Row, job: Job) -> bool:
    """Whether recmm would not make this row of the job today: another RESULTS_VERSION, or other data.

    Where the data are not here, the version alone decides.
    """
    if row["results_version"] != RESULTS_VERSION:
        return True
    return job.signature is not None and row["signature"] != job.signature
