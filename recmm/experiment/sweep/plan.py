"""The jobs of a sweep before it starts: the folder of each job, and the state of the record in it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from hydra.core.config_loader import ConfigLoader
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from recmm.data.dataset import MultimodalDataset
from recmm.errors import RecmmError, RunError
from recmm.experiment.config.build import dataset_reader
from recmm.experiment.config.check import check
from recmm.experiment.config.identity import RUN_NAME, own_values, run_name, signature, uses_modalities
from recmm.experiment.config.jobs import checked
from recmm.experiment.verification import DAMAGED, read_result, verify

NEW, DONE, INTERRUPTED, FAILED, ELSEWHERE = "new", "done", "interrupted", "failed", "elsewhere"
UNREADABLE = "unreadable"


@dataclass(frozen=True)
class Job:
    """One job of a sweep.

    Attributes:
        overrides: Hydra's arguments of the job.
        folder: of its record.
        model: the choice of the group `model`; jobs of one model take about the same time.
        found: state of the folder when the sweep started: `new` (nothing), `done`, `interrupted` (also by a kill),
            `failed`, `elsewhere` (another process is writing to it), `damaged` (finished, but no longer what the run
            wrote), or `unreadable`.
        attempt: of the record found, 0 if there is none.
        why: what is damaged or cannot be read.
    """

    overrides: tuple[str, ...]
    folder: Path
    model: str
    found: str
    attempt: int
    why: str = ""


def plan(
    combinations: Sequence[Sequence[str]], loader: ConfigLoader, master: DictConfig, *, check_first: bool = True
) -> list[Job]:
    """One checked job per folder, in order. Combinations that give the same run become one job: a method without
    modalities has one run for all missing settings.

    Args:
        check_first: whether a wrong job raises here; if not, it fails when it runs.

    Raises:
        ConfigError: a job is wrong.
    """
    judge = check if check_first else lambda cfg, _: own_values(cfg)
    read = dataset_reader()
    jobs: dict[Path, Job] = {}
    for overrides, (cfg, values) in zip(combinations, checked(combinations, loader, master, judge), strict=True):
        folder = _folder(cfg, values)
        if folder not in jobs:
            try:
                found, attempt, why = _found(folder, cfg, read)
            except RunError as error:
                found, attempt, why = UNREADABLE, 0, str(error)
            jobs[folder] = Job(tuple(overrides), folder, cfg.hydra.runtime.choices.model, found, attempt, why)
    return list(jobs.values())


def told_apart(jobs: Sequence[Job]) -> dict[Path, str]:
    """By folder, the arguments of each job that not all jobs share: ``missing.rate=0.9 seed=1``."""
    common = set.intersection(*(set(job.overrides) for job in jobs)) if jobs else set()
    return {job.folder: " ".join(each for each in job.overrides if each not in common) for job in jobs}


def _folder(cfg: DictConfig, values: dict[str, Any]) -> Path:
    before = HydraConfig.instance().cfg
    # for ${hydra:...} in folder names; set_config would copy it
    HydraConfig.instance().cfg = cfg  # type: ignore[assignment]
    try:
        raw: Any = OmegaConf.to_container(cfg.hydra.sweep, resolve=False)
        name = run_name(cfg, values) if raw["subdir"] == RUN_NAME else str(cfg.hydra.sweep.subdir)
        return Path(str(cfg.hydra.sweep.dir), name)
    finally:
        HydraConfig.instance().cfg = before


def peek(folder: Path) -> dict[str, Any]:
    """The `result.json` of a record; empty where there is none that can be read."""
    try:
        return read_result(folder) or {}
    except RunError:
        return {}


def _found(folder: Path, cfg: DictConfig, read: Callable[[DictConfig], MultimodalDataset]) -> tuple[str, int, str]:
    """State of the record in ``folder``, its attempt, and what is damaged.

    Raises:
        RunError: the record cannot be read.
    """
    if cfg.overwrite:
        return NEW, peek(folder).get("attempt", 0), ""
    result = read_result(folder)
    if result is None:
        return NEW, 0, ""
    status, attempt = result.get("status"), result.get("attempt", 0)
    if is_locked(folder):
        return ELSEWHERE, attempt, "another process is running it"
    if status == "done":
        if not _is_same(result, cfg, read):
            return NEW, attempt, ""
        damages = verify(folder)
        return (DAMAGED if damages else DONE), attempt, "; ".join(damages)
    return (FAILED if status == "failed" else INTERRUPTED), attempt, ""


def _is_same(result: dict[str, Any], cfg: DictConfig, read: Callable[[DictConfig], MultimodalDataset]) -> bool:
    """Whether the record has the signature of this job; if data or results version changed, the job itself raises."""
    try:
        dataset = read(cfg)
    except RecmmError:
        return False
    return bool(result.get("signature") == signature(cfg, dataset.digest, dataset.split.name, uses_modalities(cfg)))


def is_locked(folder: Path) -> bool:
    """Whether another process is running in ``folder``."""
    try:
        with FileLock(folder / ".lock", timeout=0):
            return False
    except Timeout:
        return True
    except OSError:  # a folder that nobody may write to
        return False
