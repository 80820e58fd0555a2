"""What holds for the settings of every component."""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

import pytest
from pydantic import Field

from recmm.errors import ConfigError
from recmm.models import MGCN, Training
from recmm.settings import ComponentSettings, hp


class Toy(ComponentSettings):
    key: ClassVar[str] = "toy"

    widths: Sequence[Annotated[int, Field(ge=1)]] = hp([1], "widths")
    shape: tuple[int, ...] = hp((1, 2), "shape")
    scale: float | None = hp(None, "scale")


def test_a_mapping_changes_what_it_names_and_an_instance_replaces_all() -> None:
    assert MGCN.Settings(training={"lr": 0.01}).training == Training(lr=0.01, lr_decay=0.96)
    assert MGCN.Settings(training=Training(lr=0.01)).training == Training(lr=0.01)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"widths": 3}, "toy.widths: 3 is not valid, expected Sequence[int] ("),
        ({"shape": "a"}, 'toy.shape: "a" is not valid, expected tuple[int, ...] ('),
        ({"scale": "a"}, 'toy.scale: "a" is not valid, expected float | None ('),
    ],
)
def test_the_sentence_names_the_type_without_its_bounds(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        Toy(**values)
    assert str(error.value).startswith(message)
