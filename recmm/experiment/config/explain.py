"""Sentences for what Hydra, OmegaConf and YAML raise while they read arguments and files."""

import difflib
import re
from collections.abc import Iterator
from typing import Any

from hydra.errors import MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    InterpolationResolutionError,
    OmegaConfBaseException,
    ValidationError,
)
from yaml import YAMLError

from recmm.experiment.config.constructors import keywords_of
from recmm.settings import suggestion

_BROUGHT_BY = {"dataset.protocol": "split=item_cold_start or another choice of the group split"}


def explain(error: BaseException) -> str:
    """One sentence for any error that Hydra raises while it reads arguments and YAML files."""
    text = " ".join(str(error).split())
    chain: list[BaseException] = [error]
    while (inner := chain[-1].__cause__ or chain[-1].__context__) is not None and inner not in chain:
        chain.append(inner)  # OmegaConf raises the same error object several times, so the chain may be circular
    if text.startswith("Ambiguous value for argument"):
        return (
            f"{text.split(chr(39))[1]} lists several values: add -m to run one job for each, or write key=[a,b] for a "
            "list, or quote the value."
        )
    if isinstance(error, OverrideParseException):
        unread = re.search(r"token recognition error at: '(.)", "\n".join(map(str, chain)))
        if unread is not None:
            return (
                f"The argument {error.override} cannot be read: it holds the character {unread[1]}, which needs "
                "quotation marks for Hydra within those for the shell, as in \"key='value'\"."
            )
        return f"The argument {error.override} cannot be read: {error.message.splitlines()[0]}."
    for link in chain:
        if isinstance(link, MissingConfigException) and link.missing_cfg_file and link.options:
            group, choice = re.findall(r"((?:hydra/)?[^/]+)/(.+)", link.missing_cfg_file)[0]
            return f"{group}={choice}: there is no such choice{suggestion(choice, link.options)}"
    for link in chain:
        if isinstance(link, OmegaConfBaseException) and (link.full_key or link.key) not in (None, "", "_dummy_"):
            file = re.match(r"In '(?P<path>[^']+)'", text)
            return (f"In {file['path']}.yaml: " if file else "") + explain_key(link)
    return text


def explain_yaml(error: YAMLError) -> str:
    """One sentence for a file that is no YAML, or asks with a tag such as ``!!python`` for an object."""
    mark = getattr(error, "problem_mark", None)
    reason = " ".join(str(getattr(error, "problem", None) or error).split())
    tag = re.search(r"could not determine a constructor for the tag '(?:tag:yaml\.org,2002:)?([^']+)'", reason)
    if tag:
        reason = f"the tag !!{tag[1]} is refused, because a configuration holds plain values only"
    return f"{'A YAML file' if mark is None else f'{mark.name}, line {mark.line + 1}'}: {reason}."


def explain_key(error: OmegaConfBaseException) -> str:
    """One sentence about a key that is not there, or whose value is of a wrong type or cannot be resolved."""
    path = error.full_key or str(error.key)
    if isinstance(error, ConfigKeyError | ConfigAttributeError):
        return f"There is no key {path}{_nearest(str(error.key), path, error.parent_node)}"
    if isinstance(error, ValidationError | InterpolationResolutionError):
        reason = str(error.msg or error).splitlines()[0].rstrip(".")
        return f"{path}: {reason}."
    return f"{path}: {' '.join(str(error).split())}"


def _nearest(key: str, path: str, parent: Any) -> str:
    """End of the sentence about an unknown key: the nearest key beside it, or the same name in another group."""
    if not isinstance(parent, DictConfig):
        return "."
    siblings = {str(name) for name in parent}
    parameters = keywords_of(OmegaConf.select(parent, "_target_")) if "_target_" in parent else set()
    if path in _BROUGHT_BY:
        return f": choose one with {_BROUGHT_BY[path]}, or write ++{path}... where -m lists several."
    if key in parameters - siblings:
        return f" in the YAML file, but the constructor takes it: write +{path}=..."
    root: Any = OmegaConf.to_container(parent._get_root(), resolve=False)
    elsewhere = [name for name in _dotted(root, "") if name.rpartition(".")[2] == key]
    if elsewhere and not difflib.get_close_matches(key, siblings | parameters, n=1, cutoff=0.75):
        return f"; did you mean '{elsewhere[0]}'?"
    return suggestion(key, (siblings | parameters) - {"_target_", "hydra"})


def _dotted(node: Any, prefix: str) -> Iterator[str]:
    if isinstance(node, dict):
        for key, inner in node.items():
            if prefix or key != "hydra":
                yield f"{prefix}{key}"
                yield from _dotted(inner, f"{prefix}{key}.")
