"""The home folder written as ``~``, wherever a path may stand."""

import os
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from recmm.errors import ConfigError
from recmm.experiment.config.folder import config_folder
from recmm.experiment.config.home import expand_in_override
from recmm.experiment.config.jobs import check_arguments


@pytest.fixture(params=["plain", "with a blank, (and a comma)"])
def home(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("HOME", str(tmp_path / request.param))
    return str(tmp_path / request.param)


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("paths.output=~/x", "{home}/x"),
        ("paths.output='~/x y'", "{home}/x y"),
        ('paths.output="~/x"', "{home}/x"),
        ("paths.output=~", "{home}"),
        ("a=[~/b,c,'~/d']", ["{home}/b", "c", "{home}/d"]),
        ("+a={b:~/c}", {"b": "{home}/c"}),
        ("a=x~", None),
        ("~group", None),
    ],
)
def test_values_that_begin_with_it_are_expanded(home: str, override: str, value: object) -> None:
    if value is None:
        assert expand_in_override(override) == override
        return

    def filled(inner: object) -> object:
        if isinstance(inner, dict):
            return {key: filled(entry) for key, entry in inner.items()}
        return [filled(entry) for entry in inner] if isinstance(inner, list) else str(inner).replace("{home}", home)

    assert OverridesParser.create().parse_override(expand_in_override(override)).value() == filled(value)


def test_paths_of_a_configuration_are_expanded(home: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECMM_DATA", "~/data")
    (cfg,) = check_arguments(["model=popularity", "dataset=canonical", "paths.output=~/out"], config_folder())
    assert cfg.paths.data == os.path.join(home, "data") and cfg.dataset.folder == os.path.join(
        home, "data", "canonical"
    )
    assert cfg.paths.output == os.path.join(home, "out")
    (cfg,) = check_arguments(["hydra.run.dir=~/here", "dataset=canonical", "dataset.folder='~/a'"], config_folder())
    assert cfg.hydra.run.dir == os.path.join(home, "here") and cfg.dataset.folder == os.path.join(home, "a")


@pytest.mark.parametrize("unread", [";", "&", "#", "~", "ü"])
def test_what_cannot_be_read_is_named(unread: str) -> None:
    with pytest.raises(ConfigError, match=rf"holds the character {unread}, which needs quotation marks"):
        check_arguments([f"paths.output=x{unread}y"], config_folder())
