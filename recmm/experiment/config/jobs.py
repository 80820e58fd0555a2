"""The jobs of a command line, composed and checked before any of them starts."""

import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from recmm.errors import ConfigError
from recmm.experiment.config.check import check
from recmm.experiment.config.compose import Composer
from recmm.experiment.config.explain import explain, explain_yaml
from recmm.experiment.config.folder import CONFIG_NAME
from recmm.experiment.config.home import expand_in_override
from recmm.experiment.config.hydra_private import argument_parser, combinations, group_exists, make_loader
from recmm.experiment.config.identity import register_resolvers
from recmm.experiment.config.schema import register_schema
from recmm.experiment.config.targets import check_hydra_node, typed_keys
from recmm.experiment.config.trust import trust_searchpath
from recmm.settings import suggestion

_REPLACED = ("dataset.features", "model.weights", "model.backbone_settings")  # mappings whose keys are free
_MANY = 20  # jobs of a sweep, from which on checking them takes a moment


def check_arguments(arguments: Sequence[str], config_dir: Path) -> list[DictConfig]:
    """The composed and checked configuration of every job of a command line; none is started.

    Raises:
        ConfigError: an argument or a YAML file has an unknown key, choice or group, a wrong type, or bad syntax.
    """
    return list(jobs(arguments, config_dir))


def jobs(arguments: Sequence[str], config_dir: Path) -> Iterator[DictConfig]:
    """The composed and checked configuration of every job, in order; a run without ``-m`` is one job.

    Where a sweeper draws values from an interval, the two ends of the interval are checked.
    """
    with in_sentences():
        start = Start(arguments, config_dir)
        yield from start.jobs()


class Start:
    """A command line before anything of it starts; made and used within ``in_sentences``.

    Attributes:
        master: the configuration that all jobs share.
        loader: composes the configuration of a job.
        is_sweep: whether there are several jobs.
    """

    def __init__(self, arguments: Sequence[str], config_dir: Path) -> None:
        args = argument_parser().parse_intermixed_args(list(arguments))
        self.loader = config_loader(config_dir, args.config_dir)
        name, self._overrides = args.config_name or CONFIG_NAME, rewritten(args.overrides, self.loader)
        trust_searchpath(self._overrides)
        self.master = self.loader.load_configuration(
            name, self._overrides, RunMode.MULTIRUN, validate_sweep_overrides=False
        )
        check_hydra_node(self.master, typed_keys(self._overrides))
        self.is_sweep = (RunMode.MULTIRUN if args.multirun else self.master.hydra.mode) == RunMode.MULTIRUN

    def is_grid(self) -> bool:
        """Whether this is a sweep over listed values, whose sweeper checks its jobs itself when it plans them."""
        return self.is_sweep and _is_grid(self.master)

    def jobs(self) -> Iterator[DictConfig]:
        """The composed and checked configurations."""
        if self.is_sweep:
            for cfg, _ in checked(_expand(self.master, self.loader), self.loader, self.master):
                yield cfg
            return
        name = self.master.hydra.job.config_name
        cfg = self.loader.load_configuration(name, self._overrides, RunMode.RUN)
        _check_base(cfg, self.loader, typed_keys(self._overrides))
        check(cfg)
        yield cfg


def checked(
    combined: Sequence[Sequence[str]],
    loader: ConfigLoader,
    master: DictConfig,
    judge: Callable[[DictConfig, set[str]], dict[str, Any]] = check,
) -> Iterator[tuple[DictConfig, dict[str, Any]]]:
    """The composed and checked configuration of each combination of overrides, and its ``own_values``.

    Raises:
        ConfigError: a job is wrong; the message ends with its overrides.
    """
    if len(combined) > _MANY:
        print(f"Checking {len(combined)} jobs ...", file=sys.stderr, flush=True)
    given: Any = OmegaConf.to_container(master.hydra.overrides)
    typed = typed_keys(given["hydra"] + given["task"])
    composer = Composer(loader, master, lambda cfg: _check_base(cfg, loader, typed))
    passed: set[str] = set()
    for job in combined:
        try:
            with in_sentences():
                cfg = composer.job(job)
                values = judge(cfg, passed)
        except ConfigError as error:
            raise ConfigError(f"{error} (job: {' '.join(job)})") from error
        yield cfg, values


@contextmanager
def in_sentences() -> Iterator[None]:
    """Turn what Hydra, OmegaConf and YAML raise into a ConfigError of one sentence."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message=".*is not available", category=UserWarning)
            yield
    except UserWarning as error:
        raise ConfigError(f"hydra.searchpath: {error} Give file:///a/folder or pkg://a.package.") from error
    except YAMLError as error:
        raise ConfigError(explain_yaml(error)) from error
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise ConfigError(explain(error)) from error
    except RecursionError as error:
        raise ConfigError("A YAML file, or an interpolation in it, is nested too deeply to be read.") from error


def config_loader(config_dir: Path, extra_dir: str | None = None) -> ConfigLoader:
    """Hydra's loader over recmm's configuration folder; the user's ``--config-dir`` takes precedence."""
    register_schema()
    register_resolvers()
    extra = None if extra_dir is None else Path(extra_dir).expanduser()
    if extra is not None and not extra.is_dir():
        raise ConfigError(f"--config-dir: there is no folder {extra_dir}.")
    return make_loader(config_dir, extra)


def rewritten(overrides: Iterable[str], loader: ConfigLoader) -> list[str]:
    """The overrides in a form that Hydra 1.3 accepts and that names the search space of the chosen method.

    ``~/`` at the beginning of a value becomes the home folder. ``group=null`` becomes ``~group``.
    ``dataset.features={...}`` replaces the files that the dataset names, where Hydra would refuse other modalities.
    ``search=default`` with ``model=X`` becomes ``search=X`` if ``conf/search`` has a file of this name.
    """
    overrides = [expand_in_override(override) for override in overrides]
    model = next((o.removeprefix("model=") for o in reversed(overrides) if o.startswith("model=")), None)
    if "search=default" in overrides and model in loader.get_group_options("search"):
        overrides[overrides.index("search=default")] = f"search={model}"
    result = []
    for override in overrides:
        group, _, value = override.partition("=")
        is_null_group = value == "null" and "." not in group and group_exists(loader, group)
        if group in _REPLACED and value.startswith("{"):
            result += [f"~{group}", f"+{override}"]
        else:
            result.append(f"~{group}" if is_null_group else override)
    return result


def _expand(master: DictConfig, loader: ConfigLoader) -> list[list[str]]:
    """The overrides of every job. For sweepers other than a grid: of as many jobs as cover every listed value."""
    sweeper = master.hydra.sweeper
    params = [f"{key}={value}" for key, value in (sweeper.get("params") or {}).items()]
    parser = OverridesParser.create(config_loader=loader)
    arguments: Any = OmegaConf.to_container(master.hydra.overrides.task)
    overrides = parser.parse_overrides(params + arguments)
    if _is_grid(master):
        return combinations(overrides)
    lists = [_values(override) for override in {o.get_key_element(): o for o in overrides}.values()]
    longest = max(map(len, lists), default=1)
    return [[values[i % len(values)] for values in lists] for i in range(longest)]


def _is_grid(master: DictConfig) -> bool:
    return str(master.hydra.sweeper._target_).endswith((".BasicSweeper", ".GridSweeper"))


def _values(override: Override) -> list[str]:
    key = override.get_key_element()
    if override.is_discrete_sweep():
        return [f"{key}={value}" for value in override.sweep_string_iterator()]
    if override.is_interval_sweep():
        interval: Any = override.value()
        return [f"{key}={interval.start}", f"{key}={interval.end}"]
    return [override.input_line or ""]


def _check_base(cfg: DictConfig, loader: ConfigLoader, typed: set[str]) -> None:
    """What depends on a job's choices alone, not on its values."""
    check_hydra_node(cfg, typed)
    _refuse_unknown_settings(cfg, loader)


def _refuse_unknown_settings(cfg: DictConfig, loader: ConfigLoader) -> None:
    """``settings`` is optional in the defaults list, so Hydra ignores a choice that does not exist."""
    overrides: Any = OmegaConf.to_container(cfg.hydra.overrides.task)
    if any(override.startswith("settings=") for override in overrides):
        choice = cfg.hydra.runtime.choices.settings
        valid = loader.get_group_options("settings", config_name=cfg.hydra.job.config_name, overrides=overrides)
        if choice not in valid:
            raise ConfigError(f"settings={choice}: there is no such choice{suggestion(choice, valid)}")
