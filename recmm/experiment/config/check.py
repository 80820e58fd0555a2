"""Check a configuration before its run starts: keys, types, choices, constructors, interpolations.

``check`` takes one composed configuration. ``check_arguments`` takes a command line and checks every job of it.
"""

import difflib
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from hydra.types import RunMode
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    InterpolationResolutionError,
    OmegaConfBaseException,
    ValidationError,
)

from recmm.errors import ConfigError
from recmm.experiment.config.constructors import check_node, check_type, keywords_of
from recmm.experiment.config.folder import CONFIG_NAME
from recmm.experiment.config.home import expand_in_override
from recmm.experiment.config.hydra_private import argument_parser, combinations, group_exists, make_loader
from recmm.experiment.config.identity import register_resolvers, without_hydra
from recmm.experiment.config.schema import RunConfig, register_schema
from recmm.settings import suggestion

_METHOD_GROUPS = ("model", "dataset", "missing", "imputer")  # one constructor each, without **kwargs
_ENTRY_GROUPS = ("callbacks", "logger")  # any number of named constructors
_BROUGHT_BY = {"dataset.protocol": "split=item_cold_start or another choice of the group split"}


def check(cfg: DictConfig) -> None:
    """Raise ConfigError, naming the key and the nearest valid one, unless a run can be built from ``cfg``."""
    try:
        own = OmegaConf.to_container(without_hydra(cfg))
        typed = OmegaConf.merge(OmegaConf.structured(RunConfig), own)  # Hydra lets `+key=value` past the types
        values: Any = OmegaConf.to_container(typed, resolve=True)
    except OmegaConfBaseException as error:
        raise ConfigError(_explain_key(error)) from error
    _refuse_missing(values, "")
    _check_plain(values, RunConfig, "")
    for group in _METHOD_GROUPS:
        check_node(values[group], group)
    for group in _ENTRY_GROUPS:
        for name, node in values[group].items():
            if not isinstance(node, dict):
                raise ConfigError(f"{group}.{name} is not a mapping with a `_target_`; remove it with ~{group}.{name}.")
            check_node(node, f"{group}.{name}", open_keywords=True)


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
    args = argument_parser().parse_intermixed_args(list(arguments))
    loader = config_loader(config_dir, args.config_dir)
    name, overrides = args.config_name or CONFIG_NAME, rewritten(args.overrides, loader)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message=".*is not available", category=UserWarning)
            master = loader.load_configuration(name, overrides, RunMode.MULTIRUN, validate_sweep_overrides=False)
            if (RunMode.MULTIRUN if args.multirun else master.hydra.mode) != RunMode.MULTIRUN:
                cfg = loader.load_configuration(name, overrides, RunMode.RUN)
                _refuse_unknown_settings(cfg, loader)
                check(cfg)
                yield cfg
                return
            for job in _expand(master, loader):
                cfg = loader.load_sweep_config(master, job)
                try:
                    _refuse_unknown_settings(cfg, loader)
                    check(cfg)
                except ConfigError as error:
                    raise ConfigError(f"{error} (job: {' '.join(job)})") from error
                yield cfg
    except UserWarning as error:
        raise ConfigError(f"hydra.searchpath: {error} Give file:///a/folder or pkg://a.package.") from error
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise ConfigError(_explain(error)) from error


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

    ``~/`` at the beginning of a value becomes the home folder. ``group=null`` becomes ``~group``. ``search=default``
    with ``model=X`` becomes ``search=X`` if ``conf/search`` has a file of this name.
    """
    overrides = [expand_in_override(override) for override in overrides]
    model = next((o.removeprefix("model=") for o in reversed(overrides) if o.startswith("model=")), None)
    if "search=default" in overrides and model in loader.get_group_options("search"):
        overrides[overrides.index("search=default")] = f"search={model}"
    result = []
    for override in overrides:
        group, _, value = override.partition("=")
        is_null_group = value == "null" and "." not in group and group_exists(loader, group)
        result.append(f"~{group}" if is_null_group else override)
    return result


def _expand(master: DictConfig, loader: ConfigLoader) -> list[list[str]]:
    """The overrides of every job. For sweepers other than a grid: of as many jobs as cover every listed value."""
    sweeper = master.hydra.sweeper
    params = [f"{key}={value}" for key, value in (sweeper.get("params") or {}).items()]
    parser = OverridesParser.create(config_loader=loader)
    arguments: Any = OmegaConf.to_container(master.hydra.overrides.task)
    overrides = parser.parse_overrides(params + arguments)
    if str(sweeper._target_).endswith((".BasicSweeper", ".GridSweeper")):
        return combinations(overrides)
    lists = [_values(override) for override in {o.get_key_element(): o for o in overrides}.values()]
    longest = max(map(len, lists), default=1)
    return [[values[i % len(values)] for values in lists] for i in range(longest)]


def _values(override: Override) -> list[str]:
    key = override.get_key_element()
    if override.is_discrete_sweep():
        return [f"{key}={value}" for value in override.sweep_string_iterator()]
    if override.is_interval_sweep():
        interval: Any = override.value()
        return [f"{key}={interval.start}", f"{key}={interval.end}"]
    return [override.input_line or ""]


def _refuse_unknown_settings(cfg: DictConfig, loader: ConfigLoader) -> None:
    """``settings`` is optional in the defaults list, so Hydra ignores a choice that does not exist."""
    overrides: Any = OmegaConf.to_container(cfg.hydra.overrides.task)
    if any(override.startswith("settings=") for override in overrides):
        choice = cfg.hydra.runtime.choices.settings
        valid = loader.get_group_options("settings", config_name=cfg.hydra.job.config_name, overrides=overrides)
        if choice not in valid:
            raise ConfigError(f"settings={choice}: there is no such choice{suggestion(choice, valid)}")


def _refuse_missing(value: Any, path: str) -> None:
    if value == MISSING:
        raise ConfigError(f"{path} needs a value: give one with {path}=...")
    if isinstance(value, dict):
        for key, inner in value.items():
            _refuse_missing(inner, f"{path}.{key}" if path else str(key))


def _check_plain(values: dict[str, Any], schema: type, prefix: str) -> None:
    """Check what the schema's fields carry as metadata: choices, minima, types that OmegaConf cannot express."""
    for entry in fields(schema):
        value, path = values[entry.name], prefix + entry.name
        if isinstance(entry.type, type) and is_dataclass(entry.type):
            _check_plain(value, entry.type, f"{path}.")
            continue
        choices, minimum = entry.metadata.get("choices"), entry.metadata.get("minimum")
        if choices is not None:
            several = isinstance(value, list) and entry.metadata.get("or_several")
            for one in value if several else [value]:
                if one not in choices:
                    raise ConfigError(f"{path}={one} is not valid{suggestion(str(one), map(_shown, choices))}")
        if minimum is not None and value is not None and value < minimum:
            raise ConfigError(f"{path}={value} is too small: it has to be at least {minimum}.")
        if "annotation" in entry.metadata:
            check_type(value, entry.metadata["annotation"], path)


def _shown(choice: str | None) -> str:
    return "null" if choice is None else choice


def _explain(error: BaseException) -> str:
    """One sentence for any error that Hydra raises while it reads arguments and YAML files."""
    text = " ".join(str(error).split())
    chain: list[BaseException] = [error]
    while (inner := chain[-1].__cause__ or chain[-1].__context__) is not None and inner not in chain:
        chain.append(inner)  # OmegaConf raises the same error object several times, so the chain may be circular
    if text.startswith("Ambiguous value for argument"):
        return (
            f"{text.split(chr(39))[1]} lists several values: add -m to run one job for each, or write key=[a,b] for a "
            "list, or quote the value."
        )
    if isinstance(error, OverrideParseException):
        unread = re.search(r"token recognition error at: '(.)", "\n".join(map(str, chain)))
        if unread is not None:
            return (
                f"The argument {error.override} cannot be read: it holds the character {unread[1]}, which needs "
                "quotation marks for Hydra within those for the shell, as in \"key='value'\"."
            )
        return f"The argument {error.override} cannot be read: {error.message.splitlines()[0]}."
    for link in chain:
        if isinstance(link, MissingConfigException) and link.missing_cfg_file and link.options:
            group, choice = re.findall(r"((?:hydra/)?[^/]+)/(.+)", link.missing_cfg_file)[0]
            return f"{group}={choice}: there is no such choice{suggestion(choice, link.options)}"
    for link in chain:
        if isinstance(link, OmegaConfBaseException) and (link.full_key or link.key) not in (None, "", "_dummy_"):
            file = re.match(r"In '(?P<path>[^']+)'", text)
            return (f"In {file['path']}.yaml: " if file else "") + _explain_key(link)
    return text


def _explain_key(error: OmegaConfBaseException) -> str:
    path = error.full_key or str(error.key)
    if isinstance(error, ConfigKeyError | ConfigAttributeError):
        return f"There is no key {path}{_nearest(str(error.key), path, error.parent_node)}"
    if isinstance(error, ValidationError | InterpolationResolutionError):
        reason = str(error.msg or error).splitlines()[0].rstrip(".")
        return f"{path}: {reason}."
    return f"{path}: {' '.join(str(error).split())}"


def _nearest(key: str, path: str, parent: Any) -> str:
    """End of the sentence about an unknown key: the nearest key beside it, or the same name in another group."""
    if not isinstance(parent, DictConfig):
        return "."
    siblings = {str(name) for name in parent}
    parameters = keywords_of(OmegaConf.select(parent, "_target_")) if "_target_" in parent else set()
    if path in _BROUGHT_BY:
        return f": choose one with {_BROUGHT_BY[path]}, or write ++{path}... where -m lists several."
    if key in parameters - siblings:
        return f" in the YAML file, but the constructor takes it: write +{path}=..."
    root: Any = OmegaConf.to_container(parent._get_root(), resolve=False)
    elsewhere = [name for name in _dotted(root, "") if name.rpartition(".")[2] == key]
    if elsewhere and not difflib.get_close_matches(key, siblings | parameters, n=1, cutoff=0.75):
        return f"; did you mean '{elsewhere[0]}'?"
    return suggestion(key, (siblings | parameters) - {"_target_", "hydra"})


def _dotted(node: Any, prefix: str) -> Iterator[str]:
    if isinstance(node, dict):
        for key, inner in node.items():
            if prefix or key != "hydra":
                yield f"{prefix}{key}"
                yield from _dotted(inner, f"{prefix}{key}.")
