"""A figure of the report for Plotly's JavaScript: the same values, to hover over, zoom and switch on and off."""

import html
from typing import Any

from recmm.report.figures.figure import Figure, Series, band, categories, legend_shape
from recmm.report.figures.style import COLOURS

_MARKERS = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "x", "star")
_DASHES = ("solid", "dash", "dot", "dashdot")
_PATTERNS = ("", "/", ".", "x", "\\", "-", "+")
_GRID = "#e3e3e3"
_ROW_OF_LEGEND = 30  # pixels
_LEGEND = {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "font": {"size": 11}}


def plotly_script() -> str:
    """The source of plotly.js, to be written into the page."""
    from plotly.offline import get_plotlyjs  # type: ignore[import-untyped]  # large, for the page only

    source: str = get_plotlyjs()
    return source


def to_plotly(figure: Figure) -> dict[str, Any]:
    """``data`` and ``layout`` of ``Plotly.newPlot``. Markup in names is escaped, since they come from files."""
    data = [trace for number, series in enumerate(figure.series) for trace in _traces(figure, series, number)]
    axis = {"gridcolor": _GRID, "linecolor": "#555", "ticks": "outside", "automargin": True, "zeroline": False}
    x_axis = axis | {"title": {"text": _text(figure.x_label)}}
    if figure.bars:
        order = [_text(str(place)) for place in categories(figure)]
        x_axis |= {"type": "category", "categoryorder": "array", "categoryarray": order, "showgrid": False}
    elif figure.log_x:
        places = sorted({float(place) for series in figure.series for place in series.x})
        x_axis |= {"type": "log", "tickvals": places, "ticktext": [f"{place:g}" for place in places]}
    below = _ROW_OF_LEGEND * legend_shape(figure)[1]
    layout = {
        "xaxis": x_axis,
        "yaxis": axis | {"title": {"text": _text(figure.y_label)}} | ({"rangemode": "tozero"} if figure.bars else {}),
        "height": 330 + below,
        "margin": {"l": 60, "r": 12, "t": 28, "b": 56 + below},
        "font": {"family": "system-ui, sans-serif", "size": 12, "color": "#1a1a1a"},
        "legend": _LEGEND | {"maxheight": max(below, 1)},
        "plot_bgcolor": "#fff",
        "paper_bgcolor": "#fff",
        "hoverlabel": {"align": "left"},
        "showlegend": below > 0,
        "barmode": "group",
    }
    return {"data": data, "layout": layout}


def _traces(figure: Figure, series: Series, number: int) -> list[dict[str, Any]]:
    """The line or the bars, and for a line the band around it."""
    first = all(other.name != series.name for other in figure.series[:number])
    colour, name = COLOURS[series.style % 7], _text(series.name)
    shared = {"name": name, "legendgroup": name}
    main = shared | {
        "x": [_text(place) if isinstance(place, str) else place for place in series.x],
        "y": list(series.y),
        "hovertext": [_text(text).replace("\n", "<br>") for text in series.hover],
        "hoverinfo": "text",
        "showlegend": first,
    }
    if figure.bars:
        errors = {"type": "data", "array": [sd or 0.0 for sd in series.sd], "visible": any(series.sd), "thickness": 1}
        marker = {
            "color": colour,
            "pattern": {"shape": _PATTERNS[series.style % 7], "fgcolor": "#fff", "size": 6, "fillmode": "overlay"},
        }
        return [main | {"type": "bar", "marker": marker, "error_y": errors}]
    main |= {
        "type": "scatter",
        "mode": "lines+markers" if figure.markers else "lines",
        "line": {"color": colour, "dash": _DASHES[series.style // 7 % 4], "width": 2 if figure.markers else 1.2},
        "marker": {"symbol": _MARKERS[series.style % 8], "size": 8},
    }
    if not any(series.sd):
        return [main]
    low, high = band(series)
    edge = shared | {
        "type": "scatter",
        "mode": "lines",
        "x": main["x"],
        "line": {"width": 0},
        "hoverinfo": "skip",
        "showlegend": False,
    }
    return [edge | {"y": low}, edge | {"y": high, "fill": "tonexty", "fillcolor": f"{colour}26"}, main]


def _text(text: str) -> str:
    """Escaped, since Plotly interprets some HTML tags in its labels."""
    return html.escape(text, quote=False)
