"""What makes a run different from another: the signature that its record carries and its folder's name."""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from typing import Any

from hydra.utils import get_class
from omegaconf import DictConfig, OmegaConf

from recmm import RESULTS_VERSION

# Paths, logging, hardware, progress and the handling of the record change no number.
_LEFT_OUT = (
    "paths",
    "logger",
    "sweep",
    "ckpt",
    "overwrite",
    "settings_source",
    "dataset.folder",
    "dataset.download",
    "missing.paper_imputer",  # what it chose stands in imputer
    "trainer.accelerator",
    "trainer.devices",
    "trainer.strategy",
    "trainer.threads",
    "trainer.progress",
)
_MODALITY_GROUPS = ("missing", "imputer")


def identity(cfg: DictConfig, data_digest: str, split_name: str, uses_modalities: bool) -> dict[str, Any]:
    """Flat, JSON-able mapping of all that can change a number of this run; the record keeps it.

    Args:
        cfg: the composed configuration, with or without Hydra's own node.
        data_digest: digest of the dataset, which stands for its files wherever they lie.
        split_name: name of the dataset's split.
        uses_modalities: of the method; False leaves out the missing setting and the imputer.
    """
    result = _flatten(_resolved(cfg), _left_out(uses_modalities))
    result |= {"data.digest": data_digest, "data.split": split_name, "results_version": RESULTS_VERSION}
    return result


def signature(cfg: DictConfig, data_digest: str, split_name: str, uses_modalities: bool) -> str:
    """16 hex digits of ``identity``: equal signatures mean the same numbers."""
    return _digest(identity(cfg, data_digest, split_name, uses_modalities))[:16]


def config_hash(cfg: DictConfig) -> str:
    """8 hex digits of the configuration alone, known before any data is read; for folder names.

    As no data digest tells two folders of data apart here, the folder counts as it is written in the configuration.
    """
    flat = _flatten(_resolved(cfg), _left_out(uses_modalities(cfg)))
    written: Any = OmegaConf.to_container(cfg.dataset, resolve=False)
    return _digest(flat | {"dataset.folder": written.get("folder")})[:8]


def run_name(cfg: DictConfig) -> str:
    """``<model>-<dataset>-<missing>-s<seed>-<config hash>`` from the choices that Hydra noted in ``cfg.hydra``.

    ``any`` stands for the missing setting of a method that looks at no modality: one run serves under all of them.
    """
    choices = [str(cfg.hydra.runtime.choices.get(group)) for group in ("model", "dataset", "missing")]
    if not uses_modalities(cfg):
        choices[-1] = "any"
    return "-".join([*(re.sub(r"[^\w.-]+", "_", choice) for choice in choices), f"s{cfg.seed}", config_hash(cfg)])


def uses_modalities(cfg: DictConfig) -> bool:
    """Whether the method that ``cfg`` names looks at any modality."""
    method: Any = get_class(cfg.model._target_)
    return bool(method.uses_modalities)


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """One ``key: was X, is Y`` for every key in which two identities differ, sorted by key."""
    absent = object()

    def show(value: Any) -> str:
        return "absent" if value is absent else json.dumps(value)

    pairs = ((key, old.get(key, absent), new.get(key, absent)) for key in sorted({*old, *new}))
    return [f"{key}: was {show(a)}, is {show(b)}" for key, a, b in pairs if a != b]


def register_resolvers() -> None:
    """``${recmm.run_name:}``, the name of a run's folder, for ``conf/train.yaml``."""
    OmegaConf.register_new_resolver("recmm.run_name", lambda *, _root_: run_name(_root_), replace=True)


def _left_out(uses_modalities: bool) -> tuple[str, ...]:
    return _LEFT_OUT if uses_modalities else _LEFT_OUT + _MODALITY_GROUPS


def without_hydra(cfg: DictConfig) -> DictConfig:
    """A copy without Hydra's own node, whose folder names depend on the rest."""
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
    """A JSON value; 1.0 and 1 are the same number, and so have the same hash."""
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
