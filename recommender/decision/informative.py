"""Which runs would help a decision most, before any of them is made."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from autotune.schema.configuration import Configuration
from autotune.schema.record import RunRecord
from recommender.features.table import Array
from recommender.surrogate.evidence import gather
from recommender.surrogate.gaussian_process import ENGINE, Cells, Hyper, covariance
from recommender.surrogate.predictor import Predictor, family

_NODES = np.linspace(-4.0, 4.0, 41)
_WEIGHTS = np.exp(-(_NODES**2) / 2)
_WEIGHTS /= _WEIGHTS.sum()


def most_informative(
    predictor: Predictor,
    configurations: Sequence[Configuration],
    log_score: Array,
    known: Sequence[RunRecord],
    *,
    n_runs: int = 2,
) -> list[int]:
    """Return the configurations whose measurement helps the decision most.

    A run helps by how much better the best is expected to be once its result is known (the
    knowledge gradient: Frazier, Powell, Dayanik, INFORMS J. Computing 2009). How far a result moves
    each expectation is known beforehand: it is the posterior variance that the run takes away. Runs
    are chosen one after the other, with the variance that the earlier ones leave.

    Args:
        configurations: n that may be recommended.
        log_score: Natural log of what the decision maximises, shape (n,).

    Returns:
        At most ``n_runs`` indices, fewer where there are no more configurations.
    """
    joint, noise = _joint(predictor, configurations, known)
    chosen: list[int] = []
    for _ in range(min(n_runs, len(configurations))):
        # how far a result one deviation off (columns) moves every expectation (rows)
        moves = joint / np.sqrt(joint.diagonal() + noise)
        promise = [_expected_best(log_score, moves[:, i]) for i in range(len(log_score))]
        index = max((i for i in range(len(promise)) if i not in chosen), key=promise.__getitem__)
        chosen.append(index)
        column = joint[:, index]
        joint = joint - np.outer(column, column) / (joint[index, index] + noise[index])
    return chosen


def _expected_best(log_score: Array, move: Array) -> float:
    """Return E[max exp(log_score + move x Z)] for a standard normal Z, by the trapezoidal rule."""
    best = np.exp(log_score - log_score.max() + _NODES[:, None] * move).max(axis=1)
    return float(best @ _WEIGHTS)


def _joint(
    predictor: Predictor, configurations: Sequence[Configuration], known: Sequence[RunRecord]
) -> tuple[Array, Array]:
    """Return the posterior covariance of log throughputs, shape (n, n), and the noise, (n,)."""
    knowledge = gather(configurations, known)
    n = len(configurations)
    joint, noise = np.zeros((n, n)), np.zeros(n)
    runs = knowledge.run_cells.take(knowledge.measured)
    for engine in np.unique(knowledge.cells.labels[:, ENGINE]):
        rows = np.flatnonzero(knowledge.cells.labels[:, ENGINE] == engine)
        own = runs.take(np.flatnonzero(runs.labels[:, ENGINE] == engine))
        hyper = predictor.meta.hyper[family(knowledge.inputs, int(rows[0]))]
        joint[np.ix_(rows, rows)] = _posterior(hyper, own, knowledge.cells.take(rows))
        noise[rows] = hyper.noise
    return joint, noise


def _posterior(hyper: Hyper, known: Cells, wanted: Cells) -> Array:
    """Return the covariance of the wanted residuals given the known ones, shape (n, n)."""
    prior = covariance(hyper, wanted, wanted)
    m = len(known.labels)
    if not m:
        return prior
    gram = covariance(hyper, known, known) + hyper.noise * np.eye(m)
    cross: NDArray[np.float64] = np.linalg.solve(
        np.linalg.cholesky(gram), covariance(hyper, known, wanted)
    )
    result: Array = prior - cross.T @ cross
    return result
