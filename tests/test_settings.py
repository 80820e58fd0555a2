"""Settings: what their errors say."""

from typing import Annotated, Any, ClassVar, Literal

import pytest
from pydantic import Field

from recmm.errors import ConfigError
from recmm.settings import ComponentSettings, hp


class Plan(ComponentSettings):
    key: ClassVar[str] = "model.plan"

    refresh: Literal["epoch", "step"] | Annotated[int, Field(ge=1)] = hp("epoch", "when")
    share: Literal["all"] | Annotated[float, Field(gt=0, le=1)] | None = hp(None, "how much")
    start: Literal["zero", "given"] | None = hp(None, "where")
    modalities: Literal["all"] | list[str] = hp("all", "which")


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
