"""Optimiser and batches of a model file: recmm's own keys, or else those of the model's configuration."""

from collections.abc import Mapping
from typing import Any

from recmm.errors import ConfigError
from recmm.models.training import Training
from recmm.settings import hp

_KEYS = {"lr": "learning_rate", "weight_decay": "weight_decay", "batch_size": "train_batch_size"}


class MMRecTraining(Training):
    """Optimiser, batches and random streams; null: as ``model.config`` says, or else MMRec's default."""

    lr: float | None = hp(None, "learning rate; null: learning_rate of model.config, else 1e-3", gt=0)  # type: ignore[assignment]
    weight_decay: float | None = hp(  # type: ignore[assignment]
        None, "on all parameters; null: weight_decay of model.config, else 0", ge=0
    )
    batch_size: int | None = hp(  # type: ignore[assignment]
        None, "training pairs in a batch; null: train_batch_size of model.config, else 2048", ge=1
    )
    lr_decay: float | None = hp(  # type: ignore[assignment]
        None,
        "factor on all learning rates per 50 epochs, applied every epoch; null: learning_rate_scheduler of "
        "model.config, else 1",
        gt=0,
        le=1,
    )


def resolved(given: MMRecTraining, config: Mapping[str, Any]) -> Training:
    """The values of ``given``, and where they are null those of a model's configuration.

    Raises:
        ConfigError: a value of the configuration is not valid.
    """
    values = {name: getattr(given, name) for name in ("optimizer", "pairs", "seed")}
    for name, key in _KEYS.items():
        value = getattr(given, name)
        values[name] = _number(config, key, int if name == "batch_size" else float) if value is None else value
    values["lr_decay"] = _decay_of(config) if given.lr_decay is None else given.lr_decay
    return Training(**values)


def _number(config: Mapping[str, Any], key: str, kind: type) -> Any:
    try:
        return kind(config[key])
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"model.config: {key} is {config[key]!r}, but a single number is needed; "
            f"give one with +model.overrides.{key}=..."
        ) from error


def _decay_of(config: Mapping[str, Any]) -> float:
    """[a, b], a factor a^(epoch / b), as a factor per 50 epochs."""
    try:
        base, epochs = config["learning_rate_scheduler"]
        return float(base) ** (50 / float(epochs))
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise ConfigError(
            "model.config: learning_rate_scheduler has to be two numbers [a, b], for a factor a^(epoch / b) on the "
            f"learning rate; got {config['learning_rate_scheduler']!r}."
        ) from error
