"""Around the trees: levels of the harnesses, folds of left-out groups, shrinkage, feasibility."""

import hashlib
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

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
