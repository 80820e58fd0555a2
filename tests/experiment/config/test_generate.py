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
from recmm.experiment.config.constructors import check_node
from recmm.experiment.config.folder import config_folder
from recmm.experiment.config.generate import generated, main
from recmm.experiment.config.jobs import check_arguments
from recmm.settings import ComponentSettings, bounds_of, choices_of, nested_settings, settings_of

CONF = config_folder()
BASES = sorted(name.removesuffix(".yaml") for name in generated())
"""Every generated file as "group/name", such as model/mgcn."""


@cache
def composed(name: str) -> dict[str, Any]:
    """The composed and checked node of a component; composing is slow. A method's lr_decay is changed without `+`."""
    group, choice = name.split("/")
    more = ["model.training.lr_decay=0.5"] if group == "model" else ["model=mgcn"]
    (cfg,) = check_arguments([*more, f"{group}={choice}", "settings=null"], CONF)
    node: dict[str, Any] = OmegaConf.to_container(cfg[group], resolve=True)
    return node


def settings_class(name: str) -> type[ComponentSettings]:
    settings = settings_of(get_class(str(OmegaConf.load(CONF / f"{name}.yaml")._target_)))
    assert settings is not None
    return settings


def fields_of(settings: type[ComponentSettings], prefix: str) -> dict[str, FieldInfo]:
    """Dotted key -> field, those of nested groups too."""
    result: dict[str, FieldInfo] = {}
    for name, field in settings.model_fields.items():
        group = nested_settings(field)
        result |= {f"{prefix}.{name}": field} if group is None else fields_of(group, f"{prefix}.{name}")
    return result


FIELDS = [
    (name, key, field)
    for name in BASES
    for key, field in fields_of(settings_class(name), name.partition("/")[0]).items()
]


def test_every_group_of_components_is_generated() -> None:
    assert {name.partition("/")[0] for name in BASES} == {"model", "imputer", "missing"}


@pytest.mark.parametrize(("file", "text"), generated().items(), ids=lambda value: value if len(value) < 99 else "")
def test_a_generated_file_is_fresh(file: str, text: str) -> None:
    assert (CONF / file).read_text(encoding="utf-8") == text, "run `make configs`"


def test_main_writes_what_is_absent_or_stale_and_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("recmm.experiment.config.generate.config_folder", lambda: tmp_path)
    for name in BASES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
    main()
    assert capsys.readouterr().out.split() == [f"conf/{name}" for name in generated()]
    (tmp_path / "imputer" / "heat.yaml").write_text("t: 4.0\n", encoding="utf-8")
    main()
    assert capsys.readouterr().out.split() == ["conf/imputer/heat.yaml"]
    assert (tmp_path / "imputer" / "heat.yaml").read_text(encoding="utf-8") == generated()["imputer/heat.yaml"]


@pytest.mark.parametrize("name", BASES)
def test_the_constructor_has_the_defaults_of_the_yaml(name: str) -> None:
    def without_targets(node: dict[str, Any]) -> dict[str, Any]:
        kept = {key: value for key, value in node.items() if key != "_target_"}
        return {key: without_targets(value) if isinstance(value, dict) else value for key, value in kept.items()}

    defaults = settings_class(name)().model_dump(mode="json")
    if "training" in defaults:
        defaults["training"]["lr_decay"] = 0.5
    assert without_targets(composed(name)) == defaults


@pytest.mark.parametrize(("name", "key", "field"), FIELDS, ids=lambda value: value if isinstance(value, str) else "")
def test_every_hyper_parameter_is_described_with_all_its_choices(name: str, key: str, field: FieldInfo) -> None:
    assert field.description
    absent = [choice for choice in choices_of(field.annotation) if str(choice) not in field.description]
    assert not absent, f"the description of {key} says nothing about {absent}"


@pytest.mark.parametrize("name", BASES)
def test_bounds_hold_from_python_and_from_the_configuration(name: str) -> None:
    beyond = {"ge": -1, "gt": 0, "le": 1, "lt": 0}  # added to a bound, a value that is just out
    node_key, settings = name.partition("/")[0], settings_class(name)
    for key, field in fields_of(settings, node_key).items():
        for kind, bound in bounds_of(field).items():
            is_integer = int in (field.annotation, *get_args(field.annotation))
            value = int(bound + beyond[kind]) if is_integer else float(bound + beyond[kind])
            group, _, leaf = key.removeprefix(f"{node_key}.").rpartition(".")
            with pytest.raises(ConfigError) as from_python:
                settings(**({group: {leaf: value}} if group else {leaf: value}))
            node = deepcopy(composed(name))
            (node[group] if group else node)[leaf] = value
            with pytest.raises(ConfigError) as from_configuration:
                check_node(node, node_key)
            assert str(from_python.value) == str(from_configuration.value)
            assert str(from_python.value).startswith(f"{key} must be ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["model=mgcn", "model.k=0"], r"model\.k must be at least 1; got 0\."),
        (["model=mgcn", "model.training.lr=0"], r"model\.training\.lr must be positive; got 0"),
        (["missing=rate", "missing.rate=1.5"], r"missing\.rate must be in \[0, 1\]; got 1\.5\."),
        (["missing=mtmt_code", "missing.pattern=two"], r"missing\.pattern must be one of one_or_two, exactly_one; got"),
        (["imputer=ppr", "imputer.alpha=0"], r"imputer\.alpha must be in \(0, 1\]; got 0"),
        (["imputer=knn", "+imputer.n=3"], r"imputer\.n: Knn takes no keyword 'n'\. Valid: k\."),
    ],
)
def test_bounds_hold_on_the_command_line(arguments: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_arguments(arguments, CONF)
