"""What holds for the settings of every component, and what their errors say."""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

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


class Plan(ComponentSettings):
    key: ClassVar[str] = "model.plan"

    refresh: Literal["epoch", "step"] | Annotated[int, Field(ge=1)] = hp("epoch", "when")
    share: Literal["all"] | Annotated[float, Field(gt=0, le=1)] | None = hp(None, "how much")
    start: Literal["zero", "given"] | None = hp(None, "where")
    modalities: Literal["all"] | list[str] = hp("all", "which")


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


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("refresh", 0, "epoch, step, or an integer that is at least 1; got 0."),
        ("refresh", "never", "epoch, step, or an integer that is at least 1; got 'never'."),
        ("refresh", True, "epoch, step, or an integer that is at least 1; got True."),
        ("share", 1.5, "all, null, or a number that is in (0, 1]; got 1.5."),
        ("start", "one", "zero, given, null; got 'one'."),
        ("modalities", 3, "all, or list[str]; got 3."),
    ],
)
def test_a_choice_among_words_and_other_values(key: str, value: Any, expected: str) -> None:
    with pytest.raises(ConfigError) as error:
        Plan(**{key: value})
    assert str(error.value) == f"model.plan.{key} must be one of {expected}"


@pytest.mark.parametrize("value", ["step", 1, 7])
def test_each_of_its_kinds_is_taken(value: Any) -> None:
    assert Plan(refresh=value).refresh == value
