"""Charts for a browser: plotly figures as JSON, and the script that shows them."""

import base64
import gzip
from functools import cache
from typing import Any

from plotly import graph_objects
from plotly.offline import get_plotlyjs

from autotune.views.charts.model import Boxes, HeatMap, Lines, Series, compact

_SYMBOLS = {
    "circle": "circle",
    "square": "square",
    "triangle": "triangle-up",
    "diamond": "diamond",
    "down": "triangle-down",
    "star": "star",
    "cross": "x",
}


@cache
def packed_script() -> str:
    """Return plotly's script, compressed and in base64 (a third of its size)."""
    return base64.b64encode(gzip.compress(get_plotlyjs().encode(), mtime=0)).decode()


def figure_json(chart: Lines | HeatMap | Boxes) -> str:
    """Return a chart as a plotly figure in JSON that may stand in an HTML script element."""
    match chart:
        case Lines():
            figure = _lines(chart)
        case HeatMap():
            figure = _heat(chart)
        case Boxes():
            figure = _boxes(chart)
    figure.update_layout(title=chart.title, template="plotly_white", xaxis_title=chart.x_label)
    return str(figure.to_json()).replace("</", "<\\/")


def _lines(chart: Lines) -> Any:
    figure = graph_objects.Figure()
    for series in chart.series:
        if series.low and series.is_band:
            figure.add_trace(_band(series))
        figure.add_trace(_trace(series))
    axis: dict[str, Any] = {"type": "log" if chart.is_x_log else "linear"}
    if chart.ticks:
        axis |= {"tickvals": chart.ticks, "ticktext": [f"{tick:g}" for tick in chart.ticks]}
    figure.update_xaxes(axis)
    scale = {"type": "log"} if chart.is_y_log else {"rangemode": "tozero"}
    figure.update_yaxes(title=chart.y_label, **scale)
    return figure


def _band(series: Series) -> Any:
    return graph_objects.Scatter(
        x=[*series.x, *reversed(series.x)],
        y=[*series.high, *reversed(series.low)],
        fill="toself",
        fillcolor=series.color,
        opacity=0.15,
        line={"width": 0},
        hoverinfo="skip",
        showlegend=False,
        legendgroup=series.name,
    )


def _trace(series: Series) -> Any:
    modes = [
        *(["lines"] if series.dash != "none" else []),
        *(["markers"] if series.marker != "none" else []),
    ]
    whiskers = None
    if series.low and not series.is_band:
        whiskers = {
            "type": "data",
            "symmetric": False,
            "array": [high - y for y, high in zip(series.y, series.high, strict=True)],
            "arrayminus": [y - low for y, low in zip(series.y, series.low, strict=True)],
        }
    symbol = _SYMBOLS.get(series.marker, "circle")
    return graph_objects.Scatter(
        name=series.name,
        legendgroup=series.name,
        x=series.x,
        y=series.y,
        mode="+".join(modes),
        error_y=whiskers,
        line={"color": series.color, "dash": series.dash if series.dash != "none" else "solid"},
        marker={
            "color": series.color,
            "symbol": f"{symbol}-open" if series.is_hollow else symbol,
            "size": series.size * 1.4,
        },
        text=series.labels or None,
    )


def _heat(chart: HeatMap) -> Any:
    texts = [
        [
            "<br>".join(
                [
                    *([] if value is None else [compact(value)]),
                    *(["////"] if (row, column) in chart.hatched else []),
                    *chart.words(row, column),
                ]
            )
            for column, value in enumerate(values)
        ]
        for row, values in enumerate(chart.values)
    ]
    figure = graph_objects.Figure(
        graph_objects.Heatmap(
            x=chart.columns,
            y=chart.rows,
            z=chart.values,
            text=texts,
            texttemplate="%{text}",
            colorscale="Cividis",
            colorbar={"title": chart.value_label},
        )
    )
    # what cannot run has no value, and a heat map writes no text on such a cell
    for row, column in sorted(chart.hatched):
        if chart.values[row][column] is None:
            figure.add_annotation(
                x=chart.columns[column], y=chart.rows[row], text=texts[row][column], showarrow=False
            )
    figure.update_xaxes(type="category")
    figure.update_yaxes(type="category", title=chart.y_label)
    return figure


def _boxes(chart: Boxes) -> Any:
    figure = graph_objects.Figure(
        [
            graph_objects.Box(name=box.name, x=box.values, marker_color="#000000")
            for box in chart.boxes
        ]
    )
    figure.update_layout(showlegend=False)
    figure.update_yaxes(autorange="reversed")
    return figure
