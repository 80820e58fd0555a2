"""A sweep: what is done is skipped, what was interrupted goes on, what fails does not stop the rest; a closing table.

The state of a sweep is the records of its runs and nothing else, so it can be started again after any death.
"""

import math
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import CompactHydraException
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig, OmegaConf

from recmm.data.files.atomic import replace_atomically
from recmm.errors import own_error
from recmm.experiment.config.hydra_private import what_was_raised
from recmm.experiment.records import read_result
from recmm.experiment.sweep.plan import DONE, ELSEWHERE, FAILED, INTERRUPTED, NEW, Job, plan
from recmm.experiment.sweep.progress import SweepProgress, print_outcomes

ERROR_FILE = "error.log"
_CALLED_OFF = ".called_off"  # in the sweep's folder: a job failed, and no further one is to start


def run_sweep(
    combinations: Sequence[Sequence[str]], loader: ConfigLoader, master: DictConfig, launcher: Launcher
) -> None:
    """Run what is not done yet; leave the process with exit code 1 unless every job is done in the end.

    Args:
        combinations: the overrides of every job.
        loader, master: compose a job.
        launcher: runs jobs, here or elsewhere, alone or side by side.
    """
    settings, folder = master.sweep, Path(str(master.hydra.sweep.dir))
    jobs = plan(combinations, loader, master)
    open_folder(folder, master)
    wanted = {NEW, INTERRUPTED, *([FAILED] if settings.retry_failed else [])}
    pending = [job for job in jobs if job.found in wanted]
    outcomes = {job.folder: _earlier(job) for job in jobs if job not in pending}
    if pending:
        with SweepProgress(settings.name or folder.name, jobs, pending):
            outcomes |= launch(launcher, pending, threads_each(master))
    print_outcomes(jobs, outcomes, folder)
    if any(outcome not in ("done", "skipped") for outcome, _ in outcomes.values()):
        sys.exit(1)


def open_folder(folder: Path, master: DictConfig) -> None:
    """Write down what was asked for, as `sweep.yaml`; what called the sweep off when it ran before is forgotten."""
    (folder / _CALLED_OFF).unlink(missing_ok=True)
    replace_atomically(folder / "sweep.yaml", OmegaConf.to_yaml(master.hydra.overrides.task))


def guarded(train: Callable[[DictConfig], float], cfg: DictConfig, folder: Path) -> float | None:
    """One job in the process that its launcher gave it: its traceback stays in its own folder."""
    called_off = folder.parent / _CALLED_OFF
    if called_off.exists():
        return None
    (folder / ERROR_FILE).unlink(missing_ok=True)
    try:
        return train(cfg)
    except Exception as error:
        replace_atomically(folder / ERROR_FILE, traceback.format_exc())
        if cfg.sweep.on_error == "stop":
            called_off.touch()
        raise CompactHydraException(_sentence(error)) from error


def threads_each(master: DictConfig) -> int | None:
    """CPU threads for each of the jobs that a launcher runs side by side; None: as torch decides.

    What a scheduler gives to a job (submitit's `cpus_per_task`, Ray's `num_cpus`), or an equal share of this machine's
    cores for each of joblib's `n_jobs`.
    """
    if master.trainer.threads is not None:
        return None
    n_jobs = side_by_side(master)
    if n_jobs is not None:
        return max(1, (os.cpu_count() or 1) // n_jobs)
    launcher = master.hydra.launcher
    return launcher.get("cpus_per_task") or OmegaConf.select(launcher, "ray.remote.num_cpus")


def side_by_side(master: DictConfig) -> int | None:
    """How many jobs the launcher runs at once on this machine; None if it is not joblib's."""
    n_jobs = master.hydra.launcher.get("n_jobs")  # negative: that many fewer than all cores, plus one
    return n_jobs if n_jobs is None or n_jobs > 0 else max(1, (os.cpu_count() or 1) + 1 + n_jobs)


def launch(
    launcher: Launcher, jobs: Sequence[Job], threads: int | None, *, progress: bool = False
) -> dict[Path, tuple[str, str]]:
    """Outcome of every job, and for those that are not done a sentence that says why.

    Args:
        threads: for each job; None: as torch decides.
        progress: whether a job may show its own; false where something else shows that of all jobs.
    """
    batch = [
        [
            *job.overrides,
            *([] if progress else ["trainer.progress=false"]),
            *(["ckpt=last"] if job.found == INTERRUPTED else []),
            *([f"trainer.threads={threads}"] if threads else []),
        ]
        for job in jobs
    ]
    returns: Sequence[JobReturn | None] = [None] * len(jobs)
    trouble = ""
    try:
        returns = launcher.launch(batch, initial_job_idx=0)
    except Exception as error:  # a worker that was killed takes its launcher along
        trouble = _sentence(error)
    return {job.folder: _outcome(job, answer, trouble) for job, answer in zip(jobs, returns, strict=True)}


def _earlier(job: Job) -> tuple[str, str]:
    if job.found == DONE:
        return "skipped", ""
    if job.found == ELSEWHERE:
        return "elsewhere", "another process is working on it"
    return "failed", _recorded_error(job.folder)


def _outcome(job: Job, answer: JobReturn | None, trouble: str) -> tuple[str, str]:
    if answer is not None and answer.status == JobStatus.FAILED:
        return "failed", _sentence(what_was_raised(answer))
    if answer is not None:
        if answer.return_value is None:
            return "not started", "a job before it failed, and sweep.on_error=stop"
        return ("pruned" if math.isnan(answer.return_value) else "done"), ""
    status = (read_result(job.folder) or {}).get("status")  # the launcher died with its worker
    if status in ("done", "pruned"):
        return status, ""
    if status == "failed":
        return "failed", _recorded_error(job.folder)
    return ("not started" if status is None else "interrupted"), trouble


def _recorded_error(folder: Path) -> str:
    error: dict[str, Any] = (read_result(folder) or {}).get("error") or {}
    return f"{error.get('type', 'unknown error')}: {error.get('message', '')}"


def _sentence(error: BaseException) -> str:
    own = own_error(error)
    if own is not None:
        return str(own)
    if isinstance(error, CompactHydraException):
        return str(error)
    return f"{type(error).__name__}: {error}"
