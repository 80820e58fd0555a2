"""Figures: their static form, and the same values for Plotly."""

from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from recmm.report.figures import COLOURS, Figure, Series, band, draw
from recmm.report.interactive import to_plotly


def series(name: str = "first", style: int = 0, **changes: tuple) -> Series:
    values: dict = {"x": (0.1, 0.9), "y": (0.5, 0.25), "sd": (0.125, None), "hover": ("a", "b")}
    return Series(name=name, style=style, **(values | changes))


def figure(*lines: Series, **changes: object) -> Figure:
    values: dict = {
        "name": "made",
        "section": "s",
        "title": "t",
        "note": "n",
        "x_label": "rate",
        "y_label": "Recall@20",
    }
    return Figure(series=lines, **(values | changes))


@pytest.mark.parametrize(
    "made",
    [
        figure(series(), series("$x_1$ <b>", 1)),
        figure(series(x=(1.0, 1000.0)), log_x=True),
        figure(series(x=("ftmt", "mtmt")), series("_hidden", 9, x=("mtmt", "full")), bars=True),
        figure(series(), series(style=0), markers=False),
    ],
    ids=["lines", "logarithmic", "bars", "curves"],
)
def test_png_and_svg_are_written_and_do_not_change(made: Figure, tmp_path: Path) -> None:
    png, svg = draw(made, tmp_path / "figures")
    with Image.open(png) as picture:
        assert picture.format == "PNG" and picture.width == 960
    before = svg.read_bytes()
    assert ElementTree.fromstring(before).tag.endswith("svg")
    draw(made, tmp_path / "figures")
    assert svg.read_bytes() == before


def test_a_band_is_the_mean_with_its_deviation_and_closes_where_there_is_one_run() -> None:
    assert band(series()) == ([0.375, 0.25], [0.625, 0.25])


def test_a_line_in_plotly_has_its_values_and_a_band_that_hovering_skips() -> None:
    low, high, line = to_plotly(figure(series(style=1)))["data"]
    assert (low["y"], high["y"], line["y"], line["x"]) == ([0.375, 0.25], [0.625, 0.25], [0.5, 0.25], [0.1, 0.9])
    assert (low["hoverinfo"], high["hoverinfo"], line["hovertext"]) == ("skip", "skip", ["a", "b"])
    assert line["line"]["color"] == COLOURS[1]


def test_bars_in_plotly_keep_the_order_of_their_categories_and_start_at_zero() -> None:
    made = figure(series(x=("ftmt", "full")), series("other", 1, x=("full", "mtmt")), bars=True)
    page = to_plotly(made)
    assert page["layout"]["xaxis"]["categoryarray"] == ["ftmt", "full", "mtmt"]
    assert page["layout"]["yaxis"]["rangemode"] == "tozero"
    assert [trace["error_y"]["array"] for trace in page["data"]] == [[0.125, 0.0], [0.125, 0.0]]


def test_series_of_one_name_share_an_entry_in_the_legend() -> None:
    flat = series(sd=(None, None))
    assert [trace["showlegend"] for trace in to_plotly(figure(flat, flat))["data"]] == [True, False]


def test_markup_in_names_is_text_to_plotly() -> None:
    made = figure(series('<a href="javascript:x">&', hover=("<b>", "c\nd"), sd=(None, None)), x_label="<i>")
    trace = to_plotly(made)["data"][0]
    assert trace["name"] == '&lt;a href="javascript:x"&gt;&amp;'
    assert trace["hovertext"] == ["&lt;b&gt;", "c<br>d"]
    assert to_plotly(made)["layout"]["xaxis"]["title"]["text"] == "&lt;i&gt;"


def test_values_of_one_series_belong_together() -> None:
    with pytest.raises(ValueError, match="series first"):
        series(y=(0.5,))
