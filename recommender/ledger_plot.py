"""A picture of the ledger: predicted against realised throughput."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol


class Told(Protocol):
    """A prediction with its 90 % interval and what was measured, in tokens/s."""

    @property
    def predicted(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...
    @property
    def realised(self) -> float | None: ...


def predicted_and_realised(told: Sequence[Told], path: Path) -> Path:
    """Draw each prediction with its interval over what was measured, beside the diagonal."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.8, 4.8), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    realised = [entry.realised or 0.0 for entry in told]
    below = [entry.predicted - entry.low for entry in told]
    above = [entry.high - entry.predicted for entry in told]
    axes.errorbar(
        realised,
        [entry.predicted for entry in told],
        yerr=[below, above],
        fmt="o",
        color="#0072B2",
        capsize=3,
    )
    ends = [min(*realised, *(e.low for e in told)), max(*realised, *(e.high for e in told))]
    axes.plot(ends, ends, "--", color="#555555", linewidth=1)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("realised (generated tok/s)")
    axes.set_ylabel("predicted, 90 % interval (generated tok/s)")
    axes.set_title("Recommended configurations, confirmed")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return path
