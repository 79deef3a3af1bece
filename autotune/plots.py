"""Pictures of what was measured."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from autotune.landscapes import Landscape
from autotune.records import RunRecord
from autotune.wording import describe_knobs, describe_workload

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe-Ito: told apart by every kind of colour vision; line styles tell GPU counts apart in print.
ENGINE_COLORS = {
    "vllm": "#0072B2",
    "hf": "#D55E00",
    "trtllm": "#009E73",
    "sglang": "#CC79A7",
    "tgi": "#E69F00",
}
_MARKERS = "osD^vPX*"
_STYLES = ("-", "--", "-.", ":")
_GPU_COLORS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9")
_GRID_COLUMNS = 5


def landscape(records: Sequence[RunRecord], path: Path) -> Path:
    """Draw output throughput over batch size, a line for each engine start and workload.

    Whiskers are 95 % confidence intervals; crosses on the axis are configurations that failed.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 4.2), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    lines = sorted({_line(record) for record in records})
    for index, line in enumerate(lines):
        own = sorted((r for r in records if _line(r) == line), key=lambda r: r.batch_size)
        measured = [r for r in own if r.is_measured]
        failed = [r.batch_size for r in own if r.status != "completed"]
        color = ENGINE_COLORS[own[0].engine]
        throughputs = [r.output_throughput or 0.0 for r in measured]
        axes.errorbar(
            [r.batch_size for r in measured],
            throughputs,
            yerr=[
                (r.throughput_ci95 or 0.0) * y for r, y in zip(measured, throughputs, strict=True)
            ],
            color=color,
            marker=_MARKERS[index % len(_MARKERS)],
            linestyle=_STYLES[index % len(_STYLES)],
            capsize=3,
            label=", ".join(line),
        )
        axes.plot(failed, [0.0] * len(failed), "x", color=color, markersize=9)
    axes.set_xscale("log", base=2)
    axes.set_ylim(bottom=0)
    sizes = sorted({r.batch_size for r in records})
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.set_xlabel("batch size (sequences in flight)")
    axes.set_ylabel("output throughput (generated tok/s)")
    axes.set_title(f"{records[0].model} on {records[0].gpu}")
    axes.grid(visible=True, alpha=0.3)
    axes.legend(title="engine, GPUs, tokens in/out")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return path


def _line(record: RunRecord) -> tuple[str, ...]:
    """Return what a line's points share, as its label says it."""
    gpus = f"{record.n_gpus} GPU{'s' if record.n_gpus > 1 else ''}"
    return (record.engine, gpus, describe_workload(record), *describe_knobs(record))


def landscape_grid(lands: Sequence[Landscape], path: Path, *, n_all: int) -> Path:
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
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return path


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
    title = f"{land.model.rpartition('/')[2]}, {land.input_len or '?'}/{land.output_len or '?'}"
    axes.set_title(title, fontsize=8)
    axes.tick_params(labelsize=7)
    axes.legend(fontsize=6)
