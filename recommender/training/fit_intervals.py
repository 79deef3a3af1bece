"""How wide intervals have to be: each state of knowledge, rehearsed on landscapes left out."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from autotune.store.sampling import landscape_of
from recommender.features.table import Array
from recommender.surrogate.evidence import (
    ALONE,
    BOTH,
    ELSEWHERE,
    NEIGHBOURS,
    NOTHING,
    ON_TARGET,
    STATES,
    conformal_quantile,
    doubt,
)
from recommender.surrogate.gaussian_process import (
    ENGINE,
    GPU,
    MODEL,
    Cells,
    Hyper,
    posterior,
    student_t_scale,
    winsorized,
)
from recommender.training.dataset import Dataset

MOST_KNOWN: Final = 120
FEWEST_ON_TARGET: Final = 6
_NONE: Final = np.array([], dtype=np.int64)

Index = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Errors:
    residual: Array
    learned: Array
    doubts: Array


def learn_quantiles(
    data: Dataset,
    cells: Cells,
    residual: Array,
    learned: Array,
    index: Index,
    hyper: Hyper,
    rng: np.random.Generator,
) -> dict[str, float]:
    """Return the conformal factor of each state of knowledge, over the landscapes of some rows.

    Runs with purpose=confirm were chosen by a model: they do not calibrate.

    Args:
        residual: log(measured / predicted without the row's GPU in its source), shape (n,).
        learned: log(measured / predicted by a fit that learned from the row), shape (n,): what a
            known run says that the surrogate may have learned from.
        index: The rows, of n.
    """
    siblings: dict[object, list[int]] = defaultdict(list)
    landscapes: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for i in index.tolist():
        record = data.records[i]
        harness = (record.source, record.engine, record.mode)
        siblings[(*harness, record.model)].append(i)
        siblings[(*harness, record.gpu, "gpu")].append(i)
        if record.purpose != "confirm":
            landscapes[landscape_of(record)].append(i)
    scores: dict[str, list[Array]] = {state: [] for state in STATES}
    error = _Errors(residual=residual, learned=learned, doubts=doubt(data.inputs))
    for landscape, members in landscapes.items():
        rows = np.array(members)
        elsewhere = _sample(siblings[landscape[:-1]], rows, rng)
        neighbours = _sample(siblings[(*landscape[:-2], landscape[-1], "gpu")], rows, rng)
        for state, *knowledge in _calibration_states(cells, elsewhere, neighbours, rows):
            scores[state].append(_score(cells, error, hyper, *knowledge))
    return {state: round(conformal_quantile(found), 4) for state, found in scores.items()}


def _calibration_states(
    cells: Cells, elsewhere: Index, neighbours: Index, rows: Index
) -> Iterator[tuple[str, Index, Index, Index]]:
    """Yield each state that can be rehearsed on a landscape: runs learned from, fresh, wanted."""
    both = np.concatenate((elsewhere, neighbours))
    yield NOTHING, _NONE, _NONE, rows
    if neighbours.size:
        yield NEIGHBOURS, neighbours, _NONE, rows
    if elsewhere.size:
        yield ELSEWHERE, elsewhere, _NONE, rows
    if elsewhere.size and neighbours.size:
        yield BOTH, both, _NONE, rows
    if rows.size >= FEWEST_ON_TARGET:
        three = three_cells(cells, rows)
        rest = np.setdiff1d(rows, three)
        yield ALONE, neighbours, three, rest
        if elsewhere.size:
            yield ON_TARGET, both, three, rest


def three_cells(cells: Cells, rows: Index) -> Index:
    """Return the smallest and the largest batch of a landscape and a middle one, shape (3,)."""
    batch = cells.coordinates[rows, 1]
    order = rows[np.argsort(batch, kind="stable")]
    return order[[0, len(order) // 2, -1]]


def _sample(members: list[int], rows: Index, rng: np.random.Generator) -> Index:
    """Return at most MOST_KNOWN of the members that are not among the rows, in order."""
    others = np.setdiff1d(np.array(members, dtype=np.int64), rows)
    return np.sort(rng.permutation(others)[:MOST_KNOWN])


def _score(
    cells: Cells, error: _Errors, hyper: Hyper, learned: Index, fresh: Index, wanted: Index
) -> Array:
    """Return |error| / deviation of the wanted, given runs learned from and fresh ones."""
    known = np.concatenate((learned, fresh))
    labels = cells.labels[known]
    is_asked = labels[:, MODEL] == cells.labels[wanted[0], MODEL]
    prior_residual = np.concatenate((error.learned[learned], error.residual[fresh]))
    prior_residual = winsorized(prior_residual, labels[:, [ENGINE, GPU]], is_asked)
    given = hyper, cells.take(known), prior_residual, cells.take(wanted)
    mean, deviation = posterior(*given)
    widened = deviation * student_t_scale(*given) * error.doubts[wanted]
    scores: Array = np.abs(error.residual[wanted] - mean) / widened
    return scores
