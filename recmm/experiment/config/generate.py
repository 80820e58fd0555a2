"""The YAML files of ``conf/`` that are generated from ``Settings``: `make configs` writes them.

Each hyper-parameter becomes one key with its default and, as a comment, its range and meaning. Variants of a method are
written by hand and hold only the keys in which they differ.
"""

import inspect
import sys
import textwrap
from collections import Counter
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

import recmm.models
from recmm.experiment.config.folder import config_folder
from recmm.models.base import Recommender
from recmm.settings import ComponentSettings, bounds_of, nested_settings

WIDTH = 132
COMMENT_COLUMN = 24


def generated() -> dict[str, str]:
    """Path below ``conf/`` -> text, of every generated file."""
    methods = [value for value in vars(recmm.models).values() if inspect.isclass(value) and _is_method(value)]
    per_module = Counter(method.__module__ for method in methods)
    files = {}
    for method in methods:
        stem = method.__module__.rpartition(".")[2]
        name = stem if per_module[method.__module__] == 1 else method.__name__.lower()
        files[f"model/{name}.yaml"] = method_yaml(method)
    return files


def method_yaml(method: type[Recommender]) -> str:
    """The configuration of one method: its target, and every hyper-parameter with default and comment."""
    module = inspect.getmodule(method)
    source = (getattr(module, "__doc__", None) or "").strip().splitlines()[0]
    parts = [source if source.endswith(".") else source + "."]
    if not method.uses_modalities:
        parts.append("Looks at no modality: the same numbers under every missing setting.")
    own = method.Settings.__doc__ if "__doc__" in vars(method.Settings) else None
    if own:
        parts.append(" ".join(inspect.cleandoc(own).split()))
    path = method.__module__.replace(".", "/")
    header = [*_comment(" ".join(parts)), f"# Generated from {path}.py by `make configs`: change the values there."]
    target = f"_target_: {recmm.models.__name__}.{method.__name__}"
    return "\n".join([*header, target, *_keys(method.Settings(), 0)]) + "\n"


def _is_method(value: type) -> bool:
    return issubclass(value, Recommender) and value is not Recommender and "Settings" in vars(value)


def _keys(settings: ComponentSettings, depth: int) -> list[str]:
    """The lines of one group of settings; nested groups come last, each with the class that it is built from."""
    fields = type(settings).model_fields
    plain = [name for name in fields if nested_settings(fields[name]) is None]
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
    low, high = bounds.get("ge", bounds.get("gt")), bounds.get("le", bounds.get("lt"))
    if low is not None and high is not None:
        return f"in {'[' if 'ge' in bounds else '('}{low:g}, {high:g}{']' if 'le' in bounds else ')'}"
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
    return str(value)


def _public_path(kind: type) -> str:
    """``recmm.models.Training`` for a class that the package of methods exports, its full path otherwise."""
    if getattr(recmm.models, kind.__name__, None) is kind:
        return f"{recmm.models.__name__}.{kind.__name__}"
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
