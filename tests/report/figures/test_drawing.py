"""The static form of figures."""

from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from recmm.report.figures.drawing import draw
from recmm.report.figures.figure import Figure, Series


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
