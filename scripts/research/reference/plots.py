"""Pictures of the reference ledger, readable in black and white."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from autotune.views.charts.model import ENGINE_COLORS
from research.reference.landscapes import Cell, ReferenceLandscape
from research.reference.ledger import Advice
from research.reference.proof import Proof

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_NAMES = {"vllm": "vLLM", "hf": "Hugging Face"}
_MARKERS = {"vllm": "o", "hf": "^"}
_COLOR, _GREY = "#0072B2", "#555555"


def draw_landscape(advice: Advice, proof: Proof, path: Path) -> Path:
    """Draw what was predicted with nothing known, what was measured, and what was chosen.

    Configurations on as many GPUs as the recommended one.
    """
    figure, axes = _figure(7.2, 4.4)
    n_gpus = proof.n_gpus
    prediction = sorted(
        (c for c in advice.made.landscape if c.n_gpus == n_gpus), key=lambda c: c.batch_size
    )
    rows = [row for row in advice.land.rows if row.n_gpus == n_gpus and row.is_measured]
    sizes = [c.batch_size for c in prediction]
    axes.fill_between(
        sizes,
        [c.low for c in prediction],
        [c.high for c in prediction],
        color=_COLOR,
        alpha=0.2,
        label="90 % interval",
    )
    axes.plot(
        sizes, [c.output_throughput for c in prediction], "--", color=_COLOR, label="predicted"
    )
    axes.plot(
        [row.batch_size for row in rows],
        [row.output_throughput or 0.0 for row in rows],
        "ko",
        label="measured",
    )
    chosen, winner = (n_gpus, proof.batch_size), (proof.winner_n_gpus, proof.winner_batch_size)
    _ring(axes, advice.land, chosen, "s", "recommended, nothing known")
    _ring(axes, advice.land, winner, "D", "winner after 3 runs")
    axes.set_xscale("log", base=2)
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.set_ylim(bottom=0)
    axes.set_xlabel("batch size (sequences in flight)")
    axes.set_ylabel("output throughput (generated tok/s)")
    axes.set_title(
        f"{proof.model} on {n_gpus} x {proof.gpu}, {_NAMES.get(proof.engine, proof.engine)}, "
        f"{proof.input_len}/{proof.output_len} tokens, {proof.weights} weights",
        fontsize=10,
    )
    axes.grid(visible=True, alpha=0.3)
    axes.legend(loc="upper left")
    return _save(figure, path)


def _ring(axes: "Axes", land: ReferenceLandscape, cell: Cell, marker: str, label: str) -> None:
    """Mark a measured configuration; one that was not measured has no mark."""
    reached = land.throughput(cell)
    if reached is not None:
        axes.plot(
            [cell[1]],
            [reached],
            marker,
            markersize=12 if marker == "s" else 17,
            markerfacecolor="none",
            markeredgecolor="k",
            markeredgewidth=1.4,
            label=label,
        )


def draw_predicted(advice: Sequence[Advice], path: Path) -> Path:
    """Draw every configuration's prediction, nothing known, over what was measured (log-log)."""
    figure, axes = _figure(6.0, 5.6)
    everything: list[float] = []
    for engine in sorted({item.made.best.engine for item in advice}):
        pairs = [
            (candidate, reached)
            for item in advice
            if item.made.best.engine == engine
            for candidate in item.made.landscape
            if (reached := item.land.throughput((candidate.n_gpus, candidate.batch_size)))
        ]
        below = [c.output_throughput - c.low for c, _ in pairs]
        above = [c.high - c.output_throughput for c, _ in pairs]
        inside = sum(c.low <= reached <= c.high for c, reached in pairs)
        axes.errorbar(
            [reached for _, reached in pairs],
            [c.output_throughput for c, _ in pairs],
            yerr=[below, above],
            fmt=_MARKERS.get(engine, "s"),
            color=ENGINE_COLORS[engine],
            ecolor=_GREY,
            elinewidth=0.6,
            markersize=5,
            markerfacecolor="white" if engine == "hf" else ENGINE_COLORS[engine],
            label=f"{_NAMES.get(engine, engine)}: {inside} of {len(pairs)} intervals hold",
        )
        everything += [reached for _, reached in pairs] + [c.output_throughput for c, _ in pairs]
    ends = [min(everything), max(everything)]
    axes.plot(ends, ends, "k--", linewidth=1, label="predicted = measured")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("measured (generated tok/s)")
    axes.set_ylabel("predicted with nothing known, 90 % interval (generated tok/s)")
    gpus = ", ".join(sorted({item.made.target_gpu for item in advice}))
    weights = ", ".join(sorted({item.land.weights for item in advice}))
    axes.set_title(f"{len(advice)} landscapes on {gpus}, {weights} weights", fontsize=10)
    axes.grid(visible=True, alpha=0.3)
    axes.legend(loc="upper left")
    return _save(figure, path)


def _figure(width: float, height: float) -> "tuple[Figure, Axes]":
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def _save(figure: "Figure", path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Software": None})
    return path
