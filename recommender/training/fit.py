"""Train the surrogate: constants, trees on the residual, shrinkage, calibration, intervals.

Everything that judges the trees (shrinkage, the calibration's variances, the intervals) is learned
from residuals of rows predicted by a fit that had not seen their GPU in their harness.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import xgboost
from numpy.typing import NDArray

from autotune.errors import SurrogateError
from autotune.schema.record import RunRecord
from recommender.features.efficiency import CLASSES, Constants, classes_of, columns, fit_constants
from recommender.features.encode import FEATURE_NAMES, encode_features
from recommender.features.roofline import roofline
from recommender.features.table import Array
from recommender.surrogate.artifact import META_FILE, TREES_FILE, SurrogateMeta
from recommender.surrogate.gaussian_process import one_blas_thread
from recommender.surrogate.predictor import Predictor
from recommender.surrogate.trees import load_forest
from recommender.training.dataset import Dataset, prepare
from recommender.training.fit_process import latency_factors, learn_calibration, spanned
from recommender.training.folds import (
    N_FOLDS,
    folds,
    harness_effects,
    learn_feasibility,
    named_effects,
    shrinkage_of,
    summarise,
)

ROUNDS: Final = 150
FURTHER_ROUNDS: Final = 60
FURTHER: Final[Mapping[str, float]] = {
    "eta": 0.06,
    "max_depth": 5,
    # a user's few rows are all needed by every tree
    "subsample": 1.0,
    "colsample_bytree": 1.0,
    "min_child_weight": 1.0,
    "lambda": 1.0,
}
FEWEST_ROWS: Final = 10
RESIDUAL_CLIP: Final = 1.5
PARAMETERS: Final[Mapping[str, Any]] = {
    "objective": "reg:squarederror",
    "tree_method": "hist",
    "min_child_weight": 5.0,
    "lambda": 5.0,
    "max_bin": 64,
    "subsample": 0.7,
    "colsample_bytree": 0.5,
    # each step is the mean of four trees: what a single draw of rows and features chances upon
    # counts less, and a few rows more or less change fewer choices
    "num_parallel_tree": 4,
    "base_score": 0.0,
    # a second thread spins while others compute, and brings little on matrices this small
    "nthread": 1,
}

# How fast and how deep trees learn: whichever is best on rows left out of the fit.
GROWN: Final[Sequence[Mapping[str, float]]] = tuple(
    {"eta": eta, "max_depth": depth} for eta in (0.06, 0.1, 0.2) for depth in (4, 5)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedSurrogate:
    """What ``fit`` learned; ``training_summary`` says from what."""

    booster: xgboost.Booster
    predictor: Predictor
    feature_names: tuple[str, ...]
    training_summary: Mapping[str, Any]

    def save(self, directory: Path) -> None:
        """Write surrogate.json and meta.json; the same fit writes the same bytes."""
        directory.mkdir(parents=True, exist_ok=True)
        trees = trees_of(self.booster)
        (directory / TREES_FILE).write_bytes(trees)
        (directory / META_FILE).write_text(self.predictor.meta.dumps(trees), encoding="utf-8")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ground:
    """Roofline constants, source effects (n_sources, n_classes), and what trees are grown on."""

    constants: Constants
    effects: Array
    matrix: xgboost.DMatrix


@dataclass(frozen=True, slots=True, kw_only=True)
class _LeftOut:
    """What fits without a row say of it, and what they teach.

    Attributes:
        residual: log(measured / predicted) of every row, shape (n,).
        shrinkage: By class, how much of the trees to believe.
        grown: The best of GROWN.
    """

    residual: Array
    shrinkage: Mapping[str, float]
    grown: Mapping[str, float]


def fit(records: Sequence[RunRecord], *, seed: int = 0) -> FittedSurrogate:
    """Train on records; which of them count is said in the result's ``training_summary``.

    Raises:
        SurrogateError: When fewer than ten measured rows can be learned from.
    """
    # small matrices: BLAS threads cost more than they bring, and make sums depend on their number
    with one_blas_thread():
        return _fit(records, seed)


def _fit(records: Sequence[RunRecord], seed: int) -> FittedSurrogate:
    data = prepare(records)
    if len(data.records) < FEWEST_ROWS:
        raise SurrogateError(
            f"only {len(data.records)} of {len(records)} rows can be learned from, "
            f"at least {FEWEST_ROWS} are needed (set aside: {dict(data.set_aside)}); "
            "run a study first"
        )
    classes = classes_of(data.inputs)
    out = _left_out(data, seed)
    base = _ground(data)
    booster = _grow(base, out.grown, seed)
    final_line = roofline(data.inputs, columns(base.constants, classes))
    of_trees = _believed(out.shrinkage, classes) * booster.inplace_predict(
        encode_features(data.inputs)
    )
    learned = data.log_throughput - np.log(final_line.throughput) - of_trees
    hyper, quantiles = learn_calibration(data, out.residual, learned, seed)
    summary = {
        **summarise(data, len(records), seed),
        "grown": dict(out.grown),
        "xgboost": xgboost.__version__,
    }
    meta = SurrogateMeta(
        feature_names=FEATURE_NAMES,
        constants=base.constants,
        shrinkage=out.shrinkage,
        hyper=hyper,
        quantiles=quantiles,
        latency=latency_factors(data, final_line, classes),
        source_effects=named_effects(data, base.effects, classes),
        feasibility=learn_feasibility(data),
        evidence=spanned(data),
        summary=summary,
    )
    predictor = Predictor(forest=load_forest(trees_of(booster)), meta=meta)
    return FittedSurrogate(
        booster=booster,
        predictor=predictor,
        feature_names=FEATURE_NAMES,
        training_summary=summary,
    )


def trees_of(booster: xgboost.Booster) -> bytes:
    """Return the trees as XGBoost's own JSON."""
    return bytes(booster.save_raw(raw_format="json"))


def _ground(data: Dataset) -> _Ground:
    classes = classes_of(data.inputs)
    constants = fit_constants(data.inputs, data.log_throughput, data.source, data.weight)
    line = roofline(data.inputs, columns(constants, classes)).throughput
    residual = data.log_throughput - np.log(line)
    effects = harness_effects(data, residual, classes)
    centred = np.clip(residual - effects[data.source, classes], -RESIDUAL_CLIP, RESIDUAL_CLIP)
    matrix = xgboost.DMatrix(
        encode_features(data.inputs),
        label=centred,
        weight=data.weight,
        feature_names=list(FEATURE_NAMES),
        nthread=int(PARAMETERS["nthread"]),
    )
    return _Ground(constants=constants, effects=effects, matrix=matrix)


def _grow(ground: _Ground, grown: Mapping[str, float], seed: int) -> xgboost.Booster:
    parameters = {**PARAMETERS, **grown, "seed": seed}
    return xgboost.train(parameters, ground.matrix, num_boost_round=ROUNDS)


def _left_out(data: Dataset, seed: int) -> _LeftOut:
    """Learn from fits without each row's GPU in its source."""
    groups = [f"{record.source}|{record.gpu}" for record in data.records]
    fold = folds(groups, seed)
    line, trees = np.zeros(len(groups)), np.zeros((len(GROWN), len(groups)))
    classes = classes_of(data.inputs)
    for index in range(N_FOLDS):
        out, rest = fold == index, fold != index
        if not out.any():
            continue
        ground = _ground(data.take(rest) if rest.any() else data)
        held = data.inputs.take(out)
        line[out] = np.log(roofline(held, columns(ground.constants, classes[out])).throughput)
        seen = encode_features(held)
        for of_trees, grown in zip(trees, GROWN, strict=True):
            of_trees[out] = _grow(ground, grown, seed).inplace_predict(seen)
    raw = data.log_throughput - line
    found = []
    for of_trees, grown in zip(trees, GROWN, strict=True):
        shrinkage = shrinkage_of(raw, of_trees, classes, data.weight)
        residual = raw - _believed(shrinkage, classes) * of_trees
        found.append(_LeftOut(residual=residual, shrinkage=shrinkage, grown=grown))
    return min(found, key=lambda left: float(data.weight @ np.abs(left.residual)))


def _believed(shrinkage: Mapping[str, float], classes: NDArray[np.int64]) -> Array:
    """Return how much of the trees to believe in each row, shape (n,)."""
    shares: Array = np.array([shrinkage[name] for name in CLASSES])[classes]
    return shares


def load_booster(directory: Path) -> xgboost.Booster:
    """Return the trees of a saved surrogate as a booster."""
    booster = xgboost.Booster()
    booster.load_model(str(directory / TREES_FILE))
    return booster


def go_on(
    booster: xgboost.Booster, *, features: Array, label: Array, weight: Array, seed: int
) -> xgboost.Booster:
    """Boost further towards ``label``, shape (n,), from what the booster says already."""
    matrix = xgboost.DMatrix(
        features,
        label=label,
        weight=weight,
        feature_names=list(FEATURE_NAMES),
        nthread=int(PARAMETERS["nthread"]),
    )
    parameters = {**PARAMETERS, **FURTHER, "seed": seed}
    return xgboost.train(parameters, matrix, num_boost_round=FURTHER_ROUNDS, xgb_model=booster)


def contributions(booster: xgboost.Booster, features: Array) -> Array:
    """Return XGBoost's SHAP values of the raw residual, shape (n, n_features + 1); last the bias.

    Exact for trees (Lundberg et al., "Consistent individualized feature attribution for tree
    ensembles", 2018): each row sums to the trees' prediction.
    """
    matrix = xgboost.DMatrix(features, feature_names=list(FEATURE_NAMES), nthread=1)
    found: Array = booster.predict(matrix, pred_contribs=True).astype(np.float64)
    return found
