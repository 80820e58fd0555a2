"""A search: draw values, run them, tell the study; what is left behind by a death is taken up again.

Its state is Optuna's study and the records of its runs. What it compares and shows comes from validation alone.
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

from recmm.errors import ConfigError, NonFiniteLossError, RunError
from recmm.experiment.config.build import build
from recmm.experiment.config.constructors import check_node
from recmm.experiment.config.identity import differences, identity, uses_modalities
from recmm.experiment.records import read_result
from recmm.experiment.search.result import SearchResult
from recmm.experiment.search.space import Space, Values, read_space
from recmm.experiment.study import open_study, trial_of
from recmm.experiment.sweep.plan import DONE, ELSEWHERE, FAILED, Job, plan
from recmm.experiment.sweep.sweeper import launch, open_folder, side_by_side, threads_each
from recmm.seeding import derive

if TYPE_CHECKING:
    import optuna

_ABOUT = "about"  # attribute of the study: what its trials have in common
_WHY = "why"  # attribute of a trial that failed: the sentence


def run_search(overrides: Sequence[Override], loader: ConfigLoader, master: DictConfig, launcher: Launcher) -> None:
    """Try combinations until the budget is spent; leave the process with exit code 1 if one of them has failed.

    Args:
        overrides: the arguments; those with several values are the space.
        loader, master: compose a job.
        launcher: runs jobs, here or elsewhere, alone or side by side.

    Raises:
        ConfigError: the space, the settings or the metric that selects cannot be searched with, or Optuna is missing.
        RunError: the folder belongs to another search, or another process is at work in it.
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
            raise ConfigError(f"hydra.sweeper.sampler=grid tries listed values, but {key} is an interval of reals.")
    if cfg.overwrite:
        raise ConfigError("overwrite=true: a search keeps its runs. Give the new one another sweep.name.")
    for node in cfg.callbacks.values():
        build(node)  # early stopping takes metrics of validation alone; what it monitors is what a search maximises


def _refuse_another(study: "optuna.Study", first: DictConfig, space: Space, folder: Path) -> None:
    """One study compares like with like, so its space and all other settings are those of its first start."""
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
    """One start of a search. A combination of values is a run, in its folder; a trial is one attempt at it."""

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
        """Take up what an earlier start left, then ask, run and tell until the budget is spent."""
        self.result.announce(self.settings.sampler, self._limit)
        self._take_up()
        at_once = self.settings.n_jobs or side_by_side(self.master) or 1
        while not self._called_off and (batch := self._ask(at_once)):
            self._run(batch)

    def _take_up(self) -> None:
        """Close the trials that a death left open, and put in line again what it cut short and what failed."""
        from optuna.trial import TrialState

        for trial in self.study.get_trials(states=(TrialState.RUNNING,)):
            if trial.params.keys() != self.space.dimensions.keys():  # died while it was drawn
                self.study.tell(trial.number, state=TrialState.FAIL)
                continue
            job = self._job(trial.number, trial.params)
            if job.found != ELSEWHERE:
                self._tell([trial.number], job.folder, self._known(job) or "interrupted")
        waiting = self.study.get_trials(states=(TrialState.WAITING,))
        in_line = [self.space.key(trial.system_attrs["fixed_params"]) for trial in waiting]
        for key, trials in self.space.tried(self.study).items():
            cut_short = _WHY not in trials[-1].user_attrs
            again = cut_short or self.master.sweep.retry_failed
            if again and key not in in_line and all(trial.state == TrialState.FAIL for trial in trials):
                self.study.enqueue_trial(trials[-1].params)

    def _ask(self, at_once: int) -> dict[Path, tuple[Job, list[int]]]:
        """Up to ``at_once`` runs, each with the trials that stand for it; trials whose run is known are told."""
        batch: dict[Path, tuple[Job, list[int]]] = {}
        while len(batch) < at_once and (trial := self._draw()) is not None:
            job = self._job(trial.number, trial.params)
            if job.folder not in batch and (outcome := self._known(job)) is None:
                batch[job.folder] = (job, [trial.number])
                continue
            if job.folder in batch:
                batch[job.folder][1].append(trial.number)
            else:
                self._tell([trial.number], job.folder, str(outcome))
            n_tried = len(self.space.tried(self.study))
            repeats = self.settings.sampler != "grid" and self.space.size < math.inf  # for ever, if it is unlucky
            if repeats and n_tried < self._limit:
                self._put_in_line(derive(self.settings.seed, n_tried, "search") % int(self.space.size))
        return batch

    def _draw(self) -> "optuna.Trial | None":
        """The next trial: one in line, else a fresh one; None when the budget is spent."""
        from optuna import samplers
        from optuna.trial import TrialState

        n_tried = len(self.space.tried(self.study))
        if not self.study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
            if n_tried >= self._limit:
                return None
            if self.settings.sampler == "grid":
                self._put_in_line(0)
        kind = samplers.TPESampler if self.settings.sampler == "tpe" else samplers.RandomSampler
        # Seeded anew each time, so a search that died draws what it would have drawn.
        self.study.sampler = kind(seed=derive(self.settings.seed, n_tried, "search") % 2**32)
        return self.study.ask({key: dimension.distribution() for key, dimension in self.space.dimensions.items()})

    def _put_in_line(self, start: int) -> None:
        self.study.enqueue_trial(self.space.unseen(self.space.tried(self.study), start))

    def _job(self, trial: int, values: Values) -> Job:
        arguments = [*self.space.fixed, *self.space.arguments(values), "settings_source=validation"]
        [job] = plan([[*arguments, f"sweep.trial={trial}"]], self.loader, self.master)
        return job

    def _known(self, job: Job) -> str | None:
        """What became of a run that is not to be started; None if it is."""
        result = read_result(job.folder) or {}
        if job.found in (DONE, ELSEWHERE):
            return job.found
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
        """Hand the outcome of a run to the trials that stand for it."""
        from optuna.trial import TrialState

        result = read_result(folder) or {}
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
    """Whether a run's loss became NaN or infinite: that is its values' fault, and would happen again."""
    return bool((result.get("error") or {}).get("type") == NonFiniteLossError.__name__)
