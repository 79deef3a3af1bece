"""Fit the Gaussian process's variances and length scales to residuals of runs left out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from recommender.features.table import Array
from recommender.surrogate.gaussian_process import DEGREES, MODEL, Cells, Hyper, covariance

_STEPS: Final = (3.0, 1.5)
_TUNED: Final = (
    "harness",
    "shape",
    "gpu",
    "gpu_shape",
    "model",
    "model_shape",
    "cell",
    "cell_shape",
    "noise",
    "gpus",
    "batch",
    "input",
    "output",
    "size",
)
_SCALES: Final = frozenset({"gpus", "batch", "input", "output", "size"})
_VARIANCE_RANGE: Final = (1e-4, 1.0)
_SCALE_RANGE: Final = (0.7, 12.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Rows of one harness: their cells and residuals, shape (n,)."""

    cells: Cells
    residual: Array


def fit_hyper(samples: Sequence[Sample], start: Hyper) -> Hyper:
    """Return the hyper-parameters of the largest likelihood of all samples, by coordinate search.

    Each sample weighs the same whatever its size.
    """
    best, value = start, _mean_likelihood(start, samples)
    for step in _STEPS:
        for name in _TUNED:
            low, high = _SCALE_RANGE if name in _SCALES else _VARIANCE_RANGE
            for factor in (step, 1 / step):
                changed = float(np.clip(getattr(best, name) * factor, low, high))
                candidate = replace(best, **{name: float(f"{changed:.4g}")})
                likelihood = _mean_likelihood(candidate, samples)
                if likelihood > value:
                    best, value = candidate, likelihood
                    break
    return best


def _mean_likelihood(hyper: Hyper, samples: Sequence[Sample]) -> float:
    return float(np.mean([_likelihood(hyper, sample) for sample in samples]))


def _likelihood(hyper: Hyper, sample: Sample) -> float:
    """Return the log likelihood of one sample, a row; each model's spread is its own.

    A Student-t likelihood of each model's runs given those of the models before it: a few odd
    models do not widen what is expected of all others.
    """
    n = len(sample.residual)
    gram = covariance(hyper, sample.cells, sample.cells) + hyper.noise * np.eye(n)
    try:
        factor = np.linalg.cholesky(gram)
    except np.linalg.LinAlgError:
        return -np.inf
    white = np.linalg.solve(factor, sample.residual)
    surprise = np.bincount(sample.cells.labels[:, MODEL], weights=white**2)
    runs = np.bincount(sample.cells.labels[:, MODEL])
    spread = 0.5 * (DEGREES + runs) * np.log1p(surprise / DEGREES)
    return float(-spread.sum() - np.log(np.diag(factor)).sum()) / n
