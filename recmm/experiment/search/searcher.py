"""A search: draw values, run them, report the results to the study; a search that was killed can be continued.

Its state is Optuna's study and the records of its runs. It compares and shows validation metrics only.
"""

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.types import Override
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig, OmegaConf

from recmm.data.files.atomic import remove_partial
from recmm.errors import ConfigError, NonFiniteLossError, RunError
from recmm.experiment.config.build import build
from recmm.experiment.config.constructors import check_node
from recmm.experiment.config.identity import differences, identity, uses_modalities
from recmm.experiment.search.result import SearchResult
from recmm.experiment.search.space import Space, Values, read_space
from recmm.experiment.study import open_study, trial_of
from recmm.experiment.sweep.plan import DONE, ELSEWHERE, FAILED, UNREADABLE, Job, peek, plan
from recmm.experiment.sweep.sweeper import launch, open_folder, side_by_side, threads_each
from recmm.experiment.verification import DAMAGED
from recmm.seeding import derive

if TYPE_CHECKING:
    import optuna

_ABOUT = "about"  # attribute of the study: the settings that all trials share
_WHY = "why"  # attribute of a failed trial: the reason


def run_search(overrides: Sequence[Override], loader: ConfigLoader, master: DictConfig, launcher: Launcher) -> None:
    """Try combinations until the budget is spent; exit with code 1 if one of them failed.

    Args:
        overrides: the arguments; those with several values are the space.
        loader, master: compose the configuration of a job.
        launcher: runs the jobs, on this machine or another, one by one or in parallel.

    Raises:
        ConfigError: the space, the settings or the selection metric is invalid, or Optuna is not installed.
        RunError: the folder belongs to another search, or another process is searching in it.
    """
    space, settings = read_space(overrides), master.hydra.sweeper
    first = loader.load_sweep_config(master, [*space.fixed, *space.arguments(space.first())])
    _refuse(first, settings, space)
    folder = Path(str(master.hydra.sweep.dir))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        lock = FileLock(folder / ".search.lock").acquire(timeout=0)
    except Timeout:
        raise RunError(f"Another process is searching in {folder}. Wait for it, or give another sweep.name.") from None
    with lock:
        remove_partial(folder)
        study = open_study(folder, settings)
        _refuse_another(study, first, space, folder)
        open_folder(folder, master)
        result = SearchResult(study, space, first, folder)
        Search(study, space, loader, master, launcher, result).run()
        result.close()


def _refuse(cfg: DictConfig, settings: DictConfig, space: Space) -> None:
    values: Any = OmegaConf.to_container(settings, resolve=True)
    check_node(values, "hydra.sweeper")
    for key, least in {"n_trials": 1, "n_jobs": 1, "seed": 0, "prune_startup": 0, "prune_warmup": 0}.items():
        if values[key] is not None and values[key] < least:
            raise ConfigError(f"hydra.sweeper.{key}={values[key]} is too small: it has to be at least {least}.")
    for key, dimension in space.dimensions.items():
        if settings.sampler == "grid" and dimension.values is None:
            raise ConfigError(f"hydra.sweeper.sampler=grid needs listed values, but {key} is a real interval.")
    if cfg.overwrite:
        raise ConfigError("overwrite=true: a search keeps its runs. Give the new one another sweep.name.")
    for node in cfg.callbacks.values():
        build(node)  # refuses a monitor that is not a validation metric; the search maximises it


def _refuse_another(study: "optuna.Study", first: DictConfig, space: Space, folder: Path) -> None:
    """Refuse to continue a study with another space or other settings: its trials would not be comparable."""
    about = identity(first, "", "", uses_modalities(first))
    about |= {f"values of {key}": str(dimension) for key, dimension in space.dimensions.items()}
    found = study.user_attrs.get(_ABOUT)
    if found is None:
        study.set_user_attr(_ABOUT, about)
    elif keys := differences(found, about):
        raise RunError(
            f"{folder} holds a search with other settings ({', '.join(keys)} differ). Give this one another sweep.name."
        )


class Search:
    """One start of a search. A combination of values has one run and folder; a trial is one attempt to run it."""

    def __init__(
        self,
        study: "optuna.Study",
        space: Space,
        loader: ConfigLoader,
        master: DictConfig,
        launcher: Launcher,
        result: SearchResult,
    ) -> None:
        self.study, self.space, self.result = study, space, result
        self.loader, self.master, self.launcher = loader, master, launcher
        self.settings = master.hydra.sweeper
        self._limit = min(self.settings.n_trials, space.size)
        self._failed: set[Path] = set()  # in this start
        self._called_off = False

    def run(self) -> None:
        """Recover the trials of an earlier start, then draw, run and report until the budget is spent."""
        self.result.announce(self.settings.sampler, self._limit)
        self._recover()
        at_once = self.settings.n_jobs or side_by_side(self.master) or 1
        while not self._called_off and (batch := self._ask(at_once)):
            self._run(batch)

    def _recover(self) -> None:
        """Close trials that a killed search left open; queue interrupted and, on request, failed combinations again."""
        from optuna.trial import TrialState

        for trial in self.study.get_trials(states=(TrialState.RUNNING,)):
            if trial.params.keys() != self.space.dimensions.keys():  # killed while it was drawn
                self.study.tell(trial.number, state=TrialState.FAIL)
                continue
            job = self._job(trial.number, trial.params)
            if job.found != ELSEWHERE:
                self._tell([trial.number], job.folder, self._known(job) or "interrupted")
        waiting = self.study.get_trials(states=(TrialState.WAITING,))
        queued = [self.space.key(trial.system_attrs["fixed_params"]) for trial in waiting]
        for key, trials in self.space.tried(self.study).items():
            cut_short = _WHY not in trials[-1].user_attrs
            again = cut_short or self.master.sweep.retry_failed
            if again and key not in queued and all(trial.state == TrialState.FAIL for trial in trials):
                self.study.enqueue_trial(trials[-1].params)

    def _ask(self, at_once: int) -> dict[Path, tuple[Job, list[int]]]:
        """Draw up to ``at_once`` runs, each with its trials; trials whose result is known are reported at once."""
        batch: dict[Path, tuple[Job, list[int]]] = {}
        while len(batch) < at_once and (trial := self._draw()) is not None:
            job = self._job(trial.number, trial.params)
            if job.folder not in batch and (outcome := self._known(job)) is None:
                batch[job.folder] = (job, [trial.number])
                continue
            if job.folder in batch:
                batch[job.folder][1].append(trial.number)
            else:
                self._tell([trial.number], job.folder, str(outcome), job.why)
            n_tried = len(self.space.tried(self.study))
            repeats = self.settings.sampler != "grid" and self.space.size < math.inf  # it may draw them forever
            if repeats and n_tried < self._limit:
                self._enqueue(derive(self.settings.seed, n_tried, "search") % int(self.space.size))
        return batch

    def _draw(self) -> "optuna.Trial | None":
        """The next trial: a queued one, else a new one; None when the budget is spent."""
        from optuna import samplers
        from optuna.trial import TrialState

        n_tried = len(self.space.tried(self.study))
        if not self.study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
            if n_tried >= self._limit:
                return None
            if self.settings.sampler == "grid":
                self._enqueue(0)
        kind = samplers.TPESampler if self.settings.sampler == "tpe" else samplers.RandomSampler
        # Seeded for each trial, so that a continued search draws what it would have drawn without the interruption.
        self.study.sampler = kind(seed=derive(self.settings.seed, n_tried, "search") % 2**32)
        return self.study.ask({key: dimension.distribution() for key, dimension in self.space.dimensions.items()})

    def _enqueue(self, start: int) -> None:
        self.study.enqueue_trial(self.space.unseen(self.space.tried(self.study), start))

    def _job(self, trial: int, values: Values) -> Job:
        arguments = [*self.space.fixed, *self.space.arguments(values), "settings_source=validation"]
        [job] = plan([[*arguments, f"sweep.trial={trial}"]], self.loader, self.master, check_first=False)
        return job

    def _known(self, job: Job) -> str | None:
        """The outcome of a run that will not be started; None if it has to run."""
        if job.found in (DONE, ELSEWHERE):
            return job.found
        if job.found in (DAMAGED, UNREADABLE):
            return "failed"
        result = peek(job.folder)
        if result.get("status") == "pruned" or _diverged(result):
            return "pruned"
        if job.found == FAILED and (job.folder in self._failed or not self.master.sweep.retry_failed):
            return "failed"
        return None

    def _run(self, batch: Mapping[Path, tuple[Job, list[int]]]) -> None:
        started = time.monotonic()
        jobs = [job for job, _ in batch.values()]
        outcomes = launch(self.launcher, jobs, threads_each(self.master), progress=len(jobs) == 1)
        self.result.took(time.monotonic() - started, len(jobs))
        for folder, (outcome, why) in outcomes.items():
            self._tell(batch[folder][1], folder, outcome, why)

    def _tell(self, trials: Sequence[int], folder: Path, outcome: str, why: str = "") -> None:
        """Report the outcome of a run to its trials."""
        from optuna.trial import TrialState

        result = peek(folder)
        if outcome == "failed" and _diverged(result):
            outcome = "pruned"  # so that the sampler learns from it
        if outcome == "failed":
            self._failed.add(folder)
        self._called_off |= outcome == "not started"
        for number in trials:
            trial = trial_of(self.study, number)
            trial.set_user_attr("run", folder.name)
            if outcome == "done":
                self.study.tell(number, result[self.result.monitor])
            elif outcome == "pruned":
                self.study.tell(number, state=TrialState.PRUNED)
            else:
                if outcome == "failed":
                    trial.set_user_attr(_WHY, why)
                self.study.tell(number, state=TrialState.FAIL)
        self.result.show(folder.name, outcome, why, self._limit)


def _diverged(result: Mapping[str, Any]) -> bool:
    """Whether a run's loss became NaN or infinite, which the same values would cause again."""
    return bool((result.get("error") or {}).get("type") == NonFiniteLossError.__name__)
