"""The YAML files of ``conf/`` that are generated from ``Settings``: `make configs` writes them.

Each hyper-parameter becomes one key with its default and, as a comment, its range and meaning. Variants of a component
are written by hand and hold only the keys in which they differ.
"""

import inspect
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

import recmm.adapters.mmrec
import recmm.missing.controls
import recmm.missing.imputers
import recmm.missing.settings
import recmm.models
from recmm.experiment.config.folder import choice_of, config_folder
from recmm.missing.base import MissingSetting
from recmm.missing.imputers import Imputer
from recmm.missing.settings import TrainTest
from recmm.models.base import Recommender
from recmm.settings import ComponentSettings, bounds_of, nested_settings, range_of, settings_of

WIDTH = 132
COMMENT_COLUMN = 24
_PUBLIC = (recmm.models, recmm.missing.imputers, recmm.adapters.mmrec)
"""Packages whose classes go by the package's name in a ``_target_``."""
_MISSING_SETTINGS = (recmm.missing.settings, recmm.missing.controls)


def generated() -> dict[str, str]:
    """Path below ``conf/`` -> text, of every generated file."""
    return {
        f"{group}/{name}.yaml": component_yaml(component, (_about_method if group == "model" else _about)(component))
        for group, components in components_of_groups().items()
        for name, component in components.items()
    }


def components_of_groups() -> dict[str, dict[str, type[Any]]]:
    """For ``model``, ``imputer`` and ``missing``: choice -> class, of every choice whose file is generated."""
    packages = (recmm.models, recmm.adapters.mmrec)
    methods = [m for package in packages for m in _classes(package, Recommender) if "Settings" in vars(m)]
    in_module = Counter(m.__module__ for m in methods)
    settings = chain.from_iterable(_classes(module, MissingSetting) for module in _MISSING_SETTINGS)
    return {
        "model": {
            m.__module__.rpartition(".")[2] if in_module[m.__module__] == 1 else m.__name__.lower(): m for m in methods
        },
        "imputer": {choice_of(imputer): imputer for imputer in _classes(recmm.missing.imputers, Imputer)},
        # the defaults of TrainTest are FTMT
        "missing": {"ftmt" if setting is TrainTest else choice_of(setting): setting for setting in settings},
    }


def component_yaml(component: type, about: str) -> str:
    """The configuration of one component: its target, and every hyper-parameter with default and comment.

    Args:
        component: a class whose keywords are a ``Settings`` class, or such a class itself.
        about: what the component is; the comment above the keys.
    """
    settings = settings_of(component)
    if settings is None:
        raise TypeError(f"{component.__name__} has no Settings that its constructor takes as **values.")
    path = component.__module__.replace(".", "/")
    header = [*_comment(about), f"# Generated from {path}.py by `make configs`: change the values there."]
    return "\n".join([*header, f"_target_: {_public_path(component)}", *_keys(settings(), 0)]) + "\n"


def _classes(module: Any, base: type) -> Iterator[type[Any]]:
    """The concrete subclasses of ``base`` in a module's namespace."""
    for value in vars(module).values():
        if inspect.isclass(value) and issubclass(value, base) and value is not base and not inspect.isabstract(value):
            yield value


def _about_method(method: type[Recommender]) -> str:
    """The first line of the method's module, whether it uses modalities, and the docstring of its ``Settings``."""
    source = (getattr(inspect.getmodule(method), "__doc__", None) or "").strip().splitlines()[0]
    parts = [source if source.endswith(".") else source + "."]
    if not method.uses_modalities:
        parts.append("Looks at no modality: the same numbers under every missing setting.")
    own = method.Settings.__doc__ if "__doc__" in vars(method.Settings) else None
    return " ".join([*parts, *inspect.cleandoc(own or "").split()])


def _about(component: type) -> str:
    """The docstring of a class as one paragraph."""
    return " ".join(inspect.cleandoc(component.__doc__ or "").replace("``", "").split())


def _keys(settings: ComponentSettings, depth: int) -> list[str]:
    """The lines of one group of settings; nested groups come last, each with the class that it is built from."""
    fields = type(settings).model_fields
    plain = [name for name in _own_first(type(settings)) if nested_settings(fields[name]) is None]
    lines: list[str] = []
    for name in plain:
        lines += _key(name, getattr(settings, name), fields[name], depth)
    for name in (name for name in fields if name not in plain):
        group = getattr(settings, name)
        lines += [
            *_with_comment(f"{'  ' * depth}{name}:", fields[name].description or ""),
            f"{'  ' * (depth + 1)}_target_: {_public_path(type(group))}",
            *_keys(group, depth + 1),
        ]
    return lines


def _own_first(settings: type[ComponentSettings]) -> list[str]:
    """Names of the fields: those that the class declares itself, then those of its bases."""
    declared = (name for kind in settings.__mro__ for name in inspect.get_annotations(kind))
    return [name for name in dict.fromkeys(declared) if name in settings.model_fields]


def _key(name: str, default: Any, field: FieldInfo, depth: int) -> list[str]:
    extra = field.json_schema_extra
    value = extra["interpolation"] if isinstance(extra, dict) and "interpolation" in extra else _scalar(default)
    comment = ", ".join(part for part in (_range(field), field.description) if part)
    return _with_comment(f"{'  ' * depth}{name}: {value}", comment)


def _with_comment(text: str, comment: str) -> list[str]:
    if not comment:
        return [text]
    first = text.ljust(COMMENT_COLUMN - 1) + " # "
    lines = textwrap.wrap(comment, WIDTH - len(first), break_long_words=False, break_on_hyphens=False)
    column = " " * (len(first) - 2) + "# "
    return [first + lines[0], *(column + line for line in lines[1:])]


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)


def _range(field: FieldInfo) -> str:
    """``>= 1``, ``> 0``, ``in [0, 1)``; empty where there are no bounds."""
    bounds = bounds_of(field)
    if len(bounds) == 2:
        return range_of(field)
    signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
    return "".join(f"{signs[name]} {value:g}" for name, value in bounds.items())


def _scalar(value: Any) -> str:
    """A value as YAML; small numbers as 1.0e-4, since YAML reads 1e-4 as text."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value and not 1e-2 <= abs(value) < 1e5:
        mantissa, _, exponent = f"{value:e}".partition("e")
        digits = mantissa.rstrip("0")
        return f"{digits + '0' if digits.endswith('.') else digits}e{int(exponent)}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_scalar, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_scalar(inner)}' for key, inner in value.items())}}}"
    return str(value)


def _public_path(kind: type) -> str:
    """``recmm.models.Training`` for a class that one of the public packages exports, its full path otherwise."""
    for package in _PUBLIC:
        if getattr(package, kind.__name__, None) is kind:
            return f"{package.__name__}.{kind.__name__}"
    return f"{kind.__module__}.{kind.__qualname__}"


def main() -> None:
    """Write every generated file, and say which ones changed."""
    folder = config_folder()
    for name, text in generated().items():
        path = Path(folder, name)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"conf/{name}", file=sys.stdout)


if __name__ == "__main__":
    main()
