"""Charts of a landscape, measured or predicted: over batch sizes, GPU counts, latency and cost."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from autotune.schema.record import RunRecord
from autotune.views.charts.model import (
    BLACK,
    ENGINE_COLORS,
    HeatMap,
    Lines,
    Mark,
    Marker,
    Series,
    joined,
    line_style,
)
from autotune.views.wording import describe_knobs

BATCH: Final = "batch size (sequences in flight)"
SPEED: Final = "output throughput (generated tok/s)"
_PER_MTOK: Final = 1e6
_RINGS: Final[tuple[Marker, ...]] = ("square", "diamond", "triangle", "circle")


class Place(NamedTuple):
    """Where a point lies in its landscape."""

    engine: str
    n_gpus: int
    batch_size: int
    variant: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One configuration; ``None`` is unknown.

    Attributes:
        low, high: Ends of the throughput's interval.
        can_run: Whether it ran, or is expected to.
    """

    place: Place
    output_throughput: float | None
    low: float | None = None
    high: float | None = None
    tpot_ms: float | None = None
    energy_j_per_token: float | None = None
    cost_per_mtok: float | None = None
    can_run: bool = True


# The words on chosen places: "recommended", "kept".
Marks = Mapping[Place, str]


def points_of(records: Iterable[RunRecord]) -> list[Point]:
    """Return measured runs as points, with their 95 % confidence intervals."""
    return [_point(record) for record in records]


def place_of(record: RunRecord) -> Place:
    """Return where a run lies; its engine's own knobs are the variant."""
    variant = ", ".join(describe_knobs(record))
    return Place(record.engine, record.n_gpus, record.batch_size, variant)


def _point(record: RunRecord) -> Point:
    speed = record.output_throughput if record.is_measured else None
    spread = record.throughput_ci95
    known = speed is not None and spread is not None
    return Point(
        place=place_of(record),
        output_throughput=speed,
        low=speed * max(1 - spread, 0.0) if speed and spread and known else None,
        high=speed * (1 + spread) if speed and spread and known else None,
        tpot_ms=record.mean_tpot_ms,
        energy_j_per_token=record.energy_j_per_token,
        can_run=record.status == "completed",
    )


def speed_lines(
    points: Sequence[Point],
    *,
    title: str,
    marks: Marks | None = None,
    interval: str = "",
    measured: Sequence[Point] = (),
) -> Lines:
    """Draw throughput over batch size, a line for each engine start.

    Args:
        measured: What came of predicted points, drawn over them.
        interval: What the intervals of predicted points are, which are bands; whiskers otherwise,
            and crosses where a run failed.
    """
    shown = [_line(group, _speed, is_band=bool(interval)) for group in _starts(points)]
    series = [s for s in shown if s.x]
    failed = sorted({p.place.batch_size for p in points if not p.can_run})
    if failed and not interval:
        zeros = (0.0,) * len(failed)
        x = tuple(map(float, failed))
        series.append(
            Series(name="cannot run", x=x, y=zeros, marker="cross", dash="none", size=8.0)
        )
    if measured:
        series.append(_measured(measured))
    series += _rings(points, marks or {}, _speed)
    band = f" Shaded: {interval}." if interval else " Whiskers: 95 % confidence intervals."
    return Lines(
        title=title,
        x_label=BATCH,
        y_label=SPEED,
        series=tuple(series),
        alt=f"{title}. {_span(points)}{_marks_in_words(marks)}{band}",
        is_x_log=True,
        ticks=_sizes(points),
    )


def speed_map(points: Sequence[Point], *, title: str, marks: Marks | None = None) -> HeatMap:
    """Draw throughput over GPU counts and batch sizes of one engine start's kind."""
    sizes = [int(size) for size in _sizes(points)]
    counts = sorted({p.place.n_gpus for p in points})
    cells = {(p.place.n_gpus, p.place.batch_size): p for p in points}
    unfit = frozenset(
        (counts.index(n), sizes.index(b)) for (n, b), p in cells.items() if not p.can_run
    )
    words = tuple(
        Mark(row=counts.index(place.n_gpus), column=sizes.index(place.batch_size), text=word)
        for place, word in (marks or {}).items()
        if (place.n_gpus, place.batch_size) in cells
    )
    hatched = f" Hatched: {len(unfit)} configurations cannot run." if unfit else ""
    legend = " (hatched: cannot run)" if unfit else ""
    return HeatMap(
        title=f"{title}{legend}",
        x_label=BATCH,
        y_label="GPUs",
        value_label="generated tok/s",
        columns=tuple(map(str, sizes)),
        rows=tuple(map(str, counts)),
        values=tuple(tuple(_value(cells.get((n, b))) for b in sizes) for n in counts),
        alt=f"Heat map: {title}. {_span(points)}{_marks_in_words(marks)}{hatched}",
        hatched=unfit,
        marks=words,
    )


def _value(point: Point | None) -> float | None:
    return point.output_throughput if point is not None and point.can_run else None


def pareto(points: Sequence[Point], *, title: str, marks: Marks | None = None) -> Lines | None:
    """Draw throughput against time per output token, with the front joined.

    ``None`` where fewer than two latencies are known.
    """
    known = [p for p in points if p.can_run and p.tpot_ms and p.output_throughput]
    if len(known) < 2:
        return None
    front = _front(known)
    series = [
        Series(
            name=f"{engine}, dominated",
            x=tuple(p.tpot_ms or 0.0 for p in rest),
            y=tuple(p.output_throughput or 0.0 for p in rest),
            color=ENGINE_COLORS[engine],
            marker=line_style(index)[0],
            dash="none",
            is_hollow=True,
            labels=tuple(_name(p) for p in rest),
        )
        for index, engine in enumerate(sorted({p.place.engine for p in known}))
        if (rest := [p for p in known if p.place.engine == engine and p not in front])
    ]
    best = Series(
        name="Pareto front",
        x=tuple(p.tpot_ms or 0.0 for p in front),
        y=tuple(p.output_throughput or 0.0 for p in front),
        marker="star",
        size=9.0,
        labels=tuple(_name(p) for p in front),
    )
    ends = f"from {_name(front[0])} to {_name(front[-1])}" if len(front) > 1 else _name(front[0])
    rings = _rings(known, marks or {}, _speed, x=lambda p: p.tpot_ms or 0.0)
    return Lines(
        title=title,
        x_label="time per output token (ms)",
        y_label=SPEED,
        series=(*series, best, *rings),
        alt=f"{title}. {len(front)} of {len(known)} configurations are on the front, {ends}."
        f"{_marks_in_words(marks)}",
        is_x_log=True,
    )


def _front(points: Sequence[Point]) -> list[Point]:
    """Return the points that no other beats in both, by rising latency."""
    front: list[Point] = []
    for point in sorted(points, key=lambda p: (p.tpot_ms or 0.0, -(p.output_throughput or 0.0))):
        if not front or (point.output_throughput or 0.0) > (front[-1].output_throughput or 0.0):
            front.append(point)
    return front


def energy_lines(
    points: Sequence[Point], *, title: str, marks: Marks | None = None
) -> Lines | None:
    """Draw joules a million generated tokens over batch size; ``None`` where none is known."""
    return _per_mtok(points, _energy, title, "energy (J a million generated tokens)", marks)


def cost_lines(points: Sequence[Point], *, title: str, marks: Marks | None = None) -> Lines | None:
    """Draw dollars a million generated tokens over batch size; ``None`` where none is known."""
    return _per_mtok(points, lambda p: p.cost_per_mtok, title, "cost ($ a million tokens)", marks)


Amount = Callable[[Point], float | None]


def _speed(point: Point) -> float | None:
    return point.output_throughput


def _energy(point: Point) -> float | None:
    return None if point.energy_j_per_token is None else point.energy_j_per_token * _PER_MTOK


def _per_mtok(
    points: Sequence[Point], amount: Amount, title: str, label: str, marks: Marks | None
) -> Lines | None:
    known = [p for p in points if p.can_run and amount(p) is not None]
    if len(known) < 2:
        return None
    least = min(known, key=lambda p: amount(p) or 0.0)
    return Lines(
        title=title,
        x_label=BATCH,
        y_label=label,
        series=(
            *(_line(group, amount, with_interval=False) for group in _starts(known)),
            *_rings(known, marks or {}, amount),
        ),
        alt=f"{title}. Least: {amount(least):,.3g} with {_name(least)}.{_marks_in_words(marks)}",
        is_x_log=True,
        is_y_log=True,
        ticks=_sizes(known),
    )


def _starts(points: Sequence[Point]) -> list[list[Point]]:
    """Return the points of each engine, GPU count and variant, by batch size."""
    groups: dict[tuple[str, int, str], list[Point]] = {}
    for point in sorted(points, key=lambda p: p.place):
        place = point.place
        groups.setdefault((place.engine, place.n_gpus, place.variant), []).append(point)
    return list(groups.values())


def _line(
    group: Sequence[Point], amount: Amount, *, is_band: bool = False, with_interval: bool = True
) -> Series:
    place = group[0].place
    known = [p for p in group if p.can_run and amount(p) is not None]
    bounded = with_interval and bool(known) and all(p.low and p.high for p in known)
    # GPU counts double, so each has a marker and a dash of its own; the engines' differ too
    others = list(ENGINE_COLORS).index(place.engine)
    marker, dash = line_style(place.n_gpus.bit_length() - 1 + others)
    return Series(
        name=", ".join(filter(None, (place.engine, _gpus(place.n_gpus), place.variant))),
        x=tuple(float(p.place.batch_size) for p in known),
        y=tuple(amount(p) or 0.0 for p in known),
        low=tuple(p.low or 0.0 for p in known) if bounded else (),
        high=tuple(p.high or 0.0 for p in known) if bounded else (),
        is_band=is_band,
        color=ENGINE_COLORS[place.engine],
        marker=marker,
        dash=dash,
        is_hollow=others > 0,
    )


def _measured(points: Sequence[Point]) -> Series:
    return Series(
        name="measured",
        x=tuple(float(p.place.batch_size) for p in points),
        y=tuple(p.output_throughput or 0.0 for p in points),
        dash="none",
        size=4.5,
        labels=tuple(map(_name, points)),
    )


def _rings(
    points: Sequence[Point],
    marks: Marks,
    amount: Amount,
    x: Callable[[Point], float] = lambda p: float(p.place.batch_size),
) -> list[Series]:
    """Return a ring around each marked point, named by its word."""
    found = {p.place: p for p in points if amount(p) is not None}
    return [
        Series(
            name=word,
            x=(x(found[place]),),
            y=(amount(found[place]) or 0.0,),
            color=BLACK,
            marker=_RINGS[index % len(_RINGS)],
            dash="none",
            size=13.0 + 4 * index,
            is_hollow=True,
            labels=(_name(found[place]),),
        )
        for index, (place, word) in enumerate(marks.items())
        if place in found
    ]


def _sizes(points: Sequence[Point]) -> tuple[float, ...]:
    return tuple(sorted({float(p.place.batch_size) for p in points}))


def _name(point: Point) -> str:
    place = point.place
    return f"{place.engine} on {_gpus(place.n_gpus)} at batch {place.batch_size}"


def _gpus(n: int) -> str:
    return f"{n} GPU{'s' if n > 1 else ''}"


def _span(points: Sequence[Point]) -> str:
    known = [p for p in points if p.can_run and p.output_throughput is not None]
    if not known:
        return "Nothing ran."
    slow = min(known, key=lambda p: p.output_throughput or 0.0)
    fast = max(known, key=lambda p: p.output_throughput or 0.0)
    return (
        f"From {slow.output_throughput:,.0f} tok/s with {_name(slow)} to "
        f"{fast.output_throughput:,.0f} with {_name(fast)}."
    )


def _marks_in_words(marks: Marks | None) -> str:
    words = [
        f"{word}: {place.engine}, {_gpus(place.n_gpus)}, batch {place.batch_size}"
        for place, word in (marks or {}).items()
    ]
    return f" Marked: {joined(words)}." if words else ""
