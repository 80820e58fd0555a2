"""Check a composed configuration before its run starts: keys, types, choices, constructors, interpolations."""

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any

from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from recmm.errors import ConfigError
from recmm.experiment.config.constructors import check_node, check_type
from recmm.experiment.config.explain import explain_key
from recmm.experiment.config.identity import own_values
from recmm.experiment.config.schema import RunConfig
from recmm.experiment.config.targets import check_targets
from recmm.settings import suggestion

_METHOD_GROUPS = ("model", "dataset", "missing", "imputer")  # one constructor each, without **kwargs
_ENTRY_GROUPS = ("callbacks", "logger")  # any number of named constructors
_LONGEST_NAME = 255  # bytes, on every usual file system
_GROUPS = (*_METHOD_GROUPS, *_ENTRY_GROUPS)


def check(cfg: DictConfig, passed: set[str] | None = None) -> dict[str, Any]:
    """Raise ConfigError, naming the key and the nearest valid one, unless a run can be built from ``cfg``.

    Args:
        passed: remembers what has passed, so that jobs of a sweep check what they share once.

    Returns:
        ``own_values(cfg)``.
    """
    passed = set() if passed is None else passed
    try:
        own = own_values(cfg)
    except OmegaConfBaseException as error:
        raise ConfigError(explain_key(error)) from error
    groups = {name: own[name] for name in _GROUPS if isinstance(own.get(name), dict)}
    values = {name: value for name, value in own.items() if name not in groups}
    parts: list[tuple[str, Any, Callable[[Any, str], None]]] = [("", values, _check_own_keys)]
    parts += [(name, content, _check_group) for name, content in groups.items()]
    for name, content, judge in parts:
        known = f"{name} {sorted(groups)} {content!r}"
        if known not in passed:
            judge(content, name)
            passed.add(known)
    needed = [name for name in _METHOD_GROUPS if name not in groups]
    if needed:
        raise ConfigError(f"{needed[0]} needs a value: give one with {needed[0]}=...")
    return own


def _check_own_keys(values: dict[str, Any], path: str) -> None:
    """Every key outside of the groups, against the schema: Hydra lets `+key=value` past the types."""
    try:
        typed: Any = OmegaConf.to_container(OmegaConf.merge(OmegaConf.structured(RunConfig), values))
    except OmegaConfBaseException as error:
        raise ConfigError(explain_key(error)) from error
    typed = {key: value for key, value in typed.items() if key in values or key not in _GROUPS}
    _refuse_missing(typed, path)
    check_targets(typed)
    _check_plain(typed, RunConfig, path)
    name = (typed.get("sweep") or {}).get("name") or ""
    if len(name.encode(errors="replace")) > _LONGEST_NAME:
        raise ConfigError(f"sweep.name has {len(name)} characters; a folder's name has at most {_LONGEST_NAME} bytes.")


def _check_group(values: dict[str, Any], group: str) -> None:
    _refuse_missing(values, group)
    check_targets({group: values})
    if group in _METHOD_GROUPS:
        check_node(values, group)
        return
    for name, node in values.items():
        if not isinstance(node, dict):
            raise ConfigError(f"{group}.{name} is not a mapping with a `_target_`; remove it with ~{group}.{name}.")
        check_node(node, f"{group}.{name}", open_keywords=True)


def _refuse_missing(value: Any, path: str) -> None:
    if value == MISSING:
        raise ConfigError(f"{path} needs a value: give one with {path}=...")
    if isinstance(value, dict):
        for key, inner in value.items():
            _refuse_missing(inner, f"{path}.{key}" if path else str(key))


def _check_plain(values: dict[str, Any], schema: type, prefix: str) -> None:
    """Check what the schema's fields carry as metadata: choices, minima, types that OmegaConf cannot express."""
    for entry in fields(schema):
        if entry.name not in values:
            continue  # a group that names a class
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
        if minimum is not None and isinstance(value, int | float) and value < minimum:
            raise ConfigError(f"{path}={value} is too small: it has to be at least {minimum}.")
        if "annotation" in entry.metadata:
            check_type(value, entry.metadata["annotation"], path)


def _shown(choice: str | None) -> str:
    return "null" if choice is None else choice
