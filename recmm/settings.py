"""Settings: the hyper-parameters of a component, each written once with default, meaning and bounds.

A method holds its hyper-parameters in a nested class:

    class Settings(MethodSettings):
        k: int = hp(10, "neighbours of an item, itself among them; released code 10", ge=1)

The YAML files of ``conf/``, the checks of the command line and the constructor's errors are all derived from it.
"""

import difflib
import inspect
import json
import types
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from recmm.errors import ConfigError

_BOUNDS = ("ge", "gt", "le", "lt")
_NOUNS: dict[Any, str] = {int: "an integer", float: "a number", str: "a text"}


def hp(
    default: Any,
    description: str,
    *,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
    interpolation: str | None = None,
) -> Any:
    """A hyper-parameter: one field of a ``Settings`` class.

    Args:
        default: the shipped value.
        description: what it means, its unit or choices; the paper's value; the released code's value.
        ge, gt, le, lt: bounds on the value: at least, above, at most, below.
        interpolation: what the generated YAML holds in place of the default, such as "${seed}".
    """
    extra: Any = None if interpolation is None else {"interpolation": interpolation}
    return Field(default, description=description, ge=ge, gt=gt, le=le, lt=lt, json_schema_extra=extra)


class ComponentSettings(BaseModel):
    """Base of all settings: frozen, strict about types, and its errors are sentences.

    A nested group of settings may be given as an instance, which replaces the default, or as a mapping, which changes
    only the keys it names.

    Attributes:
        key: dotted configuration key under which these settings stand; begins every error message.

    Raises:
        ConfigError: an unknown key, a value of the wrong type or outside its bounds or choices.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", protected_namespaces=(), allow_inf_nan=False)

    key: ClassVar[str] = ""

    def __init__(self, **values: Any) -> None:
        fields = type(self).model_fields
        given = {name: _merged(fields[name], value) if name in fields else value for name, value in values.items()}
        try:
            super().__init__(**given)
        except ValidationError as error:
            raise ConfigError(_sentence(type(self), given, error)) from None

    @classmethod
    def owner(cls) -> str:
        """The component whose settings these are, ``MGCN`` for ``MGCN.Settings``; the class's own name otherwise."""
        return cls.__qualname__.removesuffix(".Settings").rpartition(".")[2]


def settings_of(component: Any) -> type[ComponentSettings] | None:
    """The class that lists the keywords of a component's constructor; None where the signature lists them itself.

    It is the component if that is a settings class, or its nested ``Settings`` if the constructor takes ``**values``.
    """
    if not isinstance(component, type):
        return None
    if issubclass(component, ComponentSettings):
        return component
    nested = getattr(component, "Settings", None)
    if not (isinstance(nested, type) and issubclass(nested, ComponentSettings)):
        return None
    parameters = inspect.signature(component).parameters.values()
    return nested if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters) else None


def nested_settings(field: FieldInfo) -> type[ComponentSettings] | None:
    """The settings class of a field that holds a group of settings."""
    for kind in _members(field.annotation):
        if isinstance(kind, type) and issubclass(kind, ComponentSettings):
            return kind
    return None


def suggestion(wrong: str, valid: Iterable[str]) -> str:
    """The end of a sentence: ``; did you mean 'x'? Valid: a, b, x.``"""
    names = sorted(valid)
    near = difflib.get_close_matches(wrong, names, n=1, cutoff=0.5)
    return (f"; did you mean '{near[0]}'?" if near else ".") + (f" Valid: {', '.join(names)}." if names else "")


def bounds_of(field: FieldInfo) -> dict[str, float]:
    """The bounds of a field: a subset of ge, gt, le, lt."""
    return {name: getattr(part, name) for part in field.metadata for name in _BOUNDS if hasattr(part, name)}


def choices_of(annotation: Any) -> tuple[Any, ...]:
    """The values of the ``Literal`` in an annotation; none if there is no literal."""
    return tuple(choice for kind in _members(annotation) if get_origin(kind) is Literal for choice in get_args(kind))


def range_of(field: FieldInfo) -> str:
    """The bounds of a field in words: "at least 1", "positive", "in [0, 1)"; empty if there are none."""
    bounds = bounds_of(field)
    low, high = bounds.get("ge", bounds.get("gt")), bounds.get("le", bounds.get("lt"))
    if low is not None and high is not None:
        return f"in {'[' if 'ge' in bounds else '('}{low:g}, {high:g}{']' if 'le' in bounds else ')'}"
    if "ge" in bounds:
        return f"at least {low:g}"
    if "gt" in bounds:
        return "positive" if low == 0 else f"above {low:g}"
    if high is None:
        return ""
    return f"at most {high:g}" if "le" in bounds else f"below {high:g}"


def _merged(field: FieldInfo, value: Any) -> Any:
    """The group of settings that a mapping stands for: the default with the keys that it names changed."""
    kind = nested_settings(field)
    if kind is None or not isinstance(value, Mapping):
        return value
    default = field.default
    if not isinstance(default, kind):
        return kind(**value)
    return type(default)(**{name: getattr(default, name) for name in type(default).model_fields} | dict(value))


def _sentence(settings: type[ComponentSettings], values: Mapping[str, Any], error: ValidationError) -> str:
    """One sentence for the first problem that pydantic found: key, value, and what was expected."""
    problem = error.errors(include_url=False)[0]
    name, inner = str(problem["loc"][0]), [str(part) for part in problem["loc"][1:] if isinstance(part, int)]
    path = f"{settings.key}.{name}" if settings.key else name
    fields = settings.model_fields
    if problem["type"] == "extra_forbidden":
        return f"{path}: {settings.owner()} takes no keyword '{name}'{suggestion(name, fields)}"
    if problem["type"] == "missing":
        return f"{path} needs a value: {settings.owner()} has no default for it."
    field, value = fields[name], values[name]
    if choices_of(field.annotation) and not inner:
        return f"{path} must be one of {_alternatives(field.annotation)}; got {value!r}."
    if problem["type"] in ("greater_than", "greater_than_equal", "less_than", "less_than_equal"):
        return f"{path} must be {range_of(field) or problem['msg'].removeprefix('Input should be ')}; got {value}."
    where = ".".join([path, *inner])
    return f"{where}: {_shown(value)} is not valid, expected {_described(field.annotation)} ({problem['msg']})."


def _alternatives(annotation: Any) -> str:
    """The choices of a union of literals and types: "epoch, step, or an integer that is at least 1"."""
    names, others = [str(choice) for choice in choices_of(annotation)], list[str]()
    for kind in _members(annotation):
        if kind is types.NoneType:
            names.append("null")
        elif get_origin(kind) is not Literal:
            field = FieldInfo.from_annotation(kind)  # takes an ``Annotated`` type apart
            noun = _NOUNS.get(field.annotation, _described(field.annotation))
            others.append(" that is ".join(filter(None, [noun, range_of(field)])))
    return ", or ".join([", ".join(names), *others])


def _shown(value: Any) -> str:
    try:
        return json.dumps(value)
    except (TypeError, ValueError):
        return repr(value)


def _described(annotation: Any) -> str:
    """A type as one reads it, "Sequence[int] | None"; bounds in an ``Annotated`` type are left out."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if annotation is types.NoneType:
        return "None"
    if origin in (Union, types.UnionType):
        return " | ".join(map(_described, inner))
    if origin is Annotated:
        return _described(inner[0])
    if isinstance(origin, type) and ... not in inner:
        return f"{origin.__name__}[{', '.join(map(_described, inner))}]"
    return annotation.__name__ if isinstance(annotation, type) and not inner else str(annotation)


def _members(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)
