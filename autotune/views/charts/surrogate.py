"""What a picture says, whoever draws it: lines, heat maps and boxes with their alternative texts.

Every distinction that a colour makes is made by a marker, a dash or a word too.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

# Okabe-Ito: told apart by every kind of colour vision.
ENGINE_COLORS: Final = {
    "vllm": "#0072B2",
    "hf": "#D55E00",
    "trtllm": "#009E73",
    "sglang": "#CC79A7",
    "tgi": "#E69F00",
}
BLACK, GREY = "#000000", "#555555"

Marker = Literal["circle", "square", "triangle", "diamond", "down", "star", "cross", "none"]
Dash = Literal["solid", "dash", "dashdot", "dot", "none"]
LINE_MARKERS: Final[tuple[Marker, ...]] = ("circle", "square", "triangle", "diamond", "down")
LINE_DASHES: Final[tuple[Dash, ...]] = ("solid", "dash", "dashdot", "dot")


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Points that belong together.

    Attributes:
        low, high: Ends of each point's interval; empty without.
        is_band: Draw the intervals as a band, otherwise as whiskers.
        labels: What to say of each point beside its coordinates; empty without.
    """

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    is_band: bool = False
    color: str = BLACK
    marker: Marker = "circle"
    dash: Dash = "solid"
    size: float = 6.0
    is_hollow: bool = False
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """Series over two axes.

    Attributes:
        alt: What the picture shows, for those who do not see it.
        ticks: Where the x axis has its ticks; chosen by the drawer when empty.
    """

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    alt: str
    is_x_log: bool = False
    is_y_log: bool = False
    ticks: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A word on a cell of a heat map."""

    row: int
    column: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatMap:
    """Values over two categories; a cell without one is empty.

    Attributes:
        hatched: (row, column) of the cells that cannot run.
    """

    title: str
    x_label: str
    y_label: str
    value_label: str
    columns: tuple[str, ...]
    rows: tuple[str, ...]
    values: tuple[tuple[float | None, ...], ...]
    alt: str
    hatched: frozenset[tuple[int, int]] = frozenset()
    marks: tuple[Mark, ...] = ()

    def words(self, row: int, column: int) -> list[str]:
        """Return the words on a cell."""
        return [mark.text for mark in self.marks if (mark.row, mark.column) == (row, column)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """The values of one group."""

    name: str
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Boxes:
    """How values spread within groups, one group a line."""

    title: str
    x_label: str
    boxes: tuple[Box, ...]
    alt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A PNG that was drawn elsewhere."""

    title: str
    alt: str
    content: bytes


Chart = Lines | HeatMap | Boxes | Picture


def line_style(index: int) -> tuple[Marker, Dash]:
    """Return the marker and the dash of the n-th line of one colour."""
    return LINE_MARKERS[index % len(LINE_MARKERS)], LINE_DASHES[index % len(LINE_DASHES)]


def compact(value: float) -> str:
    """Return a number in few characters.

    >>> [compact(v) for v in (0.1234, 12.34, 1234.5, 43210.0)]
    ['0.123', '12.3', '1,234', '43.2k']
    """
    if value >= 10_000:
        return f"{value / 1000:.3g}k"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def joined(names: Sequence[str]) -> str:
    """Return names as an enumeration: a, b and c."""
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


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
