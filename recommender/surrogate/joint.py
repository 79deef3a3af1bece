"""How predictions of one landscape err together: what a statement about its best has to know."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from autotune.schema.record import Configuration, RunRecord
from recommender.features.table import Array
from recommender.surrogate.evidence import gather
from recommender.surrogate.gaussian_process import ENGINE, joint_covariance
from recommender.surrogate.predictor import Predictor, family

_SMALLEST_VARIANCE: Final = 1e-12


def correlation(
    predictor: Predictor, configurations: Sequence[Configuration], known: Sequence[RunRecord]
) -> Array:
    """Return how the log throughputs of n configurations correlate, shape (n, n).

    Given the known runs. Engines err independently of each other.
    """
    n = len(configurations)
    covariance = np.zeros((n, n))
    if not n:
        return covariance
    knowledge = gather(configurations, known)
    for engine in np.unique(knowledge.cells.labels[:, ENGINE]):
        rows = np.flatnonzero(knowledge.cells.labels[:, ENGINE] == engine)
        runs = knowledge.run_cells.labels[knowledge.measured, ENGINE] == engine
        covariance[np.ix_(rows, rows)] = joint_covariance(
            predictor.meta.hyper[family(knowledge.facts, int(rows[0]))],
            knowledge.run_cells.take(knowledge.measured[runs]),
            knowledge.cells.take(rows),
        )
    deviation = np.sqrt(np.diag(covariance).clip(min=_SMALLEST_VARIANCE))
    scaled: Array = covariance / np.outer(deviation, deviation)
    return scaled
