"""What a league is: datasets, missing settings, methods with their trials, seeds, budget; `conf/league/NAME.yaml`."""

from pathlib import Path
from typing import Any, ClassVar

import yaml
from pydantic import Field

from recmm.errors import ConfigError
from recmm.experiment.config.folder import config_folder
from recmm.settings import ComponentSettings, hp, suggestion

_EXTENDS = "extends"


class Method(ComponentSettings):
    """One method of the league."""

    key: ClassVar[str] = "methods"

    seconds: float = hp(60.0, "CPU seconds of one run, a guess until one is measured", gt=0)
    trials: str | list[str] = hp("", "arguments with their values, all combinations; several such lines are joined")

    @property
    def lines(self) -> list[str]:
        return [self.trials] if isinstance(self.trials, str) else self.trials


class League(ComponentSettings):
    """The content of a league's file; `conf/league/default.yaml` explains the keys.

    Attributes:
        name: of the file, without its suffix.
    """

    key: ClassVar[str] = "league"

    name: str
    experiment: str = hp("league", "conf/experiment/: what all runs share")
    arguments: str = hp("", "more arguments that all runs share")
    datasets: dict[str, str] = Field(min_length=1)
    settings: dict[str, str] = Field(min_length=1)
    seeds: list[int] = Field([0, 1, 2], min_length=1)
    mask_seeds: list[int] = Field([0], min_length=1)
    trials: int = hp(4, "trials of a method under one setting", ge=1)
    cpu_seconds: float = hp(600.0, "or more trials that are estimated to take no longer than this together", ge=0)
    scale: float = hp(1.0, "of the methods' seconds on these datasets", gt=0)
    methods: dict[str, Method] = Field(min_length=1)


def read_league(name: str) -> League:
    """The league of `conf/league/<name>.yaml`, or of a file whose path ends in `.yaml`.

    A file that names another one with `extends` has its keys, except those that it holds itself.

    Raises:
        ConfigError: there is no such file, or a key or value in it is wrong.
    """
    path, content = _content(name)
    return League(name=path.stem, **content)


def _content(name: str) -> tuple[Path, dict[str, Any]]:
    folder = config_folder() / "league"
    path = Path(name) if name.endswith(".yaml") else folder / f"{name}.yaml"
    if not path.is_file():
        raise ConfigError(f"There is no league {name}{suggestion(name, (file.stem for file in folder.glob('*.yaml')))}")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is no readable YAML file ({error}).") from error
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise ConfigError(f"{path} has to hold a mapping such as that of conf/league/default.yaml.")
    base = content.pop(_EXTENDS, None)
    return path, (_content(str(base))[1] if base else {}) | content
