"""Which runs would help a decision most, before any of them is made."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from autotune.records import Configuration, RunRecord
from recommender.calibration import Cells, Hyper, covariance
from recommender.facts import Array
from recommender.knowledge import ENGINE, gather
from recommender.predictor import Predictor, family


def most_informative(
    predictor: Predictor,
    configurations: Sequence[Configuration],
    log_score: Array,
    known: Sequence[RunRecord],
    *,
    n_runs: int = 2,
) -> list[int]:
    """Return the configurations whose measurement leaves the decision least in doubt.

    The doubt is the variance of how much each rival differs from the best, summed over the rivals,
    each weighed by its chance to be the better one. Runs are chosen one after the other; a run's
    reduction is known beforehand, since a Gaussian process's variance does not depend on what it
    will measure.

    Args:
        configurations: n that may be recommended.
        log_score: Natural log of what the decision maximises, shape (n,).

    Returns:
        At most ``n_runs`` indices; fewer when nothing more would help.
    """
    joint, noise = _joint(predictor, configurations, known)
    best = int(np.argmax(log_score))
    chosen: list[int] = []
    for _ in range(n_runs):
        reduction = _reduction(joint, noise, log_score, best)
        reduction[chosen] = 0.0
        if not reduction.max() > 0:
            break
        index = int(np.argmax(reduction))
        chosen.append(index)
        column = joint[:, index]
        joint = joint - np.outer(column, column) / (joint[index, index] + noise[index])
    return chosen


def _reduction(joint: Array, noise: Array, log_score: Array, best: int) -> Array:
    """Return how much doubt a run of each configuration would remove, shape (n,)."""
    variance = joint.diagonal() + joint[best, best] - 2 * joint[best]
    spread = np.sqrt(variance.clip(min=1e-12))
    weight = np.array(
        [0.5 * math.erfc(gap / math.sqrt(2)) for gap in (log_score[best] - log_score) / spread]
    )
    weight[best] = 0.0
    # covariance of each difference (rows: rivals) with each run (columns)
    shared = joint - joint[best]
    result: Array = (weight[:, None] * shared**2).sum(axis=0) / (joint.diagonal() + noise)
    return result


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
        hyper = predictor.meta.hyper[family(knowledge.facts, int(rows[0]))]
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
