"""How wide intervals have to be: each state of knowledge, rehearsed on landscapes left out."""

from collections import defaultdict
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recommender.calibration import ENGINE, GPU, MODEL, Cells, Hyper, posterior, winsorized
from recommender.dataset import Dataset, landscape_of
from recommender.facts import Array
from recommender.intervals import (
    BOTH,
    ELSEWHERE,
    NEIGHBOURS,
    NOTHING,
    ON_TARGET,
    STATES,
    conformal_quantile,
    doubt,
)

MOST_KNOWN: Final = 120
FEWEST_ON_TARGET: Final = 6
_NONE: Final = np.array([], dtype=np.int64)

Index = NDArray[np.int64]


def learn_quantiles(
    data: Dataset,
    cells: Cells,
    residual: Array,
    index: Index,
    hyper: Hyper,
    rng: np.random.Generator,
) -> dict[str, float]:
    """Return the conformal factor of each state of knowledge, over the landscapes of some rows.

    Runs with purpose=confirm were chosen by a model: they do not calibrate.

    Args:
        residual: log(measured / predicted without the row's GPU in its source), shape (n,).
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
    error = residual, doubt(data.facts)
    for landscape, members in landscapes.items():
        rows = np.array(members)
        elsewhere = _sample(siblings[landscape[:-1]], rows, rng)
        neighbours = _sample(siblings[(*landscape[:-2], landscape[-1], "gpu")], rows, rng)
        both = np.concatenate((elsewhere, neighbours))
        known = {NOTHING: _NONE, NEIGHBOURS: neighbours, ELSEWHERE: elsewhere}
        if elsewhere.size and neighbours.size:
            known[BOTH] = both
        for state, runs in known.items():
            if runs.size or state == NOTHING:
                scores[state].append(_score(cells, error, hyper, runs, rows))
        if rows.size >= FEWEST_ON_TARGET:
            three = three_cells(cells, rows)
            rest = np.setdiff1d(rows, three)
            runs = np.concatenate((both, three))
            scores[ON_TARGET].append(_score(cells, error, hyper, runs, rest))
    return {state: round(conformal_quantile(found), 4) for state, found in scores.items()}


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
    cells: Cells, error: tuple[Array, Array], hyper: Hyper, known: Index, wanted: Index
) -> Array:
    residual, doubts = error
    labels = cells.labels[known]
    is_asked = labels[:, MODEL] == cells.labels[wanted[0], MODEL]
    said = winsorized(residual[known], labels[:, [ENGINE, GPU]], is_asked)
    mean, deviation = posterior(hyper, cells.take(known), said, cells.take(wanted))
    return np.abs(residual[wanted] - mean) / (deviation * doubts[wanted])
