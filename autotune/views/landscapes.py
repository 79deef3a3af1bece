"""Landscapes: throughput over GPUs x batch size, and how irregular it is."""

import json
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from autotune.schema.record import RunRecord

# GPUs of a replica and batch size
Cell = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Landscape:
    """One model with one engine on one GPU under one workload.

    Attributes:
        variant: Whatever else the runs have in common (dtype, version, knobs), as one text.
        cells: Generated tokens/s of each (GPUs, batch size) that ran; the median of repeated runs.
        n_failed: Cells of which no run came to a throughput that counts.
    """

    source: str
    engine: str
    mode: str
    model: str
    gpu: str
    input_len: int | None
    output_len: int | None
    variant: str
    cells: Mapping[Cell, float]
    n_failed: int

    @property
    def best(self) -> Cell | None:
        """The fastest cell; of equally fast ones the smallest."""
        return best_cell(self.cells)


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """Steps between neighbouring measured cells along one axis, and how many of them decrease."""

    n: int
    n_decreasing: int


def landscapes_of(records: Iterable[RunRecord], *, with_suspect: bool = False) -> list[Landscape]:
    """Group records into landscapes, in a fixed order.

    Args:
        with_suspect: Count suspect rows too, partial throughputs of failed runs among them.
    """
    groups: dict[tuple[str, ...], list[RunRecord]] = defaultdict(list)
    for record in records:
        if with_suspect or not record.suspect:
            groups[_key(record)].append(record)
    return [_landscape(rows) for _, rows in sorted(groups.items())]


def _key(record: RunRecord) -> tuple[str, ...]:
    lengths = (f"{record.input_len or 0:09d}", f"{record.output_len or 0:09d}")
    return (record.source, record.engine, record.model, record.gpu, record.mode, *lengths,
            _variant(record))  # fmt: skip


def _variant(record: RunRecord) -> str:
    knobs = json.dumps(dict(sorted(record.knobs.items()))) if record.knobs else ""
    named = (record.dtype, record.quantization, record.engine_version, knobs)
    return ", ".join(text for text in named if text)


def _landscape(rows: list[RunRecord]) -> Landscape:
    throughputs: dict[Cell, list[float]] = defaultdict(list)
    for row in rows:
        values = throughputs[(row.n_gpus, row.batch_size)]
        if row.output_throughput is not None:
            values.append(row.output_throughput)
    first = rows[0]
    return Landscape(
        source=first.source,
        engine=first.engine,
        mode=first.mode,
        model=first.model,
        gpu=first.gpu,
        input_len=first.input_len,
        output_len=first.output_len,
        variant=_variant(first),
        cells={c: statistics.median(v) for c, v in sorted(throughputs.items()) if v},
        n_failed=sum(not values for values in throughputs.values()),
    )


def best_cell(cells: Mapping[Cell, float]) -> Cell | None:
    """Return the fastest cell, of equally fast ones the smallest; ``None`` of none."""
    return max(cells, key=lambda cell: (cells[cell], -cell[0], -cell[1]), default=None)


def local_maxima(cells: Mapping[Cell, float]) -> list[Cell]:
    """Return the cells faster than each neighbour: the next measured one either way on both axes.

    >>> local_maxima({(1, 1): 5.0, (1, 2): 9.0, (1, 4): 7.0, (1, 8): 8.0})
    [(1, 2), (1, 8)]
    """
    beaten: set[Cell] = set()
    for low, high in [*_pairs(cells, axis=0), *_pairs(cells, axis=1)]:
        beaten |= {low} if cells[low] <= cells[high] else set()
        beaten |= {high} if cells[high] <= cells[low] else set()
    return [cell for cell in sorted(cells) if cell not in beaten]


def batch_steps(cells: Mapping[Cell, float]) -> Steps:
    """Count the steps to the next larger batch at the same number of GPUs."""
    return _steps(cells, axis=1)


def gpu_steps(cells: Mapping[Cell, float]) -> Steps:
    """Count the steps to the next larger number of GPUs at the same batch size."""
    return _steps(cells, axis=0)


def _steps(cells: Mapping[Cell, float], *, axis: int) -> Steps:
    pairs = _pairs(cells, axis=axis)
    return Steps(n=len(pairs), n_decreasing=sum(cells[high] < cells[low] for low, high in pairs))


def _pairs(cells: Iterable[Cell], *, axis: int) -> list[tuple[Cell, Cell]]:
    """Return each measured cell with the next measured one along an axis."""
    lines: dict[int, list[Cell]] = defaultdict(list)
    for cell in sorted(cells):
        lines[cell[1 - axis]].append(cell)
    return [pair for line in lines.values() for pair in pairwise(line)]


FEWEST_CELLS = 2
_HEAD = (
    "| engine | model | GPU | tokens in/out | settings | measured | failed | best GPUs x batch "
    "| tok/s | local maxima | batch steps down | GPU steps down |"
)
_RULE = "|---|---|---|---|---|--:|--:|---|--:|--:|--:|--:|"


def landscape_table(lands: Sequence[Landscape]) -> str:
    """Return a line a landscape: its best configuration and how irregular it is."""
    return "\n".join([_HEAD, _RULE, *(_line(land) for land in lands)])


def _line(land: Landscape) -> str:
    best = land.best
    found = "-" if best is None else f"{best[0]} x {best[1]}"
    top = "-" if best is None else f"{land.cells[best]:,.1f}"
    tokens = f"{land.input_len or '?'}/{land.output_len or '?'}"
    settings = ", ".join(text for text in (land.mode, land.variant) if text)
    name = land.model.rpartition("/")[2]
    return (
        f"| {land.engine} | {name} | {land.gpu} | {tokens} | {settings} "
        f"| {len(land.cells)} | {land.n_failed} | {found} | {top} "
        f"| {len(local_maxima(land.cells))} | {_share(batch_steps(land.cells))} "
        f"| {_share(gpu_steps(land.cells))} |"
    )


def irregularity(lands: Sequence[Landscape]) -> str:
    """Return a sentence on how many landscapes rise and fall more than once."""
    drawn = [land for land in lands if len(land.cells) >= FEWEST_CELLS]
    if not drawn:
        return f"{len(lands)} landscapes, none with two measured configurations."
    counts = [len(local_maxima(land.cells)) for land in drawn]
    batch = _sum([batch_steps(land.cells) for land in drawn])
    gpus = _sum([gpu_steps(land.cells) for land in drawn])
    return (
        f"{len(drawn)} landscapes with {sum(len(land.cells) for land in drawn)} measured "
        f"configurations: {sum(count > 1 for count in counts)} have more than one local maximum "
        f"({sum(counts) / len(counts):.1f} on average); {_share(batch)} of the steps to the next "
        f"batch size and {_share(gpus)} of those to more GPUs lower the throughput."
    )


def _sum(steps: Sequence[Steps]) -> Steps:
    return Steps(n=sum(s.n for s in steps), n_decreasing=sum(s.n_decreasing for s in steps))


def _share(steps: Steps) -> str:
    return f"{steps.n_decreasing / steps.n:.0%}" if steps.n else "-"
