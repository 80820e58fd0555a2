"""`league run`: the open jobs one after another in this process, each as ``train.py`` runs it.

A kill costs what the running job did since its last checkpoint: started again, its run goes on. Several processes may
work on one league: a job belongs to the one that holds its lock.
"""

import contextlib
import io
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from recmm import RESULTS_VERSION
from recmm.errors import NonFiniteLossError
from recmm.experiment import launch
from recmm.experiment.sweep.plan import peek
from recmm.experiment.sweep.progress import duration
from recmm.experiment.verification import verify
from recmm.league.best import write_best
from recmm.league.jobs import Job, Jobs, chosen
from recmm.league.rows import append_row, row_of
from recmm.league.standing import SELECTION, Cell, Standing

ELSEWHERE, FAILED = "elsewhere", "failed"
_LOCKS = ".league"  # beside the runs' folders
_INTERRUPTED = 130


class Runner:
    """Runs the open jobs of a league.

    Args:
        jobs: of the league.
        place: the folder that holds results/ and best/.
        hours: no further job starts after so many; None: until all are done.
        clock: seconds, for ``hours``.
    """

    def __init__(
        self, jobs: Jobs, place: Path, hours: float | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.jobs, self.place, self._clock = jobs, place, clock
        self._end = None if hours is None else clock() + hours * 3600
        self._passed: dict[str, str] = {}
        self._n_done = 0

    def run(self, only: Sequence[str] = (), datasets: Sequence[str] = (), settings: Sequence[str] = ()) -> bool:
        """Do the open jobs of the named methods, datasets and settings, or of all; whether none of them failed.

        The cheapest methods come first. What another process was doing is looked at again after all others.

        Raises:
            ConfigError: a name is unknown or an argument is wrong.
            DataError: the data of an open job are not here.
        """
        methods = self.jobs.league.methods
        order = sorted(chosen("method", only, list(methods)), key=lambda name: methods[name].seconds)
        before = -1
        while before < self._n_done and not self._is_over():
            before = self._n_done
            self._passed = {name: state for name, state in self._passed.items() if state == FAILED}
            for model in order:
                if self._is_over():
                    break
                self._run_method(Standing(self.jobs, self.place / "results", [model], datasets, settings))
        if self._is_over():
            say("The given hours are over.")
        states = sorted({*self._passed.values()})
        say(", ".join([f"{self._n_done} done", *(f"{[*self._passed.values()].count(s)} {s}" for s in states)]))
        return FAILED not in states

    def _is_over(self) -> bool:
        return self._end is not None and self._clock() >= self._end

    def _run_method(self, standing: Standing) -> None:
        while not self._is_over() and (found := self._next(standing)) is not None:
            cell, kind, job = found
            if job.unreadable is not None:
                raise job.unreadable
            with self._claim(job) as is_ours:
                standing.refresh()
                if not is_ours:
                    self._passed[job.configuration] = ELSEWHERE
                elif standing.row(job) is None:
                    self._do(standing, cell, kind, job)
            standing.refresh()
        for cell in standing.cells:
            write_best(standing, cell, self.place / "best")

    def _next(self, standing: Standing) -> tuple[Cell, str, Job] | None:
        for cell in standing.cells:
            for kind, job in standing.open(cell):
                if job.configuration not in self._passed:
                    return cell, kind, job
        return None

    @contextlib.contextmanager
    def _claim(self, job: Job) -> Iterator[bool]:
        """Whether the job belongs to this process for the block."""
        folder = job.folder.parent / _LOCKS
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock = FileLock(folder / f"{job.configuration}.lock").acquire(timeout=0)
        except Timeout:
            yield False
            return
        with lock:
            yield True

    def _do(self, standing: Standing, cell: Cell, kind: str, job: Job) -> None:
        started = time.monotonic()
        anew = ["overwrite=true"] if self._is_in_the_way(job) else []
        code = train_in_process([*self.jobs.shared, *job.arguments, "trainer.progress=false", *anew])
        result = peek(job.folder)
        diverged = (result.get("error") or {}).get("type") == NonFiniteLossError.__name__
        over = result.get("status") == "done" or diverged
        told = " ".join([job.model, job.dataset, job.setting, kind, *job.values, f"seed={job.seed}"])
        if not over or result.get("signature") != job.signature:
            self._passed[job.configuration] = FAILED
            say(f"{told}: failed (exit code {code}), in {job.folder}")
            return
        row = row_of(job, kind, len(cell.trials), RESULTS_VERSION, result)
        append_row(standing.file(job.dataset), row, job.folder.parent / _LOCKS / f"{job.dataset}.csv.lock")
        self._n_done += 1
        score = "diverged" if diverged else f"{SELECTION} {row[SELECTION]:.4f}"
        say(f"{told}: {score} in {duration(time.monotonic() - started)}")

    def _is_in_the_way(self, job: Job) -> bool:
        """Whether the folder holds a run of other code or data, or a damaged one."""
        found = peek(job.folder)
        if not found:
            return False
        return found.get("signature") != job.signature or (found.get("status") == "done" and bool(verify(job.folder)))


def train_in_process(arguments: list[str]) -> int:
    """Run ``train.py`` in this process, without its tables; its exit code.

    Raises:
        KeyboardInterrupt, SystemExit: Ctrl-C or SIGTERM ended the run; the league ends with it.
    """
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            launch.main(arguments)
    except SystemExit as left:
        code = int(left.code or 0)
        if code == _INTERRUPTED:
            raise KeyboardInterrupt from None
        if code > _INTERRUPTED:  # 128 + a signal
            raise
        return code
    return 0


def say(text: str) -> None:
    """One line of progress, at once."""
    print(text, file=sys.stderr, flush=True)
