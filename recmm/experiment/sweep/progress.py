"""The output of a sweep: one live line with an estimate of the time left, and a table of outcomes at the end."""

import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from recmm.errors import RunError
from recmm.experiment.sweep.marks import LEGEND, MARKED, marks_of
from recmm.experiment.sweep.plan import Job, peek, told_apart
from recmm.experiment.verification import read_result

POLL_SECONDS = 1.0
_LISTED = 40  # rows of the closing table; with more jobs it lists only those that are not done
_WIDTH = 160  # columns of the table where there is no terminal
_SHOWN = ("val/recall@20", "test/recall@20", "test/ndcg@20")


class SweepProgress:
    """Shows the progress of a sweep by reading its records from a thread, so jobs may run anywhere.

    Without a terminal it prints one line per finished job. It never takes a record's lock.

    Args:
        name: of the sweep.
        jobs: all jobs.
        pending: the jobs that are about to run.
    """

    def __init__(self, name: str, jobs: Sequence[Job], pending: Sequence[Job]) -> None:
        self.name, self.jobs, self.pending, self._arguments = name, jobs, pending, told_apart(jobs)
        self._started: dict[Path, float] = {}
        self._seconds: dict[Path, float] = {}
        self._n_failed = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._console = Console(stderr=True)
        self._bar: Progress | None = None

    def __enter__(self) -> "SweepProgress":
        if self._console.is_terminal:
            texts = TextColumn(f"sweep {self.name}"), TextColumn("{task.fields[told]}")
            self._bar = Progress(
                texts[0], MofNCompleteColumn(), BarColumn(), TimeElapsedColumn(), texts[1], console=self._console
            )
            self._task = self._bar.add_task("jobs", total=len(self.jobs), completed=self._n_over(), told="")
            self._bar.start()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()
        if self._bar is not None:
            self._bar.stop()

    def look(self) -> None:
        """Read the records once and show changes."""
        over = []
        for job in self.pending:
            if job.folder in self._seconds:
                continue
            try:
                result = read_result(job.folder) or {}
            except (RunError, OSError):  # it is being replaced, or was removed
                continue
            if result.get("attempt", 0) <= job.attempt:
                continue  # the record of an earlier start
            self._started.setdefault(job.folder, time.monotonic())
            if result.get("status") != "running":
                self._seconds[job.folder] = time.monotonic() - self._started[job.folder]
                self._n_failed += result.get("status") != "done"
                over.append((job, result))
        for job, result in over:  # after all records are read, for the estimate of the time left
            self._tell(job, result)
        if self._bar is not None:
            self._bar.update(self._task, completed=self._n_over(), told=self._state())

    def seconds_left(self) -> float | None:
        """Estimated seconds until the sweep ends, from finished jobs of the same model; None before the first."""
        if not self._seconds:
            return None
        overall = mean(self._seconds.values())
        total = 0.0
        for job in self.pending:
            if job.folder not in self._seconds:
                alike = [
                    self._seconds[j.folder] for j in self.pending if j.model == job.model and j.folder in self._seconds
                ]
                gone = time.monotonic() - self._started.get(job.folder, time.monotonic())
                total += max((mean(alike) if alike else overall) - gone, 0.0)
        return total / max(len(self._started.keys() - self._seconds.keys()), 1)

    def _watch(self) -> None:
        while not self._stop.wait(POLL_SECONDS):
            self.look()
        self.look()

    def _n_over(self) -> int:
        return len(self.jobs) - len(self.pending) + len(self._seconds)

    def _state(self) -> str:
        running = [job for job in self.pending if job.folder in self._started.keys() - self._seconds.keys()]
        told = [f"{self._n_failed} failed"] if self._n_failed else []
        told += [job.folder.name for job in running[:1]] + (
            [f"and {len(running) - 1} more"] if len(running) > 1 else []
        )
        left = self.seconds_left()
        return "  ".join([*told, "" if left is None else f"about {duration(left)} left"])

    def _tell(self, job: Job, result: Mapping[str, Any]) -> None:
        left, took = self.seconds_left(), duration(self._seconds[job.folder])
        scores = "  ".join(f"{name} {score}" for name, score in zip(_SHOWN, _scores(result), strict=True) if score)
        named = "  ".join(filter(None, (job.folder.name, self._arguments[job.folder])))
        told = f"[{self._n_over()}/{len(self.jobs)}] {named}: {result.get('status')} in {took}  {scores}"
        if self._n_over() < len(self.jobs) and left is not None:
            told += f"  about {duration(left)} left"
        if self._bar is not None:
            self._bar.console.print(told, highlight=False, markup=False, soft_wrap=True)
        else:
            print(told, file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """``42 s``, ``3 min``, ``2 h 05 min``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"


def print_outcomes(jobs: Sequence[Job], outcomes: Mapping[Path, tuple[str, str]], folder: Path) -> None:
    """Print the closing table with the outcome of every job, and the reason for each that is not done."""
    table = Table(Column("job", overflow="fold"), Column("arguments", overflow="fold"), "outcome", *_SHOWN)
    rows, marks = _rows(jobs, outcomes)
    for row in rows:
        table.add_row(*row)
    counts: dict[str, int] = {}
    for outcome, _ in outcomes.values():
        counts[outcome] = counts.get(outcome, 0) + 1
    width = None if sys.stdout.isatty() else _WIDTH
    console = Console(soft_wrap=True, highlight=False, markup=False, width=width)
    if table.row_count:
        console.print(table, *(LEGEND[mark] for mark in LEGEND if mark in marks), sep="\n")
    for job in jobs:
        outcome, why = outcomes[job.folder]
        if why:
            console.print(f"{job.folder.name}: {outcome}: {why}")
    console.print(f"{', '.join(f'{count} {outcome}' for outcome, count in counts.items())}: {folder}")


def _rows(jobs: Sequence[Job], outcomes: Mapping[Path, tuple[str, str]]) -> tuple[list[list[str]], set[str]]:
    """The table's rows, and the marks that stand in them."""
    arguments, many = told_apart(jobs), len(jobs) > _LISTED
    complete = [job.folder for job in jobs if outcomes[job.folder][0] in ("done", "skipped") and not many]
    results = {folder: peek(folder) for folder in complete}
    marks = marks_of(results)
    rows = []
    for job in jobs:
        outcome = outcomes[job.folder][0]
        if many and outcome in ("done", "skipped"):
            continue
        scores = dict(zip(_SHOWN, _scores(results.get(job.folder, {})), strict=True))
        scores[MARKED] = " ".join(filter(None, (scores[MARKED], marks.get(job.folder, ""))))
        rows.append([job.folder.name, arguments[job.folder], outcome, *scores.values()])
    return rows, set("".join(marks.values()))


def _scores(result: Mapping[str, Any]) -> list[str]:
    values = (result.get(name) for name in _SHOWN)
    return [f"{value:.4f}" if isinstance(value, int | float) else "" for value in values]
