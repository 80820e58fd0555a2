"""Checks of hyper-parameters that methods share; a message names the keyword and what it may be."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args, get_origin, get_type_hints

from recmm.errors import ConfigError


def check_choices(constructor: Callable[..., Any], values: Mapping[str, Any]) -> None:
    """Raises ConfigError for a value that its keyword's ``Literal`` annotation does not list."""
    for name, hint in get_type_hints(constructor).items():
        if get_origin(hint) is Literal and values[name] not in get_args(hint):
            raise ConfigError(f"model.{name} must be one of {', '.join(get_args(hint))}; got {values[name]!r}.")


def check_lowest(values: Mapping[str, Any], lowest: Mapping[str, float]) -> None:
    """Raises ConfigError for a value under its bound."""
    for name, bound in lowest.items():
        if values[name] < bound:
            raise ConfigError(f"model.{name} must be at least {bound}; got {values[name]}.")


def check_modalities(values: Mapping[str, Any], method: str) -> None:
    """Raises ConfigError if ``values["catalog"]`` has no modality at all."""
    if not values["catalog"].modalities:
        raise ConfigError(f"{method} needs at least one modality; name some in dataset.modalities.")
