"""Names that distinguish runs: the condition that a run was made under, and the variant of its method."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from recmm.experiment.config.identity import CONDITION_KEYS, is_hyper_parameter, rounded

ANY = "any"
"""`missing`, `imputer` and `condition` of methods that use no modality."""

_RATES_BY_PHASE = ("missing.train_rate", "missing.test_rate")

Record = dict[str, Any]
"""A run's `result.json`, or its identity: what its signature is made of."""


def uses_modalities(result: Record) -> bool:
    """Whether the run's method uses modalities. Where the record has no such entry, the identity tells by its masks."""
    inferred = any(key.startswith("missing.") for key in result["identity"])
    return bool(result.get("uses_modalities", inferred))


def rate_of(identity: Record) -> float | None:
    """The missing rate as one number: `missing.rate`, or the rate of training and test if both are equal; else None."""
    rate, by_phase = identity.get("missing.rate"), [identity.get(key) for key in _RATES_BY_PHASE]
    if rate is None and by_phase[0] == by_phase[1]:
        rate = by_phase[0]
    return None if rate is None else rounded(float(rate))


def _differing(identities: Iterable[Record]) -> list[str]:
    """The keys whose values differ or that some identities lack, sorted."""
    all_of_them = list(identities)
    keys = sorted({key for identity in all_of_them for key in identity})
    return [key for key in keys if len({json.dumps(each.get(key, ...), default=str) for each in all_of_them}) > 1]


def differing_within_models(identities: list[tuple[str, str, Record]]) -> list[str]:
    """The keys that differ among the runs of at least one model.

    Args:
        identities: model, dataset and identity of each run.
    """
    by_model = defaultdict(list)
    for model, _, identity in identities:
        by_model[model].append(identity)
    return sorted({key for group in by_model.values() for key in _differing(group)})


def hyper_parameters(identities: list[tuple[str, str, Record]]) -> dict[tuple[str, str], list[str]]:
    """(model, dataset) -> the keys in which the model's variants differ on this dataset.

    Args:
        identities: model, dataset and identity of each run.
    """
    groups = defaultdict(list)
    for model, dataset, identity in identities:
        groups[model, dataset].append(identity)
    return {group: list(filter(is_hyper_parameter, _differing(members))) for group, members in groups.items()}


def conditions(results: list[Record]) -> list[str]:
    """The name of each run's condition.

    It is the missing setting, followed by the parameters and the imputer that differ among the runs of this setting,
    and by the imputer's parameters that differ among the runs with this imputer.
    """
    parameters = [_condition_parameters(result) for result in results]
    of_settings, of_imputers = defaultdict(list), defaultdict(list)
    for result, (of_setting, of_imputer) in zip(results, parameters, strict=True):
        if uses_modalities(result):
            of_settings[result["missing"]].append(of_setting)
            of_imputers[result["missing"], result["imputer"]].append(of_imputer)
    return [
        label(
            result["missing"],
            _differing(of_settings[result["missing"]]) + _differing(of_imputers[result["missing"], result["imputer"]]),
            of_setting | of_imputer,
        )
        if uses_modalities(result)
        else ANY
        for result, (of_setting, of_imputer) in zip(results, parameters, strict=True)
    ]


def _condition_parameters(result: Record) -> tuple[Record, Record]:
    """Parameters of the missing setting (with the imputer's name), and parameters of the imputer."""
    of_setting, of_imputer = (
        {key: value for key, value in result["identity"].items() if key.startswith(prefix)} for prefix in CONDITION_KEYS
    )
    of_setting.pop("missing.seed", None)  # absent where the method uses no modality
    rates = [of_setting.get(key) for key in _RATES_BY_PHASE]
    if rates[0] is not None and rates[0] == rates[1]:
        of_setting = {k: v for k, v in of_setting.items() if k not in _RATES_BY_PHASE} | {"missing.rate": rates[0]}
    return of_setting | {"imputer": result["imputer"]}, of_imputer


def label(name: str, keys: list[str], values: Record) -> str:
    """``name (key=value, ...)``. A key is shortened to its last part unless two keys have the same last part."""
    endings = Counter(key.rpartition(".")[2] for key in keys)
    shown = {key: key if endings[short := key.rpartition(".")[2]] > 1 else short for key in keys}
    written = [f"{shown[key]}={_text(values[key])}" for key in keys if key in values]
    return f"{name} ({', '.join(written)})" if written else name


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
