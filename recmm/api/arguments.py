"""Python values as arguments of `train.py`, in Hydra's grammar."""

import re
from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np

from recmm.errors import ConfigError

_PLAIN = re.compile(r"[A-Za-z_][\w./-]*")
_WORDS = ("null", "true", "false", "inf", "nan")  # texts that Hydra would read as another type


def arguments_of(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """``{"training": {"lr": 0.1}}`` with the prefix ``model`` becomes ``model.training.lr=0.1``.

    Raises:
        ConfigError: a value is of a type that no configuration holds.
    """
    for name, value in values.items():
        key = f"{prefix}.{name}" if prefix else name
        if isinstance(value, Mapping):
            yield from arguments_of(value, key)
        else:
            yield f"{key}={argument(value, key)}"


def argument(value: Any, key: str) -> str:
    """One value in Hydra's grammar; ``key`` names it in errors."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str | PathLike):
        text = str(value)
        if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
            return text
        return "'" + re.sub(r"(\\*)(')", r"\1\1\\'", re.sub(r"(\\+)$", r"\1\1", text)) + "'"
    if isinstance(value, Sequence | np.ndarray):
        return f"[{','.join(argument(entry, key) for entry in value)}]"
    raise ConfigError(
        f"{key}={value!r} is of the type {type(value).__name__}: a configuration holds numbers, texts, true and false, "
        "lists and mappings of them."
    )
