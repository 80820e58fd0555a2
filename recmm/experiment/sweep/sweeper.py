"""A sweep: finished jobs are skipped, interrupted ones resumed, a failed job does not stop the others.

The records of its runs are the only state of a sweep, so it can be started again after any crash.
"""

import contextlib
import math
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from hydra.core.config_loader import ConfigLoader
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import CompactHydraException
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig, OmegaConf

from recmm.data.files.atomic import replace_atomically, writing
from recmm.errors import BusyFolderError, own_error
from recmm.experiment.config.hydra_private import what_was_raised
from recmm.experiment.sweep.plan import DONE, ELSEWHERE, FAILED, INTERRUPTED, NEW, Job, is_locked, peek, plan
from recmm.experiment.sweep.progress import SweepProgress, print_outcomes
from recmm.experiment.verification import DAMAGED

ERROR_FILE = "error.log"
GOOD = ("done", "skipped", ELSEWHERE)
"""Outcomes with which a sweep is a success."""

ELSEWHERE_VALUE = -math.inf
"""What a job returns that another process is running; validation metrics are at least 0."""

_CALLED_OFF = ".called_off"  # in the sweep's folder after a failed job: no further job may start


def run_sweep(
    combinations: Sequence[Sequence[str]], loader: ConfigLoader, master: DictConfig, launcher: Launcher
) -> None:
    """Run the jobs that are not done yet; exit with code 1 unless all jobs are done, here or by another process.

    Args:
        combinations: the overrides of every job.
        loader, master: compose the configuration of a job.
        launcher: runs the jobs, on this machine or another, one by one or in parallel.
    """
    settings, folder = master.sweep, Path(str(master.hydra.sweep.dir))
    jobs = plan(combinations, loader, master)
    with writing(folder):
        open_folder(folder, master)
    wanted = {NEW, INTERRUPTED, *([FAILED] if settings.retry_failed else [])}
    pending = [job for job in jobs if job.found in wanted]
    outcomes = {job.folder: _earlier(job) for job in jobs if job not in pending}
    if pending:
        with SweepProgress(settings.name or folder.name, jobs, pending):
            outcomes |= launch(launcher, pending, threads_each(master))
    outcomes = {place: _now(place, *outcome) for place, outcome in outcomes.items()}
    print_outcomes(jobs, outcomes, folder)
    if any(outcome not in GOOD for outcome, _ in outcomes.values()):
        sys.exit(1)


def open_folder(folder: Path, master: DictConfig) -> None:
    """Write the arguments as `sweep.yaml`, and clear the mark of a failed job that stopped an earlier start."""
    (folder / _CALLED_OFF).unlink(missing_ok=True)
    replace_atomically(folder / "sweep.yaml", OmegaConf.to_yaml(master.hydra.overrides.task))


def guarded(train: Callable[[DictConfig], float], cfg: DictConfig, folder: Path) -> float | None:
    """Run one job in a process of its launcher; on an error its traceback goes to `error.log` in its folder.

    Returns:
        What ``train`` returns; None, without running it, after a failed job with sweep.on_error=stop;
        ``ELSEWHERE_VALUE`` if another process is running it.
    """
    called_off = folder.parent / _CALLED_OFF
    if called_off.exists():
        return None
    (folder / ERROR_FILE).unlink(missing_ok=True)
    try:
        return train(cfg)
    except BusyFolderError:
        return ELSEWHERE_VALUE
    except Exception as error:
        with contextlib.suppress(OSError):  # on a full disk the sentence is what counts
            replace_atomically(folder / ERROR_FILE, traceback.format_exc())
        if cfg.sweep.on_error == "stop":
            called_off.touch()
        raise CompactHydraException(_sentence(error)) from error


def threads_each(master: DictConfig) -> int | None:
    """CPU threads for each of the jobs that a launcher runs in parallel; None: torch's default.

    The number that a scheduler gives to a job (submitit's `cpus_per_task`, Ray's `num_cpus`), or an equal share of this
    machine's cores for each of joblib's `n_jobs`.
    """
    if master.trainer.threads not in (None, "auto"):
        return None
    n_jobs = side_by_side(master)
    if n_jobs is not None:
        return max(1, (os.cpu_count() or 1) // n_jobs)
    launcher = master.hydra.launcher
    return launcher.get("cpus_per_task") or OmegaConf.select(launcher, "ray.remote.num_cpus")


def side_by_side(master: DictConfig) -> int | None:
    """Number of jobs that the launcher runs in parallel on this machine; None if it is not joblib's."""
    n_jobs = master.hydra.launcher.get("n_jobs")  # negative, as in joblib: all cores + 1 + n_jobs
    return n_jobs if n_jobs is None or n_jobs > 0 else max(1, (os.cpu_count() or 1) + 1 + n_jobs)


def launch(
    launcher: Launcher, jobs: Sequence[Job], threads: int | None, *, progress: bool = False
) -> dict[Path, tuple[str, str]]:
    """Run the jobs; returns the outcome of each, and the reason if it is not done.

    Args:
        threads: CPU threads for each job; None: torch's default.
        progress: whether jobs show progress bars of their own.
    """
    batch = [
        [
            *job.overrides,
            *([] if progress else ["trainer.progress=false"]),
            *(["ckpt=never"] if job.found == FAILED else []),
            *([f"trainer.threads={threads}"] if threads else []),
        ]
        for job in jobs
    ]
    returns: Sequence[JobReturn | None] = [None] * len(jobs)
    trouble = ""
    try:
        returns = launcher.launch(batch, initial_job_idx=0)
    except Exception as error:  # a killed worker also ends its launcher
        trouble = _sentence(error)
    return {job.folder: _outcome(job, answer, trouble) for job, answer in zip(jobs, returns, strict=True)}


def _earlier(job: Job) -> tuple[str, str]:
    if job.found == DONE:
        return "skipped", ""
    if job.found == FAILED:
        return "failed", _recorded_error(job.folder)
    hint = "; overwrite=true moves it aside and runs the job again" if job.found == DAMAGED else ""
    return job.found, job.why + hint


def _now(folder: Path, outcome: str, why: str) -> tuple[str, str]:
    """The outcome of a job once the sweep is over: what another process was running may be over as well."""
    if outcome != ELSEWHERE or is_locked(folder):
        return outcome, why
    status = peek(folder).get("status")
    if status in ("done", "pruned"):
        return ELSEWHERE, "another process has run it"
    if status == "failed":
        return "failed", f"in another process: {_recorded_error(folder)}"
    return "interrupted", "the process that was running it is gone; start the sweep again"


def _outcome(job: Job, answer: JobReturn | None, trouble: str) -> tuple[str, str]:
    if answer is not None and answer.status == JobStatus.FAILED:
        return "failed", _sentence(what_was_raised(answer))
    if answer is not None:
        if answer.return_value is None:
            return "not started", "a job before it failed, and sweep.on_error=stop"
        if answer.return_value == ELSEWHERE_VALUE:
            return ELSEWHERE, "another process is running it"
        return ("pruned" if math.isnan(answer.return_value) else "done"), ""
    status = peek(job.folder).get("status")  # the launcher failed, so only the record knows
    if status in ("done", "pruned"):
        return status, ""
    if status == "failed":
        return "failed", _recorded_error(job.folder)
    return ("not started" if status is None else "interrupted"), trouble


def _recorded_error(folder: Path) -> str:
    error = peek(folder).get("error")
    error = error if isinstance(error, dict) else {}
    return f"{error.get('type', 'unknown error')}: {error.get('message', '')}"


def _sentence(error: BaseException) -> str:
    own = own_error(error)
    if own is not None:
        return str(own)
    if isinstance(error, CompactHydraException):
        return str(error)
    return f"{type(error).__name__}: {error}"
