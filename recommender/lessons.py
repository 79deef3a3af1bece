"""What a fit learns from rows left out: calibration, intervals; and what its rows spanned."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recommender.calibration import Cells, Hyper, cells_of, posterior
from recommender.calibration_fit import Sample, fit_hyper
from recommender.dataset import Dataset, landscape_of
from recommender.efficiency import CLASSES
from recommender.facts import Array
from recommender.intervals import ELSEWHERE, NOTHING, ON_TARGET, conformal_quantile
from recommender.meta import Evidence
from recommender.roofline import Roofline

FAMILIES: Final = ("hf", "other")
SAMPLE_ROWS: Final = 200
SAMPLES_EACH: Final = 2
KNOWN_ELSEWHERE: Final = 60
FEWEST_ON_TARGET: Final = 6
CLIP: Final = 1.5


def learn_calibration(
    data: Dataset, residual: Array, seed: int
) -> tuple[dict[str, Hyper], dict[str, Mapping[str, float]]]:
    """Return hyper-parameters and conformal factors by engine family.

    Args:
        data: n rows.
        residual: log(measured / predicted without the row's GPU in its source), shape (n,).
    """
    cells = cells_of(data.records, data.facts)
    rng = np.random.default_rng(seed)
    is_hf = data.facts.is_engine("hf")
    hypers: dict[str, Hyper] = {}
    quantiles: dict[str, Mapping[str, float]] = {}
    for name, rows in zip(FAMILIES, (is_hf, ~is_hf), strict=True):
        index = np.flatnonzero(rows)
        samples = _samples(data, cells, residual, index, rng)
        hypers[name] = fit_hyper(samples, Hyper()) if samples else Hyper()
        quantiles[name] = _quantiles(data, cells, residual, index, hypers[name], rng)
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
        models = cells.labels[rows, 1]
        for _ in range(SAMPLES_EACH):
            chosen = rng.permutation(np.unique(models))[:6]
            pool = rows[np.isin(models, chosen)]
            picked = np.sort(rng.permutation(pool)[:SAMPLE_ROWS])
            if picked.size > 1:
                clipped = np.clip(residual[picked], -CLIP, CLIP)
                samples.append(Sample(cells=cells.take(picked), residual=clipped))
    return samples


def _quantiles(
    data: Dataset,
    cells: Cells,
    residual: Array,
    index: NDArray[np.int64],
    hyper: Hyper,
    rng: np.random.Generator,
) -> dict[str, float]:
    """Return the conformal factor of each state of knowledge, over the landscapes of some rows.

    Runs with purpose=confirm were chosen by a model: they do not calibrate.
    """
    landscapes: dict[object, list[int]] = defaultdict(list)
    siblings: dict[object, list[int]] = defaultdict(list)
    for i in index.tolist():
        record = data.records[i]
        siblings[(record.source, record.engine, record.mode, record.model)].append(i)
        if record.purpose != "confirm":
            landscapes[landscape_of(record)].append(i)
    scores: dict[str, list[Array]] = {NOTHING: [], ELSEWHERE: [], ON_TARGET: []}
    for key, members in landscapes.items():
        rows = np.array(members)
        assert isinstance(key, tuple)
        others = np.setdiff1d(np.array(siblings[key[:4]]), rows)
        others = np.sort(rng.permutation(others)[:KNOWN_ELSEWHERE])
        scores[NOTHING].append(_score(cells, residual, hyper, np.array([], dtype=np.int64), rows))
        if others.size:
            scores[ELSEWHERE].append(_score(cells, residual, hyper, others, rows))
        if rows.size >= FEWEST_ON_TARGET:
            three = three_cells(cells, rows)
            rest = np.setdiff1d(rows, three)
            known = np.concatenate((others, three))
            scores[ON_TARGET].append(_score(cells, residual, hyper, known, rest))
    return {state: round(conformal_quantile(found), 4) for state, found in scores.items()}


def three_cells(cells: Cells, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the smallest and the largest batch of a landscape and a middle one, shape (3,)."""
    batch = cells.coordinates[rows, 1]
    order = rows[np.argsort(batch, kind="stable")]
    return order[[0, len(order) // 2, -1]]


def _score(
    cells: Cells,
    residual: Array,
    hyper: Hyper,
    known: NDArray[np.int64],
    wanted: NDArray[np.int64],
) -> Array:
    mean, deviation = posterior(hyper, cells.take(known), residual[known], cells.take(wanted))
    return np.abs(residual[wanted] - mean) / deviation


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
