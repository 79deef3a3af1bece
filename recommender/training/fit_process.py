"""What a fit learns from rows left out: the calibration; latencies; and what its rows spanned."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recommender.features.efficiency import CLASSES
from recommender.features.roofline import Roofline
from recommender.features.table import FAMILIES, Array, families_of
from recommender.surrogate.artifact import Evidence
from recommender.surrogate.gaussian_process import MODEL, Cells, Hyper, cells_of
from recommender.training.calibration_fit import Sample, fit_hyper
from recommender.training.dataset import Dataset
from recommender.training.fit_intervals import learn_quantiles

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
    cells = cells_of(data.records, data.facts)
    rng = np.random.default_rng(seed)
    families = families_of(data.facts)
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
