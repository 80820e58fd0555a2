"""The output of a search: a line per run, and the best values on validation as a command line and as YAML."""

import math
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Column, Table

from recmm.data.files.atomic import replace_atomically
from recmm.experiment.run import monitor_of
from recmm.experiment.search.space import Space, Values
from recmm.experiment.sweep.progress import duration

if TYPE_CHECKING:
    import optuna

_LISTED = 10  # rows of the closing table; trials.csv has all
_OF_THE_SEARCH = (
    "search=",
    "sweep.",
    "ckpt=",
    "settings_source=",
)  # left out of the printed command line


class SearchResult:
    """Prints and writes the results of a search.

    Args:
        study: of the search.
        space: the search space.
        cfg: the composed configuration of one run; all runs share it except for the searched values.
        folder: of the search.
    """

    def __init__(self, study: "optuna.Study", space: Space, cfg: DictConfig, folder: Path) -> None:
        self.study, self.space, self.cfg, self.folder = study, space, cfg, folder
        self.monitor = monitor_of(cfg)
        self._seconds, self._n_runs = 0.0, 0

    def announce(self, sampler: str, limit: float) -> None:
        """Print how many combinations will be tried."""
        size = "infinitely many" if self.space.size == math.inf else f"{self.space.size:,}"
        print(
            f"Search ({sampler}): {limit:,.0f} of {size} combinations, by {self.monitor}.", file=sys.stderr, flush=True
        )

    def took(self, seconds: float, n_runs: int) -> None:
        """Add the time that runs took, for the estimate of the time left."""
        self._seconds, self._n_runs = self._seconds + seconds, self._n_runs + n_runs

    def show(self, run: str, outcome: str, why: str, limit: float) -> None:
        """Print one line for a run that has ended."""
        n_over = len(self.space.tried(self.study))
        told = f"[{n_over}/{limit:.0f}] {run}: {outcome}{f': {why}' if why else ''}"
        if best := self._best():
            of_this = [f"{trial.value:.4f}, " for trial in best if trial.user_attrs["run"] == run]
            told += f"  {self.monitor} {''.join(of_this)}best {best[0].value:.4f}"
        if self._n_runs and n_over < limit:
            told += f"  about {duration(self._seconds / self._n_runs * (limit - n_over))} left"
        print(told, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Print the best runs and the command line of the best; write `best.yaml` and `trials.csv`.

        Exits with code 1 if a run failed or did not finish, or if none is done.
        """
        from optuna.trial import TrialState

        groups = self.space.tried(self.study).values()
        states = [{trial.state for trial in trials} for trials in groups]
        n_done = sum(TrialState.COMPLETE in found for found in states)
        n_pruned = sum(TrialState.PRUNED in found and TrialState.COMPLETE not in found for found in states)
        rows = [
            {"trial": t.number, "state": t.state.name.lower(), self.monitor: t.value, "run": t.user_attrs.get("run")}
            | self.space.shown(t.params)
            for trials in groups
            for t in trials
        ]
        replace_atomically(self.folder / "trials.csv", pl.DataFrame(rows, infer_schema_length=None).write_csv())
        console = Console(soft_wrap=True, highlight=False, markup=False)
        best = self._best()
        if best:
            self._print(console, best)
        n_failed = len(states) - n_done - n_pruned
        console.print(f"{n_done} done, {n_pruned} pruned, {n_failed} failed or not finished: {self.folder}")
        if n_failed or not best:
            sys.exit(1)

    def _best(self) -> list["optuna.trial.FrozenTrial"]:
        """One complete trial of each combination, sorted by metric; of equal ones the earliest comes first."""
        from optuna.trial import TrialState

        groups = self.space.tried(self.study).values()
        done = [t for trials in groups for t in trials if t.state == TrialState.COMPLETE and t.value is not None]
        runs = {t.user_attrs["run"]: t for t in reversed(done)}
        return sorted(runs.values(), key=lambda t: (-(t.value or 0.0), t.number))

    def _print(self, console: Console, best: list["optuna.trial.FrozenTrial"]) -> None:
        table = Table("trial", self.monitor, *(Column(key, overflow="fold") for key in self.space.dimensions))
        for trial in best[:_LISTED]:
            table.add_row(str(trial.number), f"{trial.value:.4f}", *self.space.shown(trial.params).values())
        command = self._command(best[0].params)
        console.print(table)
        console.print(
            f"best {self.monitor} {best[0].value:.4f}: {self.folder / best[0].user_attrs['run']}", command, sep="\n"
        )
        replace_atomically(self.folder / "best.yaml", self._settings(best[0], command))

    def _command(self, values: Values) -> str:
        choices, fixed = self.cfg.hydra.runtime.choices, self.space.fixed
        paths = [o for o in self.cfg.hydra.overrides.hydra if o.startswith("hydra.searchpath=")]
        model = [] if any(a.startswith("model=") for a in (*fixed, *self.space.arguments(values))) else [choices.model]
        kept = [argument for argument in fixed if not argument.startswith(_OF_THE_SEARCH)]
        arguments = [*paths, *(f"model={m}" for m in model), *kept, *self.space.arguments(values)]
        return "python train.py " + shlex.join([*arguments, "settings_source=validation"])

    def _settings(self, best: "optuna.trial.FrozenTrial", command: str) -> str:
        """The text of `best.yaml`, a file for ``conf/settings``, where it applies automatically."""
        choices = self.cfg.hydra.runtime.choices
        lines = [
            "# @package _global_",
            f"# {self.monitor} {best.value:.4f} under missing={choices.missing}, seed {self.cfg.seed}: the best of "
            f"{len(self.space.tried(self.study))} combinations, found on validation.",
            f"#   {command}",
            f"# As conf/settings/{choices.model}_{choices.dataset}.yaml these values apply automatically.",
        ]
        keys = [argument.lstrip("+") for argument in self.space.arguments(best.params)]
        values: Any = OmegaConf.from_dotlist([key for key in keys if "." in key.split("=")[0]])
        return "\n".join([*lines, "settings_source: validation", OmegaConf.to_yaml(values)])
