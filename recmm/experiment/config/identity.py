"""What identifies a run: the signature in its record and the name of its folder."""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from typing import Any

from hydra.utils import get_class
from omegaconf import DictConfig, OmegaConf

from recmm import RESULTS_VERSION
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


def identity(cfg: DictConfig, data_digest: str, split_name: str, uses_modalities: bool) -> dict[str, Any]:
    """Flat, JSON-able mapping of everything that can change a number of this run; part of the record.

    Args:
        cfg: the composed configuration, with or without Hydra's own node.
        data_digest: digest of the dataset's content, the same wherever its files are.
        split_name: name of the dataset's split.
        uses_modalities: whether the method uses modality features; if not, missing setting and imputer are left out.
    """
    result = _flatten(_resolved(cfg), _left_out(uses_modalities))
    result |= {"data.digest": data_digest, "data.split": split_name, "results_version": RESULTS_VERSION}
    return result


def published_identity(cfg: DictConfig, data_digest: str, split_name: str, uses_modalities: bool) -> dict[str, Any]:
    """``identity`` as the record shows it: values of the environment are references, paths have no folders."""
    shown = _flatten(publishable(without_hydra(cfg)), _left_out(uses_modalities))
    return {
        key: shown.get(key, value) for key, value in identity(cfg, data_digest, split_name, uses_modalities).items()
    }


def signature(cfg: DictConfig, data_digest: str, split_name: str, uses_modalities: bool) -> str:
    """16 hex digits of ``identity``: equal signatures mean the same numbers."""
    return _digest(identity(cfg, data_digest, split_name, uses_modalities))[:16]


def config_hash(cfg: DictConfig) -> str:
    """8 hex digits of the configuration alone, for folder names; needs no data.

    There is no data digest here, so ``dataset.folder`` counts, as it is written in the configuration.
    """
    flat = _flatten(_resolved(cfg), _left_out(uses_modalities(cfg)))
    written: Any = OmegaConf.to_container(cfg.dataset, resolve=False)
    return _digest(flat | {"dataset.folder": written.get("folder")})[:8]


def run_name(cfg: DictConfig) -> str:
    """``<model>-<dataset>-<missing>-s<seed>-<config hash>`` from the choices that Hydra noted in ``cfg.hydra``.

    The missing setting is ``any`` for a method without modalities: it has one run for all settings.
    """
    choices = [str(cfg.hydra.runtime.choices.get(group)) for group in ("model", "dataset", "missing")]
    if not uses_modalities(cfg):
        choices[-1] = "any"
    return "-".join([*(re.sub(r"[^\w.-]+", "_", choice) for choice in choices), f"s{cfg.seed}", config_hash(cfg)])


def uses_modalities(cfg: DictConfig) -> bool:
    """Whether the method that ``cfg`` names uses modality features."""
    method: Any = get_class(cfg.model._target_)
    return bool(method.uses_modalities)


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """``key: was X, is Y`` for every key in which two identities differ, sorted by key."""
    absent = object()

    def show(value: Any) -> str:
        return "absent" if value is absent else json.dumps(value)

    pairs = ((key, old.get(key, absent), new.get(key, absent)) for key in sorted({*old, *new}))
    return [f"{key}: was {show(a)}, is {show(b)}" for key, a, b in pairs if a != b]


def register_resolvers() -> None:
    """``${recmm.run_name:}``, the name of a run's folder, and ``${recmm.path:...}``, a path without ``~``."""
    OmegaConf.register_new_resolver("recmm.run_name", lambda *, _root_: run_name(_root_), replace=True)
    OmegaConf.register_new_resolver("recmm.path", expand_home, replace=True)


def _left_out(uses_modalities: bool) -> tuple[str, ...]:
    return _LEFT_OUT if uses_modalities else _LEFT_OUT + _MODALITY_GROUPS


def without_hydra(cfg: DictConfig) -> DictConfig:
    """A copy without Hydra's own node."""
    return OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "hydra"])


def _resolved(cfg: DictConfig) -> dict[str, Any]:
    return OmegaConf.to_container(without_hydra(cfg), resolve=True)  # type: ignore[return-value]


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
    """A JSON value; 1.0 becomes 1, so that both have the same hash."""
    if isinstance(value, float):
        if not math.isfinite(value):
            return str(value)
        return int(value) if value.is_integer() else value
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    return value


def _digest(flat: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(flat, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
