"""Labels of arXiv 2408.01050's ``allData.csv``, which names neither the GPU nor the new tokens.

The file holds one pass after the other, each of one model with one engine on one GPU over rising
(GPUs, batch size). The published RQ2 tables give the throughput of 5 new tokens to one decimal for
each GPU, so a pass's GPU is the one whose tables it agrees with throughout. Within a cell the rows
are 5, 10 and 20 new tokens, in this order.
"""

import csv
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

from autotune.errors import InvalidRecordError

NEW_TOKENS: Final = (5, 10, 20)
# the tables are rounded to one decimal
ROUNDING: Final = 0.05 + 1e-9
GPUS: Final = {"a100": "A100-40GB", "tesla": "V100-32GB"}
_TABLE_NAME: Final = re.compile(r"table_batchsizes_(\w+)_(\w+)_gpu_(\d+)\.csv")
_FEWEST_TWINS: Final = 3
# an A100 has about twice a V100's bandwidth: no sweep comes out alike on both
_TWIN_TOLERANCE: Final = 0.01

# (GPUs, batch size) of a configuration
Cell = tuple[int, int]
# (model, engine, GPUs, batch size), names as the source writes them
Place = tuple[str, str, int, int]
# tokens/s with 5 new tokens by the table's name of the GPU; cells that failed are absent
Tables = Mapping[str, Mapping[Place, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRow:
    """A row as published.

    Attributes:
        line: 1-based line of the file.
        index: The source's own running number.
        throughput: Generated tokens/s; ``None`` where the cell is empty.
        outcome: ``ok`` or what went wrong.
    """

    line: int
    index: str
    model: str
    engine: str
    n_gpus: int
    batch_size: int
    throughput: float | None
    outcome: str

    @property
    def cell(self) -> Cell:
        """(GPUs, batch size)."""
        return (self.n_gpus, self.batch_size)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledRow:
    """A row with what the file leaves out.

    Attributes:
        gpu: Catalogue name; ``None`` where the pass agrees with no GPU's tables, or with two.
        output_len: New tokens; ``None`` where a row of the cell is missing before it.
        sweep: Number of the pass in the file, from 0.
        is_twin: Whether the throughputs under both GPUs are the same within 1 %.
    """

    row: SourceRow
    gpu: str | None
    output_len: int | None
    sweep: int
    is_twin: bool


def read_tables(folder: Path) -> Tables:
    """Read the RQ2 tables of a folder.

    Raises:
        InvalidRecordError: When there are none, or one holds something else than numbers.
    """
    tables: dict[str, dict[Place, float]] = defaultdict(dict)
    for path in sorted(folder.glob("*.csv")):
        named = _TABLE_NAME.fullmatch(path.name)
        if named is None or named[1] not in GPUS:
            continue
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                cells = _table_row(path, row, named[2], int(named[3]))
                tables[named[1]].update(cells)
    if len(tables) < len(GPUS):
        raise InvalidRecordError(
            f"{folder} lacks the RQ2 tables of {', '.join(sorted(set(GPUS) - set(tables)))} "
            "(table_batchsizes_GPU_ENGINE_gpu_N.csv), which tell the GPU of each row"
        )
    return tables


def _table_row(
    path: Path, row: Mapping[str, str], engine: str, n_gpus: int
) -> Iterator[tuple[Place, float]]:
    for name, text in row.items():
        if name == "model" or text == "nan":
            continue
        try:
            yield (row["model"], engine, n_gpus, int(name)), float(text)
        except (KeyError, TypeError, ValueError):
            raise InvalidRecordError(f"{path}: {name}={text!r} is not a throughput") from None


def label(rows: Iterable[SourceRow], tables: Tables) -> list[LabelledRow]:
    """Return the rows in their order, each with its GPU and its number of new tokens."""
    sweeps = split_passes(rows)
    gpus = [_gpu_of(sweep, tables) for sweep in sweeps]
    twins = _twins(sweeps, gpus)
    labelled = []
    for number, (sweep, gpu) in enumerate(zip(sweeps, gpus, strict=True)):
        for row, tokens in _with_tokens(sweep):
            twin = (row.model, row.engine, row.n_gpus) in twins
            labelled.append(
                LabelledRow(row=row, gpu=gpu, output_len=tokens, sweep=number, is_twin=twin)
            )
    return labelled


def split_passes(rows: Iterable[SourceRow]) -> list[list[SourceRow]]:
    """Split where the model or engine changes or (GPUs, batch size) falls back."""
    ordered = list(rows)
    passes = [ordered[:1]] if ordered else []
    for before, row in pairwise(ordered):
        same = (row.model, row.engine) == (before.model, before.engine)
        if not same or row.cell < before.cell:
            passes.append([])
        passes[-1].append(row)
    return passes


def _with_tokens(sweep: Sequence[SourceRow]) -> Iterator[tuple[SourceRow, int | None]]:
    """Yield each row with its new tokens; of two rows in a cell, the second may be either."""
    cells = _by_cell(sweep)
    for rows in cells.values():
        known: tuple[int | None, ...] = NEW_TOKENS if len(rows) == len(NEW_TOKENS) else (5,)
        for place, row in enumerate(rows):
            yield row, known[place] if place < len(known) else None


def _gpu_of(sweep: Sequence[SourceRow], tables: Tables) -> str | None:
    agreeing = [name for name in GPUS if _agrees(sweep, tables[name])]
    return GPUS[agreeing[0]] if len(agreeing) == 1 else None


def _agrees(sweep: Sequence[SourceRow], table: Mapping[Place, float]) -> bool:
    """Return whether each cell's first row is the table's to its rounding, failures included."""
    for cell, rows in _by_cell(sweep).items():
        row = rows[0]
        published = table.get((row.model, row.engine, *cell))
        if (published is None) != (row.throughput is None):
            return False
        if published is not None and abs(published - (row.throughput or 0.0)) > ROUNDING:
            return False
    return True


def _twins(
    sweeps: Sequence[Sequence[SourceRow]], gpus: Sequence[str | None]
) -> set[tuple[str, str, int]]:
    """Return the (model, engine, GPUs) whose throughputs are alike on both GPUs."""
    seen: dict[tuple[str, str, int], dict[str, dict[tuple[int, int], float]]] = defaultdict(dict)
    for sweep, gpu in zip(sweeps, gpus, strict=True):
        for rows in _by_cell(sweep).values():
            for place, row in enumerate(rows):
                if gpu is not None and row.throughput is not None:
                    values = seen[(row.model, row.engine, row.n_gpus)].setdefault(gpu, {})
                    values[(row.batch_size, place)] = row.throughput
    return {key for key, by_gpu in seen.items() if len(by_gpu) == 2 and _same(*by_gpu.values())}


def _same(one: Mapping[tuple[int, int], float], other: Mapping[tuple[int, int], float]) -> bool:
    shared = set(one) & set(other)
    return len(shared) >= _FEWEST_TWINS and all(
        abs(one[key] / other[key] - 1) <= _TWIN_TOLERANCE for key in shared
    )


def _by_cell(sweep: Sequence[SourceRow]) -> dict[Cell, list[SourceRow]]:
    cells: dict[Cell, list[SourceRow]] = defaultdict(list)
    for row in sweep:
        cells[row.cell].append(row)
    return cells
