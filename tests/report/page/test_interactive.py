"""Figures for Plotly: the values of the static ones."""

from recmm.report.figures.figure import Figure, Series
from recmm.report.figures.style import COLOURS
from recmm.report.page.interactive import to_plotly


def series(name: str = "first", style: int = 0, **changes: tuple) -> Series:
    values: dict = {"x": (0.1, 0.9), "y": (0.5, 0.25), "sd": (0.125, None), "hover": ("a", "b")}
    return Series(name=name, style=style, **(values | changes))


def figure(*lines: Series, **changes: object) -> Figure:
    values: dict = {
        "name": "made",
        "title": "t",
        "note": "n",
        "x_label": "rate",
        "y_label": "Recall@20",
    }
    return Figure(series=lines, **(values | changes))


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
