"""What of a configuration and of messages may be published: no folder of a person, no value of the environment.

A record is sent to colleagues and put beside papers. References such as ``${oc.env:TOKEN}`` stay references in it, and
absolute paths become relative or lose their folders.
"""

import logging
import re
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

import recmm

_ENVIRONMENT = "${oc.env:"
_TOKEN = re.compile(r"\.recmm-environment-(\d+)\.")  # in the grammar of interpolations a plain text
_STOP = r"/\s'\"`,;()\[\]<>"  # what ends a part of a path in a text
_FOLDERS = re.compile(rf"(?:(?<=file://)|(?<![\w.~$}}/-]))/(?:[^{_STOP}]+/)+(?=[^{_STOP}]*)")
_WINDOWS_FOLDERS = re.compile(r"\b[A-Za-z]:\\(?:[^\\\s'\"]+\\)+")


class PublishableFormatter(logging.Formatter):
    """Log lines without folders: for files that are part of a record."""

    def format(self, record: logging.LogRecord) -> str:
        return publishable_text(super().format(record))


def publishable(cfg: DictConfig) -> dict[str, Any]:
    """The configuration in plain types, resolved but for what must not be published.

    A value made of an environment variable other than RECMM_* keeps the reference, ``${oc.env:NAME}``. An absolute path
    keeps it too where it has one, such as ``paths.data``; otherwise its last part is left.
    """
    references: list[str] = []
    raw: Any = _with_tokens(OmegaConf.to_container(cfg), references)
    values = OmegaConf.to_container(cfg, resolve=True)
    result: dict[str, Any] = _merged(values, _resolved(OmegaConf.create(raw)), references)
    return result


def publishable_text(text: str) -> str:
    """``text`` with the home folder as ``~``, the working directory as ``.``, and no other folder of a path."""
    places = {str(Path(recmm.__file__).resolve().parents[1]): "", str(Path.cwd()): ".", str(Path.home()): "~"}
    for place in sorted(places, key=len, reverse=True):
        if len(place) > 1:
            text = text.replace(f"{place}/", f"{places[place]}/" if places[place] else "")
            text = re.sub(rf"{re.escape(place)}(?![\w.-])", places[place] or ".", text)
    return _WINDOWS_FOLDERS.sub(r"...\\", _FOLDERS.sub(".../", text))


def publishable_values(value: Any) -> Any:
    """A nested value of plain types in which every text is a ``publishable_text``."""
    if isinstance(value, dict):
        return {key: publishable_values(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [publishable_values(inner) for inner in value]
    return publishable_text(value) if isinstance(value, str) and ("/" in value or "\\" in value) else value


def _with_tokens(value: Any, references: list[str]) -> Any:
    """The same with a token in place of every reference to the environment; its number is the place in the list."""
    if isinstance(value, dict):
        return {key: _with_tokens(inner, references) for key, inner in value.items()}
    if isinstance(value, list):
        return [_with_tokens(inner, references) for inner in value]
    if not isinstance(value, str):
        return value
    while (start := value.find(_ENVIRONMENT)) >= 0:
        end, depth = start + len(_ENVIRONMENT), 1
        while depth and end < len(value):
            depth += {"{": 1, "}": -1}.get(value[end], 0)
            end += 1
        references.append(value[start:end])
        value = f"{value[:start]}.recmm-environment-{len(references) - 1}.{value[end:]}"
    return value


def _resolved(node: Any) -> Any:
    """The node in plain types; an entry that does not resolve with a token in it stays as it is written."""
    if isinstance(node, DictConfig):
        return {key: _resolved(_entry(node, key)) for key in node}
    if isinstance(node, ListConfig):
        return [_resolved(_entry(node, index)) for index in range(len(node))]
    return node


def _entry(node: Any, key: Any) -> Any:
    try:
        return node[key]
    except OmegaConfBaseException:
        written: Any = OmegaConf.to_container(node)
        return written[key]


def _merged(value: Any, reference: Any, references: list[str]) -> Any:
    """``value``, with the references where there is something to hide."""
    if isinstance(value, dict):
        inner = reference if isinstance(reference, dict) else {}
        return {str(key): _merged(entry, inner.get(key, entry), references) for key, entry in value.items()}
    if isinstance(value, list):
        others = reference if isinstance(reference, list) else value
        return [_merged(entry, other, references) for entry, other in zip(value, others, strict=True)]
    if not isinstance(reference, str):
        return value
    used = [references[int(number)] for number in _TOKEN.findall(reference)]
    written = _TOKEN.sub(lambda found: references[int(found[1])], reference)
    if any(not name.startswith(f"{_ENVIRONMENT}RECMM_") for name in used):
        return written
    is_private = isinstance(value, str) and Path(value).is_absolute()
    if is_private:
        return written if used else Path(value).name
    return value
