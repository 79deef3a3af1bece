"""Correct a predicted landscape with the runs known for this user: a Gaussian process on residuals.

The residual log(measured / predicted) is a sum of independent effects, each shared by the runs that
have something in common: the harness, the GPU, the model, the model on the GPU, and for each of
them a smooth function of GPU count, batch size and lengths. Runs of the model on other GPUs move
the model's effect, runs of other models on the target the GPU's, and confirmatory runs everything.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from numpy.typing import NDArray

from autotune.schema.configuration import Configuration
from recommender.features.table import Array, ConfigurationTable

N_RUN_COORDINATES: Final = 4
# columns of Cells.labels
ENGINE, MODEL, GPU = 0, 1, 2
# a column of Cells.coordinates
GPUS = 0
CLIP: Final = 2.5
# other vendors' software varies more than their spec sheets say
FAR_VENDOR_SPREAD: Final = 2.5
# of freedom of a model's own spread: what one model's runs say of it against what all models' say
DEGREES: Final = 4.0
ODD_REACH: Final = 0.5  # in doublings of the GPU count
WINSOR_SD: Final = 2.0
WINSOR_LEAST: Final = 0.1
_MAD_TO_SD: Final = 1.4826


@dataclass(frozen=True, slots=True, kw_only=True)
class Hyper:
    """Variances (of a natural log) of each effect, length scales (of a log2), and discounts.

    Attributes:
        size: Length scale over the log2 of the parameter count, for effects that models share.
        other_mode, other_format: Correlation of an effect across serving modes, weight formats.
    """

    harness: float = 0.04
    shape: float = 0.02
    gpu: float = 0.02
    gpu_shape: float = 0.02
    model: float = 0.02
    model_shape: float = 0.02
    cell: float = 0.01
    cell_shape: float = 0.01
    noise: float = 0.002
    gpus: float = 1.5
    batch: float = 3.0
    input: float = 3.0
    output: float = 3.0
    size: float = 2.0
    other_mode: float = 0.3
    other_format: float = 0.6

    @property
    def prior_variance(self) -> float:
        """Variance of a residual about which nothing is known, noise included."""
        effects = (
            self.harness + self.shape + self.gpu + self.gpu_shape + self.model + self.model_shape
        )
        return effects + self.cell + self.cell_shape + self.noise

    def to_dict(self) -> dict[str, float]:
        """Return the numbers by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_dict(cls, values: Mapping[str, float]) -> "Hyper":
        """Read what ``to_dict`` wrote."""
        return cls(**values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """Where rows sit: what decides how much two residuals have in common.

    Attributes:
        coordinates: log2 of GPUs, sequences in flight, input tokens, output tokens and parameters,
            shape (n, 5).
        labels: Codes of engine, model, GPU, mode and weight format, shape (n, 5).
        spread: Factor on the standard deviation of the GPU's own effect, shape (n,).
    """

    coordinates: Array
    labels: NDArray[np.int64]
    spread: Array

    def take(self, rows: NDArray[np.int64]) -> "Cells":
        """Return some rows."""
        return Cells(
            coordinates=self.coordinates[rows], labels=self.labels[rows], spread=self.spread[rows]
        )


def cells_of(configurations: Sequence[Configuration], inputs: ConfigurationTable) -> Cells:
    """Return the cells of configurations; codes compare only within one call."""
    names = ("n_gpus", "in_flight", "input_len", "output_len", "params")
    texts = (
        [c.engine for c in configurations],
        [c.model for c in configurations],
        [c.gpu for c in configurations],
        [c.mode for c in configurations],
        np.round(inputs["weight_bytes"] / inputs["params"], 2).tolist(),
    )
    is_far = inputs["is_cpu"] + inputs["is_amd"] + inputs["is_other_vendor"]
    return Cells(
        coordinates=np.log2(np.stack([inputs[name] for name in names], axis=1)),
        labels=np.stack([_codes(column) for column in texts], axis=1),
        spread=np.where(is_far > 0, FAR_VENDOR_SPREAD, 1.0),
    )


def _codes(values: Sequence[object]) -> NDArray[np.int64]:
    """Number the distinct values in the order of their first appearance."""
    seen: dict[object, int] = {}
    return np.array([seen.setdefault(value, len(seen)) for value in values], dtype=np.int64)


def covariance(hyper: Hyper, a: Cells, b: Cells) -> Array:
    """Return the covariance of residuals without noise, shape (n_a, n_b)."""
    scales = np.array([hyper.gpus, hyper.batch, hyper.input, hyper.output, hyper.size])
    left, right = a.coordinates / scales, b.coordinates / scales
    run = _rbf(left[:, :N_RUN_COORDINATES], right[:, :N_RUN_COORDINATES])
    sized = run * _rbf(left[:, N_RUN_COORDINATES:], right[:, N_RUN_COORDINATES:])
    engine, model, gpu, mode, form = (
        a.labels[:, i][:, None] == b.labels[:, i][None, :] for i in range(a.labels.shape[1])
    )
    total = hyper.harness + hyper.shape * sized
    spread = a.spread[:, None] * b.spread[None, :]
    total = total + gpu * spread * (hyper.gpu + hyper.gpu_shape * sized)
    total = total + model * (hyper.model + hyper.model_shape * run)
    total = total + (model & gpu) * (hyper.cell + hyper.cell_shape * run)
    discount = np.where(mode, 1.0, hyper.other_mode) * np.where(form, 1.0, hyper.other_format)
    result: Array = total * discount * engine
    return result


def _rbf(left: Array, right: Array) -> Array:
    squares = (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1)[None, :]
    result: Array = np.exp(-0.5 * (squares - 2 * left @ right.T).clip(min=0.0))
    return result


def winsorized(residual: Array, groups: NDArray[np.int64], is_asked: NDArray[np.bool_]) -> Array:
    """Return the residuals with those of other models kept near their group's middle, shape (m,).

    What went wrong with one model says nothing of another, yet under a Gaussian likelihood a few
    tenfold slow runs would move all. The asked model's own runs count in full.

    Args:
        residual: log(measured / predicted) of m known runs.
        groups: What a run shares with those of its group, shape (m, n_labels).
        is_asked: Which runs are of a model that is asked about, shape (m,).
    """
    kept = residual.copy()
    for group in np.unique(groups, axis=0):
        rows = (groups == group).all(axis=1)
        middle = np.median(residual[rows])
        spread = _MAD_TO_SD * np.median(np.abs(residual[rows] - middle))
        edge = max(WINSOR_SD * spread, WINSOR_LEAST)
        others = rows & ~is_asked
        kept[others] = np.clip(residual[others], middle - edge, middle + edge)
    return kept


def posterior(hyper: Hyper, known: Cells, residual: Array, wanted: Cells) -> tuple[Array, Array]:
    """Return mean and standard deviation (noise included) of the wanted residuals, shape (n,) each.

    Args:
        known: m cells with a known residual; m may be 0.
        residual: log(measured / predicted) of the known, shape (m,).
    """
    n = len(wanted.labels)
    own = hyper.gpu + hyper.gpu_shape
    prior = hyper.prior_variance + own * (wanted.spread**2 - 1)
    if not len(residual):
        return np.zeros(n), np.sqrt(prior)
    gram = covariance(hyper, known, known) + hyper.noise * np.eye(len(residual))
    factor = np.linalg.cholesky(gram)
    cross = np.linalg.solve(factor, covariance(hyper, known, wanted))
    white = np.linalg.solve(factor, np.clip(residual, -CLIP, CLIP))
    variance = (prior - (cross**2).sum(axis=0)).clip(min=hyper.noise)
    return cross.T @ white, np.sqrt(variance)


def student_t_scale(hyper: Hyper, known: Cells, residual: Array, wanted: Cells) -> Array:
    """Return how far the wanted cells' models stray from what the process expects, shape (n,).

    A factor on the deviation: that of a Student-t process with DEGREES degrees of freedom (Shah et
    al., "Student-t processes as alternatives to Gaussian processes", 2014). A model's runs on some
    number of GPUs, given all other runs, speak for that number and less for its multiples: a model
    may go astray on two GPUs and be ordinary on one. At least 1: runs that the surrogate learned
    from agree with it more than those to come.

    Args:
        known: m cells with a known residual; m may be 0.
        residual: log(measured / predicted) of the known, shape (m,).
    """
    if not len(residual):
        return np.ones(len(wanted.labels))
    precision = np.linalg.inv(covariance(hyper, known, known) + hyper.noise * np.eye(len(residual)))
    pulled = precision @ np.clip(residual, -CLIP, CLIP)
    surprise, runs = np.zeros(len(wanted.labels)), np.zeros(len(wanted.labels))
    place = np.column_stack((known.labels[:, MODEL], known.coordinates[:, GPUS]))
    for model, gpus in np.unique(place[np.isin(place[:, 0], wanted.labels[:, MODEL])], axis=0):
        own = np.flatnonzero((place == (model, gpus)).all(axis=1))
        found = pulled[own] @ np.linalg.solve(precision[np.ix_(own, own)], pulled[own])
        distance = (wanted.coordinates[:, GPUS] - gpus) / ODD_REACH
        weight = np.exp(-0.5 * distance**2) * (wanted.labels[:, MODEL] == model)
        surprise, runs = surprise + weight * found, runs + weight * len(own)
    factor: Array = np.sqrt((DEGREES + surprise) / (DEGREES + runs)).clip(min=1.0)
    return factor


def joint_covariance(hyper: Hyper, known: Cells, wanted: Cells) -> Array:
    """Return the covariance of the wanted residuals, noise included, given the known; shape (n, n).

    Its diagonal is the square of the deviation that ``posterior`` returns.

    Args:
        known: m cells with a known residual; m may be 0.
        wanted: n cells of one engine.
    """
    own = covariance(hyper, wanted, wanted) + hyper.noise * np.eye(len(wanted.labels))
    if not len(known.labels):
        return own
    gram = covariance(hyper, known, known) + hyper.noise * np.eye(len(known.labels))
    cross = np.linalg.solve(np.linalg.cholesky(gram), covariance(hyper, known, wanted))
    left: Array = own - cross.T @ cross
    return left


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """Keep BLAS to one thread meanwhile, where threadpoolctl is installed."""
    try:
        import threadpoolctl  # type: ignore[import-untyped]
    except ImportError:
        yield
        return
    with threadpoolctl.threadpool_limits(limits=1, user_api="blas"):
        yield
