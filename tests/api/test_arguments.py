"""Python values reach the configuration as they are."""

from typing import Any

import numpy as np
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from recmm.api.arguments import arguments_of


@pytest.mark.parametrize(
    "value",
    [1, -2.5, 1e-07, True, None, "plain", "a b", "it's", "back\\", "a\\'b", "null", "True", "1", "", "a,b", [1, "x y"]],
)
def test_values_pass_through_hydras_grammar(value: Any) -> None:
    [text] = arguments_of({"a": {"b": value}})
    override = OverridesParser.create().parse_override(text)
    assert override.key_or_group == "a.b"
    found = override.value()
    assert (
        [getattr(entry, "text", entry) for entry in found] == value
        if isinstance(value, list)
        else (getattr(found, "text", found) == value)
    )


def test_numbers_of_numpy_are_numbers() -> None:
    assert list(arguments_of({"a": np.float32(0.5), "b": np.arange(2)})) == ["a=0.5", "b=[0,1]"]
