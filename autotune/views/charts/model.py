"""What a picture says, whoever draws it: lines, heat maps and boxes with their alternative texts.

Every distinction that a colour makes is made by a marker, a dash or a word too.
"""

from collections.abc import Sequence
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
