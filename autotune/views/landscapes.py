"""Landscapes: throughput over GPUs x batch size, and how irregular it is."""

import json
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping
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
