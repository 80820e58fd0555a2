"""The file of a league: what it may hold, and what is refused in a sentence."""

from collections.abc import Callable
from pathlib import Path

import pytest

from recmm.errors import ConfigError
from recmm.experiment.config.folder import config_folder
from recmm.league.league import read_league

LEAGUES = sorted(path.stem for path in (config_folder() / "league").glob("*.yaml"))


@pytest.mark.parametrize("name", LEAGUES)
def test_a_shipped_league_names_methods_that_exist_within_its_budget(name: str) -> None:
    league = read_league(name)
    assert league.name == name and league.seeds == [0, 1, 2]
    assert all((config_folder() / "model" / f"{model}.yaml").is_file() for model in league.methods)
    assert {"popularity", "lightgcn", "i3mrec", "ci2mg"} <= set(league.methods)


def test_a_league_takes_over_what_it_does_not_replace() -> None:
    first, other = read_league("default"), read_league("lfm2k")
    assert other.methods == first.methods and other.settings == first.settings
    assert list(other.datasets) == ["lfm2k"] and list(first.datasets) == ["tiktok_va"]


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"colour": 1}, "takes no keyword 'colour'"),
        ({"seeds": []}, "seeds"),
        ({"methods": {"mgcn": {"seconds": -1}}}, "seconds must be positive"),
        ({"methods": {"mgcn": {"second": 1}}}, "second"),
        ({"trials": 0}, "trials must be at least 1"),
    ],
)
def test_a_wrong_key_is_named(league_file: Callable[..., str], keys: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        read_league(league_file(**keys))


def test_an_unknown_league_or_another_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'default'"):
        read_league("defalt")
    (tmp_path / "list.yaml").write_text("[1]")
    with pytest.raises(ConfigError, match="has to hold a mapping"):
        read_league(str(tmp_path / "list.yaml"))
    (tmp_path / "torn.yaml").write_text("a: [")
    with pytest.raises(ConfigError, match="no readable YAML"):
        read_league(str(tmp_path / "torn.yaml"))
