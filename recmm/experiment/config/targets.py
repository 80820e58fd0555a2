"""Which class each node of a configuration may name: a YAML file of somebody else must not run what it likes.

A node with a ``_target_`` names a subclass of its group's base. ``hydra_node.py`` has the rules for Hydra's own node.
"""

import importlib
import inspect
import re
from dataclasses import is_dataclass
from pathlib import PurePath
from typing import Any, get_type_hints

from recmm.errors import ConfigError
from recmm.experiment.config.constructors import locate
from recmm.experiment.config.trust import is_users
from recmm.settings import ComponentSettings

_BASES = {
    "model": "recmm.models.base.Recommender",
    "dataset": "pytorch_lightning.LightningDataModule",
    "dataset.protocol": "recmm.data.protocols.base.SplitProtocol",
    "missing": "recmm.missing.settings.MissingSetting",
    "imputer": "recmm.missing.imputers.base.Imputer",
    "callbacks.*": "pytorch_lightning.callbacks.Callback",
    "logger.*": "pytorch_lightning.loggers.Logger",
}


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
