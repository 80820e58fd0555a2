"""A method's YAML and its constructor give the same hyper-parameters."""

import inspect
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from recmm import models

CONF = Path(__file__).resolve().parents[2] / "conf" / "model"


@pytest.mark.parametrize(("file", "kind"), [("vbpr", models.VBPR), ("bm3", models.BM3), ("invpref", models.InvPref)])
def test_the_yaml_has_every_keyword_with_its_default(file: str, kind: type) -> None:
    keywords = inspect.signature(kind).parameters
    written: Any = OmegaConf.to_container(OmegaConf.load(CONF / f"{file}.yaml"), resolve=False)
    assert written.pop("_target_") == f"recmm.models.{kind.__name__}"
    assert written.pop("training")["_target_"] == "recmm.models.Training"
    assert written == {name: keywords[name].default for name in keywords if name not in ("catalog", "training")}
