"""What identifies a run: the signature in its record and the name of its folder."""

import contextlib
import hashlib
import json
import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import MISSING, DictConfig, OmegaConf

from recmm import RESULTS_VERSION
from recmm.errors import ConfigError
from recmm.experiment.config.constructors import locate
from recmm.experiment.config.home import expand_home
from recmm.experiment.config.publishable import publishable

# Paths, logging, hardware, progress and the handling of records do not change any number.
_LEFT_OUT = (
    "paths",
    "logger",
    "sweep",
    "ckpt",
    "overwrite",
    "settings_source",
    "dataset.folder",
    "dataset.download",
    "missing.paper_imputer",  # the imputer that it selects is in `imputer`
    "trainer.accelerator",
    "trainer.devices",
    "trainer.strategy",
    "trainer.threads",
    "trainer.progress",
)
_MODALITY_GROUPS = ("missing", "imputer")

CONDITION_KEYS = ("missing.", "imputer.")
"""Beginnings of the keys that say under which condition a run was made."""

NO_PROTOCOL = "eval.memory_mb"
"""The one `eval.` key that changes no number."""

_NO_HYPER_PARAMETER = (*CONDITION_KEYS, "dataset.", "data.")


def identity(cfg: DictConfig, data_digest: str, split_name: str, uses_modalities: bool) -> dict[str, Any]:
    """Flat, JSON-able mapping of everything that can change a number of this run; part of the record.

    Args:
        cfg: the composed configuration, with or without Hydra's own node.
        data_digest: digest of the dataset's content, the same wherever its files are.
        split_name: name of the dataset's split.
        uses_modalities: whether the method uses modality features; if not, missing setting and imputer are left out.
    """
    result = _flatten(own_values(cfg), _left_out(uses_modalities)) | contents(cfg)
    result |= {"data.digest": data_digest, "data.split": split_name, "results_version": RESULTS_VERSION}
    return result


def published_identity(cfg: DictConfig, data_digest: str, split_name: str, uses_modalities: bool) -> dict[str, Any]:
    """``identity`` as the record shows it: values of the environment are references, paths have no folders."""
    shown = _flatten(publishable(without_hydra(cfg)), _left_out(uses_modalities)) | contents(cfg)
    return {
        key: shown.get(key, value) for key, value in identity(cfg, data_digest, split_name, uses_modalities).items()
    }


def signature(cfg: DictConfig, data_digest: str, split_name: str, uses_modalities: bool) -> str:
    """16 hex digits of ``identity``: equal signatures mean the same numbers."""
    return _digest(identity(cfg, data_digest, split_name, uses_modalities))[:16]


def is_hyper_parameter(key: str) -> bool:
    """Whether a key of ``identity`` is a choice of the method: no missing setting, no data, no seed."""
    is_seed = key == "seed" or (key.startswith("model.") and key.endswith(".seed"))  # methods get the run's seed
    return not (is_seed or key == NO_PROTOCOL or key.startswith(_NO_HYPER_PARAMETER))


def configuration_digest(cfg: DictConfig) -> str:
    """16 hex digits of what the configuration alone adds to ``identity``: the same wherever the data lie, or lack."""
    flat = identity(cfg, "", "", uses_modalities(cfg))
    del flat["results_version"]
    return _digest(flat)[:16]


def config_hash(cfg: DictConfig, values: dict[str, Any] | None = None) -> str:
    """8 hex digits of the configuration alone, for folder names; needs no data. ``values`` are its ``own_values``.

    There is no data digest here, so ``dataset.folder`` counts, in one spelling of the path.
    """
    values = own_values(cfg) if values is None else values
    flat = _flatten(values, _left_out(uses_modalities(cfg)))
    with contextlib.suppress(ConfigError):  # the run itself says what is wrong with a file
        flat |= contents(cfg)
    return _digest(flat | {"dataset.folder": _place(values)})[:8]


def run_name(cfg: DictConfig, values: dict[str, Any] | None = None) -> str:
    """``<model>-<dataset>-<missing>-s<seed>-<config hash>`` from the choices that Hydra noted in ``cfg.hydra``.

    The missing setting is ``any`` for a method without modalities: it has one run for all settings.
    """
    choices = [str(cfg.hydra.runtime.choices.get(group)) for group in ("model", "dataset", "missing")]
    if not uses_modalities(cfg):
        choices[-1] = "any"
    return "-".join(
        [*(re.sub(r"[^\w.-]+", "_", choice) for choice in choices), f"s{cfg.seed}", config_hash(cfg, values)]
    )


def contents(cfg: DictConfig) -> dict[str, str]:
    """Key -> name and 16 hex digits of the SHA-256, of every file whose content is part of the method.

    Raises:
        ConfigError: a file cannot be read, or is not named.
    """
    method: Any = locate(cfg.model._target_, "model")
    values: Any = OmegaConf.to_container(cfg.model, resolve=True)
    found = {}
    for name, path in method.sources(values).items():
        try:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            raise ConfigError(f"model.{name}={path} cannot be read ({error.strerror or error}).") from error
        found[f"model.{name}"] = f"{path.name} {digest[:16]}"
    return found


def uses_modalities(cfg: DictConfig) -> bool:
    """Whether the method that ``cfg`` names uses modality features."""
    method: Any = locate(cfg.model._target_, "model")
    return bool(method.uses_modalities)


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """``key: was X, is Y`` for every key in which two identities differ, sorted by key."""
    absent = object()

    def show(value: Any) -> str:
        return "absent" if value is absent else json.dumps(value)

    pairs = ((key, old.get(key, absent), new.get(key, absent)) for key in sorted({*old, *new}))
    return [f"{key}: was {show(a)}, is {show(b)}" for key, a, b in pairs if a != b]


RUN_NAME = "${recmm.run_name:}"


def register_resolvers() -> None:
    """``RUN_NAME``, the name of a run's folder, and ``${recmm.path:...}``, a path without ``~``."""
    OmegaConf.register_new_resolver("recmm.run_name", lambda *, _root_: run_name(_root_), replace=True)
    OmegaConf.register_new_resolver("recmm.path", expand_home, replace=True)


def rounded(value: float) -> float:
    """The number of 12 significant digits: 0.1 + 0.2 is the level 0.3."""
    return float(f"{value:.12g}")


def _place(values: dict[str, Any]) -> str | None:
    """The folder of the data, spelled below the folder of all data or the working directory where it lies in them."""
    folder = values["dataset"].get("folder")
    if not isinstance(folder, str):
        return None
    place = os.path.realpath(expand_home(folder))
    for name, start in (("${paths.data}/", values["paths"]["data"]), ("", ".")):
        inner = os.path.relpath(place, os.path.realpath(expand_home(str(start))))
        if not inner.startswith(os.pardir):
            return name + Path(inner).as_posix()
    return Path(place).as_posix()


def _left_out(uses_modalities: bool) -> tuple[str, ...]:
    return _LEFT_OUT if uses_modalities else _LEFT_OUT + _MODALITY_GROUPS


def without_hydra(cfg: DictConfig) -> DictConfig:
    """A copy without Hydra's own node."""
    return OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "hydra"])


def own_values(cfg: DictConfig) -> dict[str, Any]:
    """The resolved content without Hydra's own node; ``???`` where a value is missing."""
    result: dict[str, Any] = {}
    for key in cfg:
        if key != "hydra":
            value = MISSING if OmegaConf.is_missing(cfg, key) else cfg[key]
            result[str(key)] = OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
    return result


def _flatten(value: Any, left_out: tuple[str, ...], prefix: str = "") -> dict[str, Any]:
    if prefix in left_out:
        return {}
    if isinstance(value, dict):
        result: dict[str, Any] = {}
        for key, inner in value.items():
            result |= _flatten(inner, left_out, f"{prefix}.{key}" if prefix else str(key))
        return result
    return {prefix: _plain(value)}


def _plain(value: Any) -> Any:
    """A JSON value; 1.0 becomes 1, and 0.1 + 0.2 becomes 0.3, so that both spellings have the same hash."""
    if isinstance(value, float):
        if not math.isfinite(value):
            return str(value)
        value = rounded(value)
        return int(value) if value.is_integer() else value
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    return value


def _digest(flat: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(flat, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
