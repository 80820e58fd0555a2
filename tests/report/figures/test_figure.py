"""Series of figures."""

import pytest

from recmm.report.figures.figure import Series, band


def series(name: str = "first", style: int = 0, **changes: tuple) -> Series:
    values: dict = {"x": (0.1, 0.9), "y": (0.5, 0.25), "sd": (0.125, None), "hover": ("a", "b")}
    return Series(name=name, style=style, **(values | changes))


def test_a_band_is_the_mean_with_its_deviation_and_closes_where_there_is_one_run() -> None:
    assert band(series()) == ([0.375, 0.25], [0.625, 0.25])


def test_values_of_one_series_belong_together() -> None:
    with pytest.raises(ValueError, match="series first"):
        series(y=(0.5,))
