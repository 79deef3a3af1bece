"""Efficiency constants of the roofline: which class a row belongs to, and fitting them to runs.

Engines and modes reach different fractions of a spec sheet, so each class has its own constants.
They are the mode of a posterior: Gauss-Newton on log(measured / roofline) with Huber weights, a
log-normal prior around ``roofline.CONSTANTS``, and a random effect a source, so that the level of
one harness does not bend the shape that all share.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from autotune.schema.validation import ENGINES
from recommender.features.roofline import CONSTANT_NAMES, CONSTANTS, roofline
from recommender.features.table import Array, ConfigurationTable

CLASSES: Final = (
    "vllm", "early_vllm", "hf", "early_hf", "compiled", "serving", "early_serving"
)  # fmt: skip
PRIORS: Final[Mapping[str, Mapping[str, float]]] = {
    "early_vllm": {"layer_s": 3e-5, "step_s": 3e-3, "sequence_s": 5e-5, "request_s": 1e-3},
    "hf": {"layer_s": 5e-4, "step_s": 2e-3, "sequence_s": 5e-6, "request_s": 5e-4},
    "early_hf": {"layer_s": 5e-4, "step_s": 2e-3, "sequence_s": 2e-5, "request_s": 2e-3},
    "serving": {"step_s": 2e-3, "sequence_s": 2e-5, "request_s": 1e-3},
    "early_serving": {"layer_s": 3e-5, "step_s": 3e-3, "sequence_s": 5e-5, "request_s": 2e-3},
}
EFFICIENCY_SD: Final = 0.2
OVERHEAD_SD: Final = 0.7
MOST_EFFICIENT: Final = 0.95
SOURCE_SD: Final = 0.25
NOISE_SD: Final = 0.25
_HUBER: Final = 1.5 * NOISE_SD
_STEPS: Final = 30
_CONVERGED: Final = 1e-3
_LARGEST_STEP: Final = 0.4
_IS_BOUNDED: Final = np.array(["efficiency" in name for name in CONSTANT_NAMES])
_SD: Final = np.where(_IS_BOUNDED, EFFICIENCY_SD, OVERHEAD_SD)
_DELTA: Final = 1e-3

Constants = Mapping[str, Mapping[str, float]]


def classes_of(inputs: ConfigurationTable) -> NDArray[np.int64]:
    """Return the index into CLASSES of each row: Hugging Face, serving, or the closed batches.

    vLLM before its rewrite of 2024 spent far more time in Python a sequence: a class of its own. So
    are the Hugging Face runs of a study that names no version: they loaded weights as float32.
    """
    engine = inputs["engine"].astype(np.int64)
    early, now = CLASSES.index("early_vllm"), CLASSES.index("vllm")
    vllm = np.where(inputs["is_early"] > 0, early, now)
    closed = np.where(engine == ENGINES.index("vllm"), vllm, CLASSES.index("compiled"))
    served, was = CLASSES.index("serving"), CLASSES.index("early_serving")
    serving = np.where(inputs["is_early"] > 0, was, served)
    not_hf = np.where(inputs["is_serving"] > 0, serving, closed)
    hf = np.where(inputs["is_early"] > 0, CLASSES.index("early_hf"), CLASSES.index("hf"))
    return np.where(engine == ENGINES.index("hf"), hf, not_hf)


def columns(constants: Constants, classes: NDArray[np.int64]) -> dict[str, Array]:
    """Return each constant as a column of shape (n,), by the row's class."""
    return {
        name: np.array([constants[group][name] for group in CLASSES])[classes]
        for name in CONSTANT_NAMES
    }


def fit_constants(
    inputs: ConfigurationTable, log_throughput: Array, source: NDArray[np.int64], weight: Array
) -> Constants:
    """Return constants for every class; a class without rows keeps the prior.

    Args:
        inputs: n rows.
        log_throughput: Natural log of measured tokens/s, shape (n,).
        source: Index of who measured, shape (n,).
        weight: Weight of each row, shape (n,); a full independent observation weighs 1.
    """
    classes = classes_of(inputs)
    fitted: dict[str, Mapping[str, float]] = {}
    for index, name in enumerate(CLASSES):
        rows = np.flatnonzero(classes == index)
        theta = prior_of(name)
        if rows.size:
            theta = _fit_class(
                inputs.take(rows), log_throughput[rows], source[rows], weight[rows], theta
            )
        fitted[name] = {
            constant: float(f"{np.exp(value):.6g}")
            for constant, value in zip(CONSTANT_NAMES, theta, strict=True)
        }
    return fitted


def prior_of(name: str) -> Array:
    """Return the log constants that a class starts from, shape (n_constants,)."""
    values = {**CONSTANTS, **PRIORS.get(name, {})}
    logs: Array = np.log(np.array([values[constant] for constant in CONSTANT_NAMES]))
    return logs


def _fit_class(
    inputs: ConfigurationTable,
    target: Array,
    source: NDArray[np.int64],
    weight: Array,
    start: Array,
) -> Array:
    """Return the posterior mode of the log constants, shape (n_constants,)."""
    _, source = np.unique(source, return_inverse=True)
    n_sources = int(source.max()) + 1
    n = len(start)
    prior = np.concatenate((start, np.zeros(n_sources)))
    precision = np.concatenate((_SD**-2, np.full(n_sources, SOURCE_SD**-2)))
    state = prior.copy()
    effects = np.eye(n_sources)[source]
    for _ in range(_STEPS):
        predicted = _log_roofline(inputs, state[:n])
        residual = target - predicted - state[n:][source]
        scaled = weight * NOISE_SD**-2 * _huber_weight(residual)
        design = np.hstack((_jacobian(inputs, state[:n], predicted), effects))
        hessian = design.T @ (scaled[:, None] * design) + np.diag(precision)
        gradient = design.T @ (scaled * residual) - precision * (state - prior)
        step = np.linalg.solve(hessian, gradient)
        if float(np.abs(step).max()) < _CONVERGED:
            break
        state = state + step * min(1.0, _LARGEST_STEP / float(np.abs(step).max()))
        state[:n] = np.where(_IS_BOUNDED, np.minimum(state[:n], np.log(MOST_EFFICIENT)), state[:n])
    return state[:n]


def _huber_weight(residual: Array) -> Array:
    weight: Array = np.minimum(1.0, _HUBER / np.maximum(np.abs(residual), 1e-9))
    return weight


def _log_roofline(inputs: ConfigurationTable, theta: Array) -> Array:
    constants = dict(zip(CONSTANT_NAMES, np.exp(theta).tolist(), strict=True))
    return np.log(roofline(inputs, constants).throughput)


def _jacobian(inputs: ConfigurationTable, theta: Array, predicted: Array) -> Array:
    """Return d log(roofline) / d log(constant) by forward differences, shape (n, n_constants)."""
    steps = np.eye(len(theta)) * _DELTA
    return np.stack(
        [(_log_roofline(inputs, theta + step) - predicted) / _DELTA for step in steps], axis=1
    )
