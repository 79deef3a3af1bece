"""Predict throughput, latency and feasibility from a saved surrogate, with numpy alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from autotune.schema.configuration import Configuration
from autotune.schema.record import RunRecord
from recommender.features.efficiency import CLASSES, classes_of, columns
from recommender.features.encode import encode_features
from recommender.features.roofline import BOTTLENECKS, Roofline, roofline
from recommender.features.table import FAMILIES, Array, ConfigurationTable, families_of
from recommender.surrogate.artifact import SurrogateMeta, read_surrogate
from recommender.surrogate.evidence import (
    ALONE,
    BOTH,
    ELSEWHERE,
    ON_TARGET,
    STATES,
    Knowledge,
    doubt,
    gather,
)
from recommender.surrogate.feasibility import probability
from recommender.surrogate.gaussian_process import (
    ENGINE,
    GPU,
    MODEL,
    joint_covariance,
    posterior,
    student_t_scale,
    winsorized,
)
from recommender.surrogate.trees import Forest, load_forest

PRETRAINED: Final = Path(__file__).parent / "pretrained"
ENOUGH_RUNS: Final = 3
_MILLISECONDS: Final = 1000.0
_LIKELY: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What is expected of one configuration.

    Attributes:
        output_throughput: Generated tokens/s (median); ``low`` and ``high`` bound it with 90 %.
        fits: Whether it more likely runs than not, by memory arithmetic and known outcomes.
        memory_gb: Memory of the fullest GPU, in 2**30 bytes.
        roofline_throughput: Tokens/s of the calibrated roofline alone.
        bottleneck: weights, kv_reads, prefill, communication or overhead.
        confidence: high (own runs there), medium (evidence near), low (extrapolated).
    """

    output_throughput: float
    low: float
    high: float
    p_feasible: float
    fits: bool
    memory_gb: float
    ttft_ms: float | None
    tpot_ms: float | None
    roofline_throughput: float
    bottleneck: str
    confidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """What the surrogate says before own runs correct it, shape (n,) each."""

    log_throughput: Array
    roofline: Roofline
    classes: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictor:
    """A trained surrogate: trees and constants."""

    forest: Forest
    meta: SurrogateMeta

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read surrogate.json and meta.json.

        Raises:
            SurrogateError: When one is missing, damaged, or they do not belong together.
        """
        trees, meta = read_surrogate(directory)
        return cls(forest=load_forest(trees), meta=meta)

    def predict(
        self, configurations: Sequence[Configuration], known: Sequence[RunRecord] = ()
    ) -> list[Prediction]:
        """Predict each configuration, corrected by the runs known for this user, in the same order.

        Raises:
            UnknownGpuError, UnknownModelError: For a configuration that cannot be looked up.
        """
        if not configurations:
            return []
        knowledge = gather(configurations, known)
        prior = self.prior(knowledge.inputs)
        shift, deviation = self._correct(knowledge)
        state = knowledge.state()
        half = deviation * self._quantile(knowledge.inputs, state)
        log_throughput = np.clip(prior.log_throughput + shift, -20, 20)
        chance = self._chance(knowledge)
        confidence = self._confidence(configurations, knowledge, state)
        ttft, tpot = self._latency(prior, log_throughput)
        replicas = knowledge.replicas
        middle, low, high = (replicas * np.exp(log_throughput + side * half) for side in (0, -1, 1))
        bottleneck = prior.roofline.bottleneck
        fits = chance >= _LIKELY
        return [
            Prediction(
                output_throughput=float(middle[i]),
                low=float(low[i]),
                high=float(high[i]),
                p_feasible=float(chance[i]),
                fits=bool(fits[i]),
                memory_gb=float(knowledge.inputs["memory_total_gb"][i]),
                ttft_ms=float(ttft[i]),
                tpot_ms=float(tpot[i]) if knowledge.inputs["output_len"][i] > 1 else None,
                roofline_throughput=float((replicas * prior.roofline.throughput)[i]),
                bottleneck=BOTTLENECKS[bottleneck[i]],
                confidence=confidence[i],
            )
            for i in range(len(configurations))
        ]

    def _latency(self, prior: Prior, log_throughput: Array) -> tuple[Array, Array]:
        """Return TTFT and TPOT in ms, scaled as the throughput was corrected, shape (n,) each."""
        factor = np.exp(prior.log_throughput - log_throughput)
        slow = np.array([self.meta.latency.get(name, (1.0, 1.0)) for name in CLASSES])[
            prior.classes
        ]
        ttft = prior.roofline.ttft_s * slow[:, 0] * factor * _MILLISECONDS
        return ttft, prior.roofline.tpot_s * slow[:, 1] * factor * _MILLISECONDS

    def prior(self, inputs: ConfigurationTable) -> Prior:
        """Return roofline and shrunk trees, without any own runs, for n rows."""
        classes = classes_of(inputs)
        line = roofline(inputs, columns(self.meta.constants, classes))
        shrinkage = np.array([self.meta.shrinkage[name] for name in CLASSES])[classes]
        residual = self.forest.predict(encode_features(inputs))
        return Prior(
            log_throughput=np.log(line.throughput) + shrinkage * residual,
            roofline=line,
            classes=classes,
        )

    def _correct(self, knowledge: Knowledge) -> tuple[Array, Array]:
        """Return the log correction and its standard deviation, shape (n,) each."""
        n = len(knowledge.inputs)
        shift, deviation = np.zeros(n), np.zeros(n)
        residual = self._known_residual(knowledge)
        for engine in np.unique(knowledge.cells.labels[:, ENGINE]):
            rows = np.flatnonzero(knowledge.cells.labels[:, ENGINE] == engine)
            runs = knowledge.run_cells.labels[knowledge.measured, ENGINE] == engine
            hyper = self.meta.hyper[family(knowledge.inputs, int(rows[0]))]
            given = (
                hyper,
                knowledge.run_cells.take(knowledge.measured[runs]),
                residual[runs],
                knowledge.cells.take(rows),
            )
            shift[rows], spread = posterior(*given)
            deviation[rows] = spread * student_t_scale(*given)
        return shift, deviation

    def _known_residual(self, knowledge: Knowledge) -> Array:
        """Return log(measured / prior) of the measured known runs, shape (k,), winsorized."""
        if not knowledge.measured.size:
            return np.zeros(0)
        prior = self.prior(knowledge.run_facts.take(knowledge.measured))
        throughput = [knowledge.runs[i].output_throughput or 1.0 for i in knowledge.measured]
        labels = knowledge.run_cells.labels[knowledge.measured]
        is_asked = np.isin(labels[:, MODEL], knowledge.cells.labels[:, MODEL])
        residual = np.log(throughput) - prior.log_throughput
        return winsorized(residual, labels[:, [ENGINE, GPU]], is_asked)

    def _quantile(self, inputs: ConfigurationTable, state: NDArray[np.int64]) -> Array:
        """Return the factor of each row's deviation: conformal, and for doubt, shape (n,)."""
        table = np.array(
            [[self.meta.quantiles[name][known] for known in STATES] for name in FAMILIES]
        )
        factor: Array = table[families_of(inputs), state] * doubt(inputs)
        return factor

    def _chance(self, knowledge: Knowledge) -> Array:
        index = knowledge.verdict_index
        same = knowledge.same(ENGINE, MODEL)[:, index]
        known = knowledge.run_facts.take(index)
        return probability(self.meta.feasibility, knowledge.inputs, known, knowledge.verdict, same)

    def _confidence(
        self, asked: Sequence[Configuration], knowledge: Knowledge, state: NDArray[np.int64]
    ) -> list[str]:
        evidence = self.meta.evidence
        on_target = knowledge.runs_on_target()
        levels = []
        for i, c in enumerate(asked):
            key = f"{c.engine}/{c.mode}"
            gpu_seen = c.gpu in evidence.gpus.get(key, ())
            is_known = STATES[state[i]] in (ELSEWHERE, BOTH, ON_TARGET, ALONE)
            model_seen = is_known or c.model in evidence.models.get(key, ())
            if on_target[i] >= ENOUGH_RUNS:
                levels.append("high")
            else:
                near = on_target[i] > 0 or (gpu_seen and model_seen)
                levels.append("medium" if near else "low")
        return levels


def family(inputs: ConfigurationTable, row: int) -> str:
    """Return the engine family (hf, vllm or other) that a row's calibration belongs to."""
    return FAMILIES[families_of(inputs)[row]]


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
            predictor.meta.hyper[family(knowledge.inputs, int(rows[0]))],
            knowledge.run_cells.take(knowledge.measured[runs]),
            knowledge.cells.take(rows),
        )
    deviation = np.sqrt(np.diag(covariance).clip(min=_SMALLEST_VARIANCE))
    scaled: Array = covariance / np.outer(deviation, deviation)
    return scaled
