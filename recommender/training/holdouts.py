"""Which of the user's runs a backtest leaves out together, so that it does not flatter.

Whole GPUs and whole models where there are two or more of them. Where there is one landscape, its
blocks: all runs at one GPU count, or a third of the batch sizes, neighbours together; left-out
single cells would be told by the cells beside them.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from autotune.schema.record import RunRecord

MAX_FOLDS: Final = 5
_BLOCKS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """A group of runs to be predicted without any of them.

    Attributes:
        kind: What they share: gpu, model, n_gpus or batch_size.
        name: Its values, comma separated.
    """

    kind: str
    name: str
    rows: tuple[RunRecord, ...]


def held_out_groups(rows: Sequence[RunRecord]) -> list[HeldOut]:
    """Return the groups to leave out, one after the other; none where nothing tells runs apart.

    More than five GPUs, models or GPU counts are dealt to five groups by name.
    """
    groups = [
        *_by("gpu", rows, lambda r: r.gpu, MAX_FOLDS),
        *_by("model", rows, lambda r: r.model, MAX_FOLDS),
    ]
    if groups:
        return groups
    return [
        *_by("n_gpus", rows, lambda r: r.n_gpus, MAX_FOLDS),
        *_blocks(rows),
    ]


def _by(
    kind: str, rows: Sequence[RunRecord], value: Callable[[RunRecord], str | int], most: int
) -> Iterable[HeldOut]:
    values = sorted({value(row) for row in rows}, key=str)
    if len(values) < 2:
        return
    for k in range(min(most, len(values))):
        mine = values[k::most]
        yield _group(kind, mine, [row for row in rows if value(row) in mine])


def _blocks(rows: Sequence[RunRecord]) -> Iterable[HeldOut]:
    """Cut the batch sizes into up to three contiguous blocks."""
    sizes = sorted({row.batch_size for row in rows})
    n = min(_BLOCKS, len(sizes))
    if n < 2:
        return
    edges = [round(k * len(sizes) / n) for k in range(n + 1)]
    for low, high in pairwise(edges):
        block = sizes[low:high]
        yield _group("batch_size", block, [row for row in rows if row.batch_size in block])


def _group(kind: str, values: Sequence[str | int], rows: Sequence[RunRecord]) -> HeldOut:
    return HeldOut(kind=kind, name=", ".join(map(str, values)), rows=tuple(rows))
