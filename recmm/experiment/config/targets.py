"""Which class each node of a configuration may name: a YAML file of somebody else must not run what it likes.

A node with a ``_target_`` names a subclass of its group's base.

Hydra makes callables from its own node before any code of recmm runs: its callbacks, launcher and sweeper are
``_target_`` nodes; its logging goes to ``logging.config.dictConfig``, which calls what it names; some launchers run
shell commands; ``job.env_set`` changes the environment. What the user types on the command line is the user's own; what
a YAML file says is checked.
"""

import importlib
import inspect
import os
import re
from collections.abc import Iterable
from dataclasses import is_dataclass
from pathlib import PurePath
from typing import Any, get_type_hints

from omegaconf import DictConfig, OmegaConf

from recmm.errors import ConfigError
from recmm.experiment.config.constructors import locate
from recmm.experiment.config.trust import is_users
from recmm.settings import ComponentSettings

_BASES = {
    "model": "recmm.models.base.Recommender",
    "dataset": "pytorch_lightning.LightningDataModule",
    "dataset.protocol": "recmm.data.protocols.base.SplitProtocol",
    "missing": "recmm.missing.base.MissingSetting",
    "imputer": "recmm.missing.imputers.base.Imputer",
    "callbacks.*": "pytorch_lightning.callbacks.Callback",
    "logger.*": "pytorch_lightning.loggers.Logger",
}

_PLUGINS = ("hydra_plugins.", "hydra._internal.core_plugins.")
_LOGGING = ("hydra_logging", "job_logging")
_LOGGING_CLASSES = (
    *("logging.StreamHandler", "logging.FileHandler", "logging.NullHandler", "logging.Formatter", "logging.Filter"),
    *("logging.handlers.RotatingFileHandler", "logging.handlers.TimedRotatingFileHandler"),
    *("rich.logging.RichHandler", "colorlog.ColoredFormatter"),
)
_LOGGING_OBJECTS = ("ext://sys.stdout", "ext://sys.stderr")
_NAMES_A_CALLABLE = ("()", "class", "factory", "queue", "listener")
_RUNS_COMMANDS = re.compile(
    r"command|setup|runtime_env|pip|additional_parameters|srun|sbatch|python|file_mounts|docker"
)


def check_targets(values: dict[str, Any]) -> None:
    """Raise ConfigError unless every ``_target_`` may stand where it does.

    Args:
        values: a resolved configuration without Hydra's node.
    """
    for path, node in targets(values):
        base = _BASES.get(path) or _BASES.get(re.sub(r"\.[^.]+$", ".*", path))
        group = path.partition(".")[0]
        if group not in {place.partition(".")[0] for place in _BASES}:
            raise ConfigError(f"{path}._target_: {node['_target_']} is refused, because {path} holds no class.")
        found = locate(node["_target_"], path)
        if base is not None:
            check_base(found, base, path, node["_target_"])
        elif not _may_be_nested(found):
            raise ConfigError(
                f"{path}._target_: {node['_target_']} is refused, because a value inside {group} is plain or settings."
            )


def check_base(found: Any, base: str, path: str, target: str) -> None:
    """Raise ConfigError unless ``found`` is a subclass of the class at the dotted path ``base``, or a function of one.

    A function counts by the annotation of what it returns.
    """
    module, _, name = base.rpartition(".")
    wanted = getattr(importlib.import_module(module), name)
    made = found
    if inspect.isfunction(found) and "." not in found.__qualname__:
        try:
            made = get_type_hints(found).get("return")
        except (NameError, TypeError):
            made = None
    if not (inspect.isclass(made) and issubclass(made, wanted)):
        what = "class" if inspect.isclass(found) else "function that is annotated to return one"
        raise ConfigError(f"{path}._target_: {target} is refused, because it is no {what} of the base {name}.")


def targets(value: Any, path: str = "") -> list[tuple[str, dict[str, Any]]]:
    """Dotted key and content of every mapping with a ``_target_``, outer ones first.

    Raises:
        ConfigError: a value is an object, which only a ``!!python`` tag makes.
    """
    if isinstance(value, PurePath):
        raise ConfigError(f"{path}: a YAML tag !!python is refused; write {json_text(value)} as plain text.")
    found = [(path, value)] if isinstance(value, dict) and "_target_" in value else []
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in inner:
        found += targets(entry, f"{path}.{key}" if path else str(key))
    return found


def json_text(value: object) -> str:
    """The value as a quoted text."""
    return f'"{value}"'


def _may_be_nested(found: Any) -> bool:
    if not inspect.isclass(found):
        return False
    return issubclass(found, ComponentSettings) or is_dataclass(found) or is_users(found.__module__)


def typed_keys(overrides: Iterable[str]) -> set[str]:
    """The keys of a command line: ``hydra.job.env_set.X`` for ``++hydra.job.env_set.X=1``."""
    return {override.lstrip("+~").partition("=")[0] for override in overrides}


def check_hydra_node(cfg: DictConfig, typed: set[str]) -> None:
    """Raise ConfigError, naming the key and the callable, for what a YAML file may not ask of Hydra.

    Args:
        cfg: the composed configuration.
        typed: the keys that the user gave on the command line.
    """
    node: Any = OmegaConf.to_container(cfg.hydra, resolve=False)
    for path, inner in targets(node, "hydra"):
        target = inner["_target_"]
        if path in ("hydra.launcher", "hydra.sweeper"):
            if not str(target).startswith(_PLUGINS):
                raise ConfigError(f"{path}._target_: {target} is refused, because it is no plugin of Hydra.")
        elif re.fullmatch(r"hydra\.callbacks\.[^.]+", path):
            found = locate(target, path, ("hydra.experimental", "recmm"))
            check_base(found, "hydra.experimental.callback.Callback", path, target)
        elif not path.startswith("hydra.sweeper.params."):  # those are values of jobs, each of which is checked
            raise ConfigError(f"{path}._target_: {target} is refused, because {path} holds no class.")
    for name in _LOGGING:
        _check_logging(node[name], f"hydra.{name}")
    _check_environment(node["job"].get("env_set") or {}, typed)
    _check_commands(node["launcher"], "hydra.launcher", typed)
    for key in node["sweeper"].get("params") or {}:
        if key.lstrip("+~").startswith("hydra") and not _is_typed("hydra.sweeper.params", typed):
            raise ConfigError(f"hydra.sweeper.params.{key} is refused: a sweep's values are no settings of Hydra.")


def _check_logging(value: Any, path: str) -> None:
    """The content of a logging configuration, unresolved: an interpolation could bring what is refused here."""
    key = path.rpartition(".")[2]
    if isinstance(value, dict | list):
        for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
            _check_logging(inner, f"{path}.{name}")
    elif key in _NAMES_A_CALLABLE and value is not None:
        if value not in _LOGGING_CLASSES and not (key in ("()", "class") and is_users(str(value))):
            raise ConfigError(f"{path}: {value} is refused, because it is none of {', '.join(_LOGGING_CLASSES)}.")
    elif isinstance(value, str) and re.match(r"\s*(ext:|\$\{)", value):
        if value.startswith("${hydra.runtime.output_dir}") or value in _LOGGING_OBJECTS:
            return
        raise ConfigError(f"{path}: {value} is refused; a log goes to a file or to {' or '.join(_LOGGING_OBJECTS)}.")


def _check_environment(values: dict[str, Any], typed: set[str]) -> None:
    for name, value in values.items():
        if not _is_typed(f"hydra.job.env_set.{name}", typed) and os.environ.get(name) != value:
            raise ConfigError(
                f"hydra.job.env_set.{name}={value} is refused, because only the command line changes the environment: "
                f"add ++hydra.job.env_set.{name}={value} or set the variable in the shell."
            )


def _check_commands(node: dict[str, Any], path: str, typed: set[str]) -> None:
    """Refuse commands that a YAML file gives to a launcher; each plugin's own defaults are of no command."""
    module = str(node.get("_target_", ""))
    if is_users(module):
        return
    for key, value in node.items():
        where = f"{path}.{key}"
        if _RUNS_COMMANDS.search(str(key)) and value and value != _shipped(module, where):
            if not _is_typed(where, typed):
                raise ConfigError(
                    f"{where}={value} is refused, because a launcher would run it: give it on the command line, or set "
                    f"RECMM_TRUST={module.rpartition('.')[0]} to trust what files say about this launcher."
                )
        elif isinstance(value, dict):
            _check_commands({"_target_": module} | value, where, typed)


def _shipped(launcher: str, path: str) -> Any:
    """The value at a key below ``hydra.launcher`` in the configuration that the launcher's plugin registers."""
    from hydra.core.config_store import ConfigStore

    for name in ConfigStore.instance().list("hydra/launcher"):
        node = ConfigStore.instance().load(f"hydra/launcher/{name}").node
        if node.get("_target_") == launcher:
            raw: Any = OmegaConf.to_container(node, resolve=False)
            for part in path.split(".")[2:]:
                raw = raw.get(part) if isinstance(raw, dict) else None
            return raw
    return None


def _is_typed(key: str, typed: set[str]) -> bool:
    return any(key == each or key.startswith(f"{each}.") or each.startswith(f"{key}.") for each in typed)
