"""Charts that hold predictions against measurements."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from autotune.views.charts.model import ENGINE_COLORS, GREY, Box, Boxes, Lines, Series, line_style

_MOST_GROUPS = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictedPoint:
    """A prediction with its 90 % interval and what was measured, in tokens/s."""

    engine: str
    name: str
    predicted: float
    low: float
    high: float
    measured: float

    @property
    def is_inside(self) -> bool:
        """Whether the measurement lies in the interval."""
        return self.low <= self.measured <= self.high


def predicted_and_measured(points: Sequence[PredictedPoint], *, title: str) -> Lines:
    """Draw each prediction with its interval over what was measured, beside the diagonal."""
    ends = (
        min(min(t.low, t.measured) for t in points),
        max(max(t.high, t.measured) for t in points),
    )
    engines = sorted({t.engine for t in points})
    series = [
        _cloud([t for t in points if t.engine == engine], index)
        for index, engine in enumerate(engines)
    ]
    inside = sum(t.is_inside for t in points)
    diagonal = Series(
        name="predicted = measured", x=ends, y=ends, color=GREY, marker="none", dash="dash"
    )
    error = statistics.median(abs(t.predicted / t.measured - 1) for t in points)
    return Lines(
        title=title,
        x_label="measured (generated tok/s)",
        y_label="predicted, 90 % interval (generated tok/s)",
        series=(*series, diagonal),
        alt=f"{title}. {inside} of {len(points)} measurements lie inside the 90 % interval; the "
        f"median error is {error:.1%}.",
        is_x_log=True,
        is_y_log=True,
    )


def _cloud(points: Sequence[PredictedPoint], index: int) -> Series:
    engine = points[0].engine
    inside = sum(t.is_inside for t in points)
    return Series(
        name=f"{engine}: {inside} of {len(points)} inside",
        x=tuple(t.measured for t in points),
        y=tuple(t.predicted for t in points),
        low=tuple(t.low for t in points),
        high=tuple(t.high for t in points),
        color=ENGINE_COLORS[engine],
        marker=line_style(index)[0],
        dash="none",
        is_hollow=bool(index % 2),
        labels=tuple(t.name for t in points),
    )


def residuals(groups: Mapping[str, Sequence[PredictedPoint]], *, title: str) -> Boxes:
    """Draw measured / predicted - 1 within groups, the largest groups first."""
    largest = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))[:_MOST_GROUPS]
    boxes = tuple(
        Box(name=name, values=tuple(100 * (t.measured / t.predicted - 1) for t in points))
        for name, points in largest
    )
    medians = [f"{box.name} {statistics.median(box.values):+.0f} %" for box in boxes[:5]]
    more = f" The {len(boxes)} largest of {len(groups)} groups." if len(boxes) < len(groups) else ""
    return Boxes(
        title=title,
        x_label="measured / predicted - 1 (%); right of the line is faster than predicted",
        boxes=boxes,
        alt=f"{title}. Medians: {', '.join(medians)}.{more}",
    )


def regret_lines(
    regrets: Mapping[str, Sequence[float]], *, title: str, n_configurations: int
) -> Lines:
    """Draw the throughput given up after each run, a line for each way of choosing runs.

    Args:
        regrets: Way -> 1 - best so far / best measured, after 1, 2, ... runs.
    """
    series = tuple(
        Series(
            name=name,
            x=tuple(float(k) for k in range(1, len(values) + 1)),
            y=tuple(100 * value for value in values),
            color="#000000" if index == 0 else GREY,
            marker=line_style(index)[0],
            dash=line_style(index)[1],
        )
        for index, (name, values) in enumerate(regrets.items())
    )
    ends = [f"{name} {values[-1]:.1%} after {len(values)} runs" for name, values in regrets.items()]
    longest = max(len(values) for values in regrets.values())
    return Lines(
        title=title,
        x_label="runs on the target",
        y_label="regret (% of the best measured)",
        series=series,
        alt=f"{title}, of {n_configurations} measured configurations: {'; '.join(ends)}.",
        ticks=tuple(float(k) for k in range(1, longest + 1)),
    )
