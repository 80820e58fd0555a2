"""What a model's constructor gets as its first argument: MMRec's defaults, the model's YAML file, the overrides."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from recmm.errors import ConfigError

DEFAULTS: dict[str, Any] = {
    "end2end": False,
    "is_multimodal_model": True,
    "embedding_size": 64,
    "req_training": True,
    "train_batch_size": 2048,
    "eval_batch_size": 4096,
    "learner": "adam",
    "learning_rate": 1e-3,
    "learning_rate_scheduler": [1.0, 50],
    "weight_decay": 0.0,
    "use_neg_sampling": True,
    "use_full_sampling": False,
    "NEG_PREFIX": "neg__",
    "USER_ID_FIELD": "userID",
    "ITEM_ID_FIELD": "itemID",
    "metrics": ["Recall", "NDCG", "Precision", "MAP"],
    "topk": [5, 10, 20, 50],
    "valid_metric": "Recall@20",
    "valid_metric_bigger": True,
    "vision_feature_file": "image_feat.npy",
    "text_feature_file": "text_feat.npy",
    "audio_feature_file": "audio_feat.npy",
    "user_graph_dict_file": "user_graph_dict.npy",
}
_OF_THE_RUN = ("device", "gpu_id", "use_gpu", "seed", "data_path", "dataset", "model")
_FLOAT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+")  # YAML reads 1e-4 as text
_UNSUPPORTED = {
    "use_full_sampling": "batches of users without items",
    "use_neighborhood_loss": "batches with neighbours of the items",
    "mg": "mirror gradients",
    "clip_grad_norm": "clipping by the model's configuration (use trainer.gradient_clip_val)",
}


class Config(dict[str, Any]):
    """A dictionary in which a missing key is None: model files rely on it."""

    def __missing__(self, key: str) -> None:
        return None


def compose(file: Path | None, overrides: Mapping[str, Any]) -> Config:
    """The defaults, the keys of ``file``, a YAML file, and ``overrides``; the later ones win.

    Raises:
        ConfigError: the file is absent or no mapping, a key is the run's own, a name in ``hyper_parameters`` has
            several values, or what is asked for is not supported.
    """
    for key in overrides:
        if key in _OF_THE_RUN:
            raise ConfigError(f"model.overrides.{key}: the run itself sets {key}; take it out.")
    values = Config(DEFAULTS | _read(file) | dict(overrides))
    for key in values["hyper_parameters"] or ():
        value = values[key]
        if not isinstance(value, list) or key == "seed":
            continue
        if len(value) != 1:
            raise ConfigError(
                f"model.config: {key} lists {len(value)} values to search, but a run has one: give it with "
                f"+model.overrides.{key}={value[0] if value else '...'}, or several with -m."
            )
        values[key] = value[0]
    for key, what in _UNSUPPORTED.items():
        if values[key]:
            raise ConfigError(f"model.config: {key}={values[key]} is not supported: the adapter has no {what}.")
    if str(values["learner"]).lower() != "adam":
        raise ConfigError(f"model.config: learner={values['learner']} is not supported: the adapter trains with adam.")
    return values


def _read(file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(getattr(error, "problem", None) or getattr(error, "strerror", None) or error).split())
        raise ConfigError(f"model.config={file} cannot be read as YAML ({reason}).") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"model.config={file} holds no keys with values.")
    return {str(key): _plain(value) for key, value in content.items() if key not in _OF_THE_RUN}


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    return float(value) if isinstance(value, str) and _FLOAT.fullmatch(value) else value
