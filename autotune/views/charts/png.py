"""Charts as PNG, by matplotlib: for print, for Markdown, and where no script runs."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autotune.views.charts.model import (
    ENGINE_COLORS,
    Boxes,
    Chart,
    HeatMap,
    Lines,
    Picture,
    Series,
    compact,
)
from autotune.views.landscapes import Landscape

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_MARKERS = {
    "circle": "o",
    "square": "s",
    "triangle": "^",
    "diamond": "D",
    "down": "v",
    "star": "*",
    "cross": "x",
    "none": "",
}
_DASHES = {"solid": "-", "dash": "--", "dashdot": "-.", "dot": ":", "none": ""}
_HEAT = "cividis"
_NUMBERS = "{x:,.10g}"
Drawn = Lines | HeatMap | Boxes


def draw(chart: Chart, path: Path) -> Path:
    """Draw a chart into a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(render(chart))
    return path


def render(chart: Chart) -> bytes:
    """Return a chart as the bytes of a PNG; the same chart gives the same bytes."""
    if isinstance(chart, Picture):
        return chart.content
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=_size(chart), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_title(chart.title, fontsize=10)
    axes.set_xlabel(chart.x_label)
    match chart:
        case Lines():
            _draw_lines(axes, chart)
        case HeatMap():
            _draw_heat(figure, axes, chart)
        case Boxes():
            _draw_boxes(axes, chart)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _size(chart: Drawn) -> tuple[float, float]:
    match chart:
        case Lines():
            return 7.2, 4.4
        case HeatMap():
            return 7.2, 1.7 + 0.6 * len(chart.rows)
        case Boxes():
            return 7.2, 1.5 + 0.32 * len(chart.boxes)


def _draw_lines(axes: "Axes", chart: Lines) -> None:
    for series in chart.series:
        _draw_series(axes, series)
    if chart.is_x_log:
        axes.set_xscale("log")
        _plain_ticks(axes.xaxis)
    if chart.is_y_log:
        axes.set_yscale("log")
        _plain_ticks(axes.yaxis)
    else:
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter(_NUMBERS)
    if chart.ticks:
        axes.set_xticks(chart.ticks, [f"{tick:g}" for tick in chart.ticks])
        axes.xaxis.minorticks_off()
    axes.set_ylabel(chart.y_label)
    axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize=8)


def _plain_ticks(axis: "Axis") -> None:
    """Write the ticks of a logarithmic axis as plain numbers, at 1, 2 and 5 of each decade."""
    from matplotlib.ticker import LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(_NUMBERS)
    axis.set_minor_formatter(NullFormatter())


def _draw_series(axes: "Axes", series: Series) -> None:
    if series.low and series.is_band:
        axes.fill_between(series.x, series.low, series.high, color=series.color, alpha=0.15)
    elif series.low:
        below = [y - low for y, low in zip(series.y, series.low, strict=True)]
        above = [high - y for y, high in zip(series.y, series.high, strict=True)]
        axes.errorbar(
            series.x, series.y, yerr=[below, above], fmt="none", ecolor=series.color,
            elinewidth=0.8, capsize=2,
        )  # fmt: skip
    axes.plot(
        series.x,
        series.y,
        color=series.color,
        marker=_MARKERS[series.marker],
        linestyle=_DASHES[series.dash],
        markersize=series.size,
        markerfacecolor="none" if series.is_hollow else series.color,
        markeredgewidth=1.4,
        label=series.name,
    )


def _draw_heat(figure: "Figure", axes: "Axes", chart: HeatMap) -> None:
    from matplotlib import colormaps
    from matplotlib.patches import Rectangle

    filled = [[float("nan") if v is None else v for v in row] for row in chart.values]
    image = axes.imshow(filled, aspect="auto", origin="lower", cmap=colormaps[_HEAT])
    brightest = max((v for row in chart.values for v in row if v is not None), default=1.0)
    for row, values in enumerate(chart.values):
        for column, value in enumerate(values):
            if (row, column) in chart.hatched:
                box = Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, hatch="////", lw=0)
                box.set_edgecolor("#777777")
                axes.add_patch(box)
            labels = [word for text in chart.words(row, column) for word in text.split(", ")]
            words = "\n".join([*([] if value is None else [compact(value)]), *labels])
            ink = "black" if value is None or value > 0.55 * brightest else "white"
            axes.text(column, row, words, ha="center", va="center", color=ink, fontsize=6)
    for mark in chart.marks:
        corner = (mark.column - 0.47, mark.row - 0.47)
        axes.add_patch(Rectangle(corner, 0.94, 0.94, fill=False, lw=2, edgecolor="black"))
    axes.set_xticks(range(len(chart.columns)), chart.columns)
    axes.set_yticks(range(len(chart.rows)), chart.rows)
    axes.set_ylabel(chart.y_label)
    figure.colorbar(image, ax=axes, label=chart.value_label)


def _draw_boxes(axes: "Axes", chart: Boxes) -> None:
    style: dict[str, Any] = {"color": "black"}
    axes.boxplot(
        [box.values for box in chart.boxes],
        orientation="horizontal",
        tick_labels=[f"{box.name} ({len(box.values)})" for box in chart.boxes],
        medianprops=style,
        flierprops={"markersize": 3},
    )
    axes.axvline(0.0, color="black", linestyle=":", linewidth=1)
    axes.invert_yaxis()
    axes.grid(visible=True, axis="x", alpha=0.3)


__all__ = ["ENGINE_COLORS", "landscape_grid"]

_GRID_MARKERS = "osD^vPX*"
_STYLES = ("-", "--", "-.", ":")
_GPU_COLORS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9")
_GRID_COLUMNS = 5


def landscape_grid(lands: Sequence[Landscape], *, n_all: int) -> Picture:
    """Draw a panel a landscape: tok/s over batch size, a line for each number of GPUs.

    Args:
        n_all: How many landscapes there are, of which these are shown.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    n_columns = min(len(lands), _GRID_COLUMNS)
    n_rows = -(-len(lands) // n_columns)
    figure = Figure(figsize=(3.0 * n_columns, 2.3 * n_rows), dpi=90, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(n_rows, n_columns, squeeze=False)
    for axes, land in zip(grid.flat, lands, strict=False):
        _panel(axes, land)
    for axes in list(grid.flat)[len(lands) :]:
        axes.set_axis_off()
    shown = "" if n_all == len(lands) else f" ({len(lands)} of {n_all} landscapes)"
    title = f"{lands[0].engine} on {lands[0].gpu}: tok/s over batch size{shown}"
    figure.suptitle(title, fontsize=10)
    content = io.BytesIO()
    figure.savefig(content, format="png", metadata={"Software": None})
    alt = f"{title}. A panel each: {', '.join(map(_panel_title, lands))}."
    return Picture(title=title, alt=alt, content=content.getvalue())


def _panel(axes: "Axes", land: Landscape) -> None:
    for n_gpus in sorted({cell[0] for cell in land.cells}):
        line = [(batch, y) for (n, batch), y in sorted(land.cells.items()) if n == n_gpus]
        index = n_gpus.bit_length() - 1
        axes.plot(
            [batch for batch, _ in line],
            [y for _, y in line],
            color=_GPU_COLORS[index % len(_GPU_COLORS)],
            marker=_GRID_MARKERS[index % len(_GRID_MARKERS)],
            linestyle=_STYLES[index % len(_STYLES)],
            markersize=3,
            label=f"{n_gpus} GPU{'s' if n_gpus > 1 else ''}",
        )
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_ylim(0, 1.08 * max(land.cells.values()))
    axes.set_title(_panel_title(land), fontsize=8)
    axes.tick_params(labelsize=7)
    axes.legend(fontsize=6)


def _panel_title(land: Landscape) -> str:
    return f"{land.model.rpartition('/')[2]}, {land.input_len or '?'}/{land.output_len or '?'}"
