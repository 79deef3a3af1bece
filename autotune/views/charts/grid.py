"""Many landscapes in one picture, a panel each."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from autotune.views.charts.model import ENGINE_COLORS, Picture
from autotune.views.landscapes import Landscape

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ENGINE_COLORS", "landscape_grid"]

_MARKERS = "osD^vPX*"
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
            marker=_MARKERS[index % len(_MARKERS)],
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
