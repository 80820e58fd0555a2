"""A ``_target_`` node against the constructor it names: the signature is the schema, so none is written twice."""

import difflib
import importlib
import importlib.util
import inspect
import json
import types
from collections.abc import Callable
from dataclasses import is_dataclass
from typing import Any, Union, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, PydanticSchemaGenerationError, PydanticUserError, TypeAdapter, ValidationError

from recmm.errors import ConfigError
from recmm.experiment.config.trust import OWN_PACKAGES, refuse_untrusted
from recmm.settings import ComponentSettings, nested_settings, settings_of, suggestion

INJECTED = frozenset({"catalog", "missing", "imputer", "record"})
"""Arguments that the run gives to a constructor; a configuration never does."""

_INSTANTIATE_KEYS = frozenset({"_target_", "_recursive_", "_convert_", "_partial_"})
_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def check_node(node: dict[str, Any], path: str, *, open_keywords: bool = False) -> None:
    """Raise ConfigError unless ``node`` can be instantiated: target, keywords, required ones, types, nested nodes.

    Args:
        node: a resolved ``_target_`` mapping of plain values.
        path: its dotted key, for the messages.
        open_keywords: whether a constructor with ``**kwargs`` is accepted; its further keywords stay unchecked.
    """
    if "_target_" not in node:
        raise ConfigError(f"{path} names no class: it needs a key `_target_` such as `_target_: package.module.Class`.")
    target = locate(node["_target_"], path)
    name = getattr(target, "__name__", str(target))
    if (settings := settings_of(target)) is not None:
        _check_settings(settings, node, path)
        return
    parameters = inspect.signature(target).parameters.values()
    accepts_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)
    if accepts_any and not open_keywords:
        raise ConfigError(
            f"{path}: the constructor of {name} takes **kwargs, which would hide its valid keywords from this check; "
            "name each keyword in its signature."
        )
    named = {p.name: p for p in parameters if p.kind in _NAMED}
    keywords = named.keys() - INJECTED
    hints = _type_hints(target)
    for key, value in node.items():
        if key in _INSTANTIATE_KEYS:
            continue
        if key in INJECTED and key in named:
            raise ConfigError(f"{path}.{key} is given by the run itself; take it out of the configuration.")
        if key in keywords:
            _check_value(value, hints.get(key, Any), f"{path}.{key}")
        elif not accepts_any:
            raise ConfigError(f"{path}.{key}: {name} takes no keyword '{key}'{suggestion(key, keywords)}")
    needed = [k for k in named if k in keywords and named[k].default is inspect.Parameter.empty and k not in node]
    if needed and not node.get("_partial_"):
        raise ConfigError(f"{path}.{needed[0]} needs a value: {name} has no default for it.")


def _check_settings(settings: type[ComponentSettings], node: dict[str, Any], path: str) -> None:
    """The keys of a component whose hyper-parameters are a ``Settings`` class."""
    values = {}
    for key, value in node.items():
        if key in _INSTANTIATE_KEYS:
            continue
        if key in INJECTED:
            raise ConfigError(f"{path}.{key} is given by the run itself; take it out of the configuration.")
        group = nested_settings(settings.model_fields[key]) if key in settings.model_fields else None
        if group is None or not isinstance(value, dict):
            values[key] = value
            continue
        _check_group(group, value, f"{path}.{key}")
        values[key] = {name: inner for name, inner in value.items() if name not in _INSTANTIATE_KEYS}
    settings(**values)


def _check_group(group: type[ComponentSettings], node: dict[str, Any], path: str) -> None:
    if "_target_" not in node:
        raise ConfigError(f"{path} needs `_target_: {group.__module__}.{group.__qualname__}` beside its values.")
    made = locate(node["_target_"], path)
    if not (inspect.isclass(made) and issubclass(made, group)):
        name = getattr(made, "__name__", str(made))
        raise ConfigError(f"{path}: expected {group.__name__}, but _target_ names {name}.")
    _check_settings(made, node, path)


def keywords_of(target: Any) -> set[str]:
    """The keywords that a configuration may give to the class at this dotted path; empty if there is none."""
    try:
        component = locate(target, "")
        if (settings := settings_of(component)) is not None:
            return set(settings.model_fields)
        parameters = inspect.signature(component).parameters.values()
    except (ConfigError, ValueError):
        return set()
    return {p.name for p in parameters if p.kind in _NAMED} - INJECTED


def locate(target: Any, path: str, packages: tuple[str, ...] = OWN_PACKAGES) -> Callable[..., Any]:
    """Import the class or function at a dotted path; ConfigError says which part of it is not there.

    Nothing outside of ``packages`` and of the user's own modules is imported.
    """
    where = f"{path}._target_: {target}"
    if not isinstance(target, str) or "." not in target:
        raise ConfigError(f"{where} is no dotted path such as package.module.Class.")
    parts = target.split(".")
    if not _is_installed(parts[0]):
        raise ConfigError(f"{where} cannot be imported: there is no package '{parts[0]}' on the Python path.")
    refuse_untrusted(target, where, packages)
    for n in range(len(parts) - 1, 0, -1):
        module = ".".join(parts[:n])
        try:
            found: Any = importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name and (module == error.name or module.startswith(error.name + ".")):
                continue
            raise ConfigError(f"{where} cannot be imported: the package '{error.name}' is not installed.") from error
        except ImportError as error:
            raise ConfigError(f"{where} cannot be imported: {error}.") from error
        for part in parts[n:]:
            if not hasattr(found, part):
                public = [name for name in dir(found) if not name.startswith("_")]
                near = difflib.get_close_matches(part, public, n=1, cutoff=0.5)
                hint = f"; did you mean '{near[0]}'?" if near else "."
                raise ConfigError(f"{where} does not exist: '{module}' has no '{part}'{hint}")
            found = getattr(found, part)
        if not callable(found):
            raise ConfigError(f"{where} is neither a class nor a function.")
        if (home := str(getattr(found, "__module__", ""))) and home != module:  # an import of a trusted module
            refuse_untrusted(home, where, packages)
        if inspect.isabstract(found):
            raise ConfigError(f"{where} is abstract; name one of its subclasses.")
        return found
    raise ConfigError(f"{where} cannot be imported: there is no module of this name in '{parts[0]}'.")


def _is_installed(package: str) -> bool:
    """Whether there is a top-level package of this name; it is not imported."""
    try:
        return importlib.util.find_spec(package) is not None
    except ValueError:  # a module without a spec, such as __main__
        return True


def _type_hints(target: Callable[..., Any]) -> dict[str, Any]:
    """Annotations of the constructor or function; none where they cannot be evaluated at run time."""
    try:
        return get_type_hints(target.__init__ if inspect.isclass(target) else target)
    except (NameError, TypeError, AttributeError):
        return {}


def _check_value(value: Any, annotation: Any, path: str) -> None:
    if isinstance(value, dict) and "_target_" in value:
        check_node(value, path)
        wanted = [a for a in _members(annotation) if inspect.isclass(a)]
        made = locate(value["_target_"], path)
        if wanted and inspect.isclass(made) and not issubclass(made, tuple(wanted)):
            raise ConfigError(f"{path}: expected {_describe(annotation)}, but _target_ names {made.__name__}.")
        return
    nested = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if any(isinstance(entry, dict) and "_target_" in entry for entry in nested):
        entries = value.items() if isinstance(value, dict) else enumerate(value)
        for key, entry in entries:
            _check_value(entry, Any, f"{path}.{key}")
        return
    settings = next((a for a in _members(annotation) if inspect.isclass(a) and is_dataclass(a)), None)
    if isinstance(value, dict) and settings is not None:
        raise ConfigError(f"{path} needs `_target_: {settings.__module__}.{settings.__qualname__}` beside its values.")
    check_type(value, annotation, path)


def check_type(value: Any, annotation: Any, path: str) -> None:
    """Raise ConfigError unless a plain value has this type; strict, but a list may stand for a tuple, 1 for 1.0."""
    try:
        adapter: TypeAdapter[Any] = _adapter(annotation)
        adapter.validate_json(json.dumps(value), strict=True)
    except (PydanticSchemaGenerationError, PydanticUserError):
        return  # an annotation that says nothing about plain values
    except ValidationError as error:
        problem = error.errors()[0]
        inner = "".join(f".{part}" for part in problem["loc"] if isinstance(part, int))
        raise ConfigError(
            f"{path}{inner}: {json.dumps(value)} is not valid, expected {_describe(annotation)} ({problem['msg']})."
        ) from error


def _adapter(annotation: Any) -> TypeAdapter[Any]:
    try:
        return TypeAdapter(annotation, config=ConfigDict(arbitrary_types_allowed=True))
    except PydanticUserError:  # dataclasses and typed dictionaries bring a configuration of their own
        return TypeAdapter(annotation)


def _members(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)


def _describe(annotation: Any) -> str:
    members = _members(annotation)
    if len(members) > 1:
        return " | ".join("null" if member is types.NoneType else _describe(member) for member in members)
    is_plain = inspect.isclass(annotation) and not get_args(annotation)
    return annotation.__name__ if is_plain else str(annotation).removeprefix("typing.")
