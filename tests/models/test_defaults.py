"""A method's YAML and its constructor give the same hyper-parameters."""

import inspect
from pathlib import Path
from typing import Any

import pytest
from hydra.utils import get_class, instantiate
from omegaconf import OmegaConf

CONF = Path(__file__).resolve().parents[2] / "conf" / "model"


PROFILES = [path for path in sorted(CONF.glob("*.yaml")) if "_target_" in OmegaConf.load(path)]


@pytest.mark.parametrize("profile", PROFILES, ids=lambda path: path.stem)
def test_the_yaml_has_every_keyword_with_its_default(profile: Path) -> None:
    written: Any = OmegaConf.to_container(OmegaConf.load(profile), resolve=False)
    kind = get_class(written.pop("_target_"))
    keywords = inspect.signature(kind).parameters
    written.pop("training", None)  # with values of the method's own
    given = {key: instantiate(value) if isinstance(value, dict) else value for key, value in written.items()}
    assert given == {name: keywords[name].default for name in keywords if name not in ("catalog", "training")}
