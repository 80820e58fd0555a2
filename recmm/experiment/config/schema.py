"""The types of the configuration's plain keys. Hydra refuses unknown keys and wrong types, in YAML files too.

The values are in ``conf/``. Groups that name a class (``_target_``) are open mappings here; `constructors.py` checks
them against the constructor of that class.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from hydra.core.config_store import ConfigStore

SCHEMA_NAME = "recmm_schema"


def _one_of(*choices: str | None) -> Any:
    return field(metadata={"choices": choices})


def _at_least(minimum: float) -> Any:
    return field(metadata={"minimum": minimum})


@dataclass(kw_only=True)
class EvalConfig:
    """Which items are candidates, and the memory of the ranking."""

    candidates: Any = field(metadata={"choices": ("all", "warm", "cold"), "or_several": True})
    mask_validation_at_test: bool
    memory_mb: int = _at_least(1)
    val_users: int | None = _at_least(1)


@dataclass(kw_only=True)
class TrainerConfig:
    """Arguments of the Lightning trainer."""

    max_epochs: int = _at_least(1)
    accelerator: str
    devices: Any = field(metadata={"annotation": int | str | list[int]})
    strategy: str
    precision: str = _one_of("32-true")
    gradient_clip_val: float | None
    check_val_every_n_epoch: int = _at_least(1)
    limit_train_batches: int | None = _at_least(1)
    threads: Any = field(metadata={"annotation": int | Literal["auto"] | None, "minimum": 1})
    progress: bool


@dataclass(kw_only=True)
class PathsConfig:
    """The folders of the data and of the records."""

    data: str
    output: str


@dataclass(kw_only=True)
class SweepConfig:
    """How a sweep is named and how it treats failed jobs."""

    name: str | None
    on_error: str = _one_of("continue", "stop")
    retry_failed: bool
    trial: int | None = _at_least(0)


@dataclass(kw_only=True)
class RunConfig:
    """The configuration of one run."""

    model: dict[str, Any]
    dataset: dict[str, Any]
    missing: dict[str, Any]
    imputer: dict[str, Any]
    eval: EvalConfig
    trainer: TrainerConfig
    paths: PathsConfig
    sweep: SweepConfig
    seed: int = _at_least(0)
    ckpt: str = _one_of("auto", "last", "never")
    overwrite: bool
    settings_source: str = _one_of("default", "published", "validation")
    callbacks: dict[str, Any] = field(default_factory=dict)
    logger: dict[str, Any] = field(default_factory=dict)


def register_schema() -> None:
    """Register the root schema, which the defaults list of ``conf/train.yaml`` names."""
    ConfigStore.instance().store(name=SCHEMA_NAME, node=RunConfig, provider="recmm")
