"""Numbers of the report."""

import pytest

from recmm.report.results.cells import show


@pytest.mark.parametrize(
    ("value", "shown"), [(0.08794, "0.0879"), (3, "3"), ("text", "text"), (None, ""), (float("nan"), "")]
)
def test_how_values_are_shown(value: float | int | str | None, shown: str) -> None:
    assert show(value) == shown
