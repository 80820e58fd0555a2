"""The jobs of a league: one run each, composed and checked, with what identifies its row."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from recmm.data.dataset import MultimodalDataset
from recmm.errors import ConfigError, RecmmError
from recmm.experiment.config.build import dataset_reader
from recmm.experiment.config.folder import config_folder
from recmm.experiment.config.hydra_private import combinations
from recmm.experiment.config.identity import configuration_digest, run_name, signature, uses_modalities
from recmm.experiment.config.jobs import Start, checked, in_sentences
from recmm.league.league import League

ANY = "any"
"""The setting of methods that use no modality: they run once for all."""


@dataclass(frozen=True)
class Composed:
    """What arguments of ``train.py`` amount to here.

    Attributes:
        model, seed: chosen by them.
        mask_seed: None for a method that uses no modality.
        folder: of the record.
        configuration: `configuration_digest`, by which its row is found.
        data_digest: of the dataset as it is here; None where it cannot be read.
        signature: what the run would have here; None where the dataset cannot be read.
        unreadable: why the dataset cannot be read.
    """

    model: str
    seed: int
    mask_seed: int | None
    folder: Path
    configuration: str
    data_digest: str | None
    signature: str | None
    unreadable: RecmmError | None


@dataclass(frozen=True)
class Job(Composed):
    """One run of the league.

    Attributes:
        dataset, setting: of its cell; the setting is ``ANY`` for a method that uses no modality.
        values: the arguments that its trial chose.
        arguments: of ``train.py``, after those that all runs of the league share; ``values`` among them.
    """

    dataset: str
    setting: str
    values: tuple[str, ...]
    arguments: tuple[str, ...]


class Jobs:
    """Composes a league's jobs, each one once."""

    def __init__(self, league: League) -> None:
        self.league = league
        self.shared = (f"experiment={league.experiment}", *shlex.split(league.arguments))
        with in_sentences():
            self._start = Start(["-m", *self.shared], config_folder())
        self._parser = OverridesParser.create(config_loader=self._start.loader)
        self._read = dataset_reader()
        self._data: dict[str, MultimodalDataset | RecmmError] = {}
        self._known: dict[tuple[str, ...], Composed] = {}

    def command(self, job: Job) -> str:
        """The line for the shell that makes the job's run, and its numbers, again."""
        return "python train.py " + shlex.join([*self.shared, *job.arguments])

    def trials(self, only: Sequence[str] = (), datasets: Sequence[str] = (), settings: Sequence[str] = ()) -> list[Job]:
        """The trials of all methods, or of the named ones; equal runs are one job.

        Raises:
            ConfigError: a name is unknown, an argument is wrong, or a method has more trials than the budget permits.
        """
        league = self.league
        models = chosen("method", only, list(league.methods))
        places = chosen("dataset", datasets, list(league.datasets))
        first, *rest = chosen("setting", settings, list(league.settings))
        combined = {model: self._combinations(model) for model in models}

        def under(conditions: Sequence[str], of: Sequence[str]) -> list[Job]:
            return self._jobs(
                [
                    (model, dataset, setting, tuple(values), league.seeds[0], league.mask_seeds[0])
                    for model in of
                    for dataset in places
                    for setting in conditions
                    for values in combined[model]
                ]
            )

        jobs = under([first], models)
        aware = {job.model for job in jobs if job.setting != ANY}
        return jobs + under(rest, [model for model in models if model in aware])

    def repetitions(self, winners: Sequence[Job]) -> list[Job]:
        """The other seeds and mask seeds of the best trials."""
        league = self.league
        wanted, of_winners = [], {winner.configuration for winner in winners}
        for winner in winners:
            masks = league.mask_seeds if winner.mask_seed is not None else league.mask_seeds[:1]
            wanted += [
                (winner.model, winner.dataset, winner.setting, winner.values, seed, mask)
                for mask in masks
                for seed in league.seeds
            ]
        return [job for job in self._jobs(wanted) if job.configuration not in of_winners]

    def _combinations(self, model: str) -> list[list[str]]:
        league, method = self.league, self.league.methods[model]
        with in_sentences():
            found = [
                values
                for line in method.lines
                for values in combinations(self._parser.parse_overrides(shlex.split(line)))
            ]
        if len(found) > league.trials and len(found) * method.seconds > league.cpu_seconds:
            raise ConfigError(
                f"methods.{model}: {len(found)} trials of {method.seconds:g} s exceed the budget of {league.trials} "
                f"trials or {league.cpu_seconds:g} CPU seconds."
            )
        return found

    def compose(self, lines: Sequence[tuple[str, ...]]) -> list[Composed]:
        """What each line of arguments amounts to, after those that all runs of the league share.

        Raises:
            ConfigError: an argument is wrong.
        """
        new = [line for line in dict.fromkeys(lines) if line not in self._known]
        composed = checked([(*self.shared, *line) for line in new], self._start.loader, self._start.master)
        for line, (cfg, values) in zip(new, composed, strict=True):
            aware, found = uses_modalities(cfg), self._dataset(cfg)
            data, error = (None, found) if isinstance(found, RecmmError) else (found, None)
            self._known[line] = Composed(
                model=cfg.hydra.runtime.choices.model,
                seed=cfg.seed,
                mask_seed=cfg.missing.seed if aware else None,
                folder=Path(str(cfg.hydra.sweep.dir), run_name(cfg, values)),
                configuration=configuration_digest(cfg),
                data_digest=data.digest if data else None,
                signature=signature(cfg, data.digest, data.split.name, aware) if data else None,
                unreadable=error,
            )
        return [self._known[line] for line in lines]

    def _jobs(self, wanted: Sequence[tuple[str, str, str, tuple[str, ...], int, int]]) -> list[Job]:
        lines = [self._arguments(*one) for one in wanted]
        jobs: dict[str, Job] = {}
        for (_, dataset, setting, values, *_), line, found in zip(wanted, lines, self.compose(lines), strict=True):
            place = ANY if found.mask_seed is None else setting
            job = Job(**vars(found), dataset=dataset, setting=place, values=values, arguments=line)
            jobs.setdefault(job.configuration, job)
        return list(jobs.values())

    def _arguments(self, model: str, dataset: str, setting: str, values: Sequence[str], seed: int, mask: int) -> tuple:
        league = self.league
        place = setting if setting != ANY else next(iter(league.settings))
        return (
            *(f"model={model}", *shlex.split(league.datasets[dataset]), *shlex.split(league.settings[place])),
            *(*values, f"seed={seed}", f"missing.seed={mask}"),
        )

    def _dataset(self, cfg: DictConfig) -> MultimodalDataset | RecmmError:
        node = OmegaConf.to_yaml(cfg.dataset, resolve=True)
        if node not in self._data:
            try:
                self._data[node] = self._read(cfg)
            except RecmmError as error:  # tried once: a download takes its time to fail
                self._data[node] = error
        return self._data[node]


def chosen(what: str, names: Sequence[str], known: list[str]) -> list[str]:
    """The known names that were asked for, in their order; all of them where none was.

    Raises:
        ConfigError: a name is not known.
    """
    for name in names:
        if name not in known:
            raise ConfigError(f"This league has no {what} {name}: choose among {', '.join(known)}.")
    return [name for name in known if name in names] if names else known
