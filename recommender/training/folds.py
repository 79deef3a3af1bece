"""Around the trees: levels of the harnesses, folds of left-out groups, shrinkage, feasibility."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from autotune.schema.record import RunRecord
from autotune.store.sampling import landscape_of
from recommender.features.efficiency import CLASSES, SOURCE_SD
from recommender.features.table import Array, collect
from recommender.surrogate.feasibility import Feasibility, fit_feasibility
from recommender.training.dataset import Dataset

N_FOLDS: Final = 5
UNTESTED_SHRINKAGE: Final = 0.25
FAILURE_WEIGHT: Final = 0.2


def harness_effects(data: Dataset, residual: Array, classes: NDArray[np.int64]) -> Array:
    """Return the level of each source in each class, shrunk to 0, shape (n_sources, n_classes)."""
    effects = np.zeros((len(data.sources), len(CLASSES)))
    for source, kind in {*zip(data.source.tolist(), classes.tolist(), strict=True)}:
        rows = (data.source == source) & (classes == kind)
        landscapes = len({landscape_of(data.records[i]) for i in np.flatnonzero(rows)})
        spread = max(float(residual[rows].std()), 0.05)
        trust = landscapes / (landscapes + (spread / SOURCE_SD) ** 2)
        effects[source, kind] = trust * float(np.median(residual[rows]))
    return effects


def folds(groups: Sequence[str], seed: int) -> NDArray[np.int64]:
    """Return a fold for each row: whole groups, dealt by the hash of their name."""
    names = sorted(
        set(groups), key=lambda name: hashlib.sha256(f"{seed}|{name}".encode()).hexdigest()
    )
    number = {name: position % N_FOLDS for position, name in enumerate(names)}
    return np.array([number[name] for name in groups], dtype=np.int64)


def shrinkage_of(
    residual: Array, trees: Array, classes: NDArray[np.int64], weight: Array
) -> dict[str, float]:
    """Return by class how much of the trees' residual helps on rows left out (0 to 1)."""
    chosen = {}
    grid = np.linspace(0.0, 1.0, 21)
    for index, name in enumerate(CLASSES):
        rows = classes == index
        if not rows.any():
            chosen[name] = UNTESTED_SHRINKAGE
            continue
        losses = [
            float((weight[rows] * np.abs(residual[rows] - share * trees[rows])).sum())
            for share in grid
        ]
        chosen[name] = float(grid[int(np.argmin(losses))])
    return chosen


def learn_feasibility(data: Dataset) -> Feasibility:
    """Return the feasibility model of the measured rows and the memory failures."""
    runs = [*data.records, *data.failures]
    outcome = np.concatenate((np.ones(len(data.records)), np.zeros(len(data.failures))))
    return fit_feasibility(collect(runs), outcome, np.full(len(runs), FAILURE_WEIGHT))


def named_effects(data: Dataset, effects: Array, classes: NDArray[np.int64]) -> dict[str, float]:
    """Return the effects by "source|class"."""
    present = sorted({*zip(data.source.tolist(), classes.tolist(), strict=True)})
    return {f"{data.sources[s]}|{CLASSES[k]}": round(float(effects[s, k]), 4) for s, k in present}


def summarise(data: Dataset, n_given: int, seed: int) -> dict[str, Any]:
    """Return from what was learned, in counts."""
    by_source = {name: int((data.source == index).sum()) for index, name in enumerate(data.sources)}
    return {
        "rows_given": n_given,
        "rows_used": len(data.records),
        "rows_used_by_source": by_source,
        "memory_failures_used": len(data.failures),
        "set_aside": dict(data.set_aside),
        "landscapes": len({landscape_of(record) for record in data.records}),
        "seed": seed,
    }


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
