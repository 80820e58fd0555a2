"""A hyper-parameter is written once: the YAML files and the constructors give the same values, bounds and meaning."""

from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest
from hydra.utils import get_class
from omegaconf import OmegaConf
from pydantic.fields import FieldInfo

from recmm.errors import ConfigError
from recmm.experiment.config.check import check_arguments
from recmm.experiment.config.constructors import check_node
from recmm.experiment.config.folder import config_folder
from recmm.experiment.config.generate import generated
from recmm.models.training import Training
from recmm.settings import ComponentSettings, bounds_of, choices_of, nested_settings

CONF = config_folder()
BASES = sorted(Path(name).stem for name in generated() if name.startswith("model/"))


@cache
def composed(name: str) -> dict[str, Any]:
    """The composed and checked configuration of a method; composing is slow."""
    (cfg,) = check_arguments([f"model={name}", "settings=null", "model.training.lr_decay=0.5"], CONF)
    return OmegaConf.to_container(cfg.model, resolve=True)


def settings_class(name: str) -> type[ComponentSettings]:
    method: Any = get_class(str(OmegaConf.load(CONF / "model" / f"{name}.yaml")._target_))
    return method.Settings


def fields_of(settings: type[ComponentSettings], prefix: str = "model") -> dict[str, FieldInfo]:
    """Dotted key -> field, those of nested groups too."""
    result: dict[str, FieldInfo] = {}
    for name, field in settings.model_fields.items():
        group = nested_settings(field)
        result |= {f"{prefix}.{name}": field} if group is None else fields_of(group, f"{prefix}.{name}")
    return result


FIELDS = [(name, key, field) for name in BASES for key, field in fields_of(settings_class(name)).items()]


@pytest.mark.parametrize(("file", "text"), generated().items(), ids=lambda value: value if len(value) < 99 else "")
def test_a_generated_file_is_fresh(file: str, text: str) -> None:
    assert (CONF / file).read_text(encoding="utf-8") == text, "run `make configs`"


@pytest.mark.parametrize("name", BASES)
def test_the_constructor_has_the_defaults_of_the_yaml(name: str) -> None:
    settings = settings_class(name)

    def without_targets(node: dict[str, Any]) -> dict[str, Any]:
        kept = {key: value for key, value in node.items() if key != "_target_"}
        return {key: without_targets(value) if isinstance(value, dict) else value for key, value in kept.items()}

    defaults = settings().model_dump()
    defaults["training"]["lr_decay"] = 0.5  # composed without `+`, as every method has it in its YAML
    assert without_targets(composed(name)) == defaults


@pytest.mark.parametrize(("name", "key", "field"), FIELDS, ids=lambda value: value if isinstance(value, str) else "")
def test_every_hyper_parameter_is_described_with_all_its_choices(name: str, key: str, field: FieldInfo) -> None:
    assert field.description
    absent = [choice for choice in choices_of(field.annotation) if str(choice) not in field.description]
    assert not absent, f"the description of {key} says nothing about {absent}"


@pytest.mark.parametrize("name", BASES)
def test_bounds_hold_from_python_and_from_the_configuration(name: str) -> None:
    beyond = {"ge": -1, "gt": 0, "le": 1, "lt": 0}  # added to a bound, a value that is just out
    for key, field in fields_of(settings_class(name)).items():
        for kind, bound in bounds_of(field).items():
            is_integer = int in (field.annotation, *get_args(field.annotation))
            value = int(bound + beyond[kind]) if is_integer else float(bound + beyond[kind])
            group, _, leaf = key.removeprefix("model.").rpartition(".")
            with pytest.raises(ConfigError) as from_python:
                settings_class(name)(**({group: {leaf: value}} if group else {leaf: value}))
            node = deepcopy(composed(name))
            (node[group] if group else node)[leaf] = value
            with pytest.raises(ConfigError) as from_configuration:
                check_node(node, "model")
            assert str(from_python.value) == str(from_configuration.value)
            assert str(from_python.value).startswith(f"{key} must be ")


def test_bounds_hold_on_the_command_line() -> None:
    with pytest.raises(ConfigError, match=r"model\.k must be at least 1; got 0\."):
        check_arguments(["model=mgcn", "model.k=0"], CONF)
    with pytest.raises(ConfigError, match=r"model\.training\.lr must be positive; got 0"):
        check_arguments(["model=mgcn", "model.training.lr=0"], CONF)


def test_a_mapping_changes_what_it_names_and_an_instance_replaces_all() -> None:
    mgcn = settings_class("mgcn")
    assert mgcn(training={"lr": 0.01}).training == Training(lr=0.01, lr_decay=0.96)
    assert mgcn(training=Training(lr=0.01)).training == Training(lr=0.01)
