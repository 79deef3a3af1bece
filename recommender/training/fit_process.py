"""What a fit learns from rows left out: the calibration; latencies; and what its rows spanned."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recommender.features.efficiency import CLASSES
from recommender.features.roofline import Roofline
from recommender.features.table import FAMILIES, Array, families_of
from recommender.surrogate.artifact import Evidence
from recommender.surrogate.gaussian_process import (
    DEGREES,
    MODEL,
    Cells,
    Hyper,
    cells_of,
    covariance,
)
from recommender.training.dataset import Dataset
from recommender.training.fit_intervals import learn_quantiles

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


SAMPLE_ROWS: Final = 200
SAMPLES_EACH: Final = 2
CLIP: Final = 1.5


def learn_calibration(
    data: Dataset, residual: Array, learned: Array, seed: int
) -> tuple[dict[str, Hyper], dict[str, Mapping[str, float]]]:
    """Return hyper-parameters and conformal factors by engine family.

    Args:
        data: n rows.
        residual: log(measured / predicted without the row's GPU in its source), shape (n,).
        learned: log(measured / predicted by a fit that learned from the row), shape (n,).
    """
    cells = cells_of(data.records, data.inputs)
    rng = np.random.default_rng(seed)
    families = families_of(data.inputs)
    hypers: dict[str, Hyper] = {}
    quantiles: dict[str, Mapping[str, float]] = {}
    for number, name in enumerate(FAMILIES):
        index = np.flatnonzero(families == number)
        samples = _samples(data, cells, residual, index, rng)
        hypers[name] = fit_hyper(samples, Hyper()) if samples else Hyper()
        quantiles[name] = learn_quantiles(data, cells, residual, learned, index, hypers[name], rng)
    return hypers, quantiles


def _samples(
    data: Dataset,
    cells: Cells,
    residual: Array,
    index: NDArray[np.int64],
    rng: np.random.Generator,
) -> list[Sample]:
    """Return a few samples of every source, whole models at a time, so that effects show."""
    samples = []
    for source in np.unique(data.source[index]):
        rows = index[data.source[index] == source]
        models = cells.labels[rows, MODEL]
        for _ in range(SAMPLES_EACH):
            chosen = rng.permutation(np.unique(models))[:6]
            pool = rows[np.isin(models, chosen)]
            picked = np.sort(rng.permutation(pool)[:SAMPLE_ROWS])
            if picked.size > 1:
                clipped = np.clip(residual[picked], -CLIP, CLIP)
                samples.append(Sample(cells=cells.take(picked), residual=clipped))
    return samples


def latency_factors(
    data: Dataset, line: Roofline, classes: NDArray[np.int64]
) -> dict[str, tuple[float, float]]:
    """Return by class the median of measured / roofline TTFT and TPOT; 1 where unmeasured."""
    ttft = np.array([_first(r.mean_ttft_ms, r.median_ttft_ms) for r in data.records])
    tpot = np.array([_first(r.mean_tpot_ms, r.median_tpot_ms, r.mean_itl_ms) for r in data.records])
    factors = {}
    for index, name in enumerate(CLASSES):
        rows = classes == index
        pair = (ttft[rows] / line.ttft_s[rows], tpot[rows] / line.tpot_s[rows])
        factors[name] = (_median(pair[0] / 1000), _median(pair[1] / 1000))
    return factors


def _first(*values: float | None) -> float:
    return next((value for value in values if value), np.nan)


def _median(values: Array) -> float:
    finite = values[np.isfinite(values)]
    return round(float(np.median(finite)), 4) if finite.size else 1.0


def spanned(data: Dataset) -> Evidence:
    """Return which GPUs and models each engine and mode was measured on."""
    gpus: dict[str, set[str]] = defaultdict(set)
    models: dict[str, set[str]] = defaultdict(set)
    for record in data.records:
        key = f"{record.engine}/{record.mode}"
        gpus[key].add(record.gpu)
        models[key].add(record.model)
    return Evidence(gpus=_sorted(gpus), models=_sorted(models))


def _sorted(sets: Mapping[str, set[str]]) -> dict[str, tuple[str, ...]]:
    return {key: _names(sets[key]) for key in sorted(sets)}


def _names(names: Sequence[str] | set[str]) -> tuple[str, ...]:
    return tuple(sorted(names))
