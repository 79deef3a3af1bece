"""Which configuration to run next, and which to keep: chance to be the best, improvement."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

import numpy as np

from recommender.features.table import Array

MIN_CHANCE: Final = 0.5  # under it, a configuration is not expected to run
DRAWS: Final = 4096
_SEED: Final = 0
_JITTER: Final = 1e-9
_NORMAL_95: Final = 1.6449
_SMALLEST: Final = 1e-6
_FARTHEST: Final = 50.0


class Belief(Protocol):
    """What a choice rests on: a prediction, or a candidate made from one."""

    @property
    def output_throughput(self) -> float:
        """Expected tokens/s."""

    @property
    def high(self) -> float:
        """Upper end of the 90 % interval, tokens/s."""

    @property
    def p_feasible(self) -> float:
        """Probability to run at all."""

    @property
    def memory_gb(self) -> float:
        """What it needs of the fullest GPU, by arithmetic."""


def deviation(belief: Belief) -> float:
    """Return the standard deviation of the log throughput that the 90 % interval stands for."""
    half = math.log(belief.high) - math.log(belief.output_throughput)
    return max(half / _NORMAL_95, _SMALLEST)


def draw(
    beliefs: Sequence[Belief],
    correlation: Array,
    scale: Sequence[float] | None = None,
    *,
    width: float = 1.0,
    freedom: float | None = None,
) -> Array:
    """Return DRAWS landscapes, shape (DRAWS, n): log-normal, 0 where a configuration would not run.

    The same beliefs give the same draws.

    Args:
        beliefs: Of n configurations; their intervals give the deviations.
        correlation: Of their log throughputs, shape (n, n).
        scale: What a token/s of each is worth, shape (n,); 1 by default.
        width: Factor on the deviations.
        freedom: Degrees of freedom of a multivariate t distribution of the logs, where how far a
            landscape strays is itself uncertain; a normal distribution by default.
    """
    rng = np.random.default_rng(_SEED)
    n = len(beliefs)
    factor = np.linalg.cholesky(correlation + _JITTER * np.eye(n))
    strays = rng.standard_normal((DRAWS, n)) @ factor.T
    runs = rng.random((DRAWS, n)) < np.array([belief.p_feasible for belief in beliefs])
    if freedom is not None:
        strays = strays * np.sqrt(freedom / rng.chisquare(freedom, (DRAWS, 1)))
    middle = np.log([belief.output_throughput for belief in beliefs])
    spread = width * np.array([deviation(belief) for belief in beliefs])
    drawn = np.exp(middle + np.clip(spread * strays, -_FARTHEST, _FARTHEST))
    worth: Array = drawn * runs * (np.ones(n) if scale is None else np.asarray(scale))
    return worth


INCUMBENT_BY: Final = 3
# Of 0, 2, 5, 10 and 20 % the least mean regret on the published migrations, vLLM's and Hugging
# Face's.
INCUMBENT_MARGIN: Final = 0.05


def by_chance_to_run(prediction: Belief) -> tuple[float, float]:
    """Return what the likeliest to run is largest in: its chance, then the memory it spares."""
    return round(prediction.p_feasible, 3), -prediction.memory_gb


def expected(prediction: Belief) -> float:
    """Return throughput times the probability to run, in tokens/s."""
    return prediction.output_throughput * prediction.p_feasible


def cautious(prediction: Belief) -> float:
    """Return tokens/s halfway (of the logarithm) to the lower bound, times the chance to run.

    Surprises are one-sided: what is offloaded or misbehaves is ten times slower than expected,
    nothing is ten times faster.
    """
    half = math.sqrt(prediction.output_throughput / prediction.high)
    return expected(prediction) * half


def next_run(
    beliefs: Sequence[Belief],
    measured: Mapping[int, float],
    correlate: Callable[[Sequence[int]], Array],
    *,
    incumbent: int | None = None,
    incumbent_by: int = INCUMBENT_BY,
    scale: Sequence[float] | None = None,
) -> int | None:
    """Return the configuration to run after the first; None when all were run.

    It is the likeliest to be the best of the landscape and better than what was measured. The kept
    configuration is among the first three, so that the answer is never worse than doing nothing.

    Args:
        measured: Index -> value in the objective, 0 where the run failed; one at least.
        correlate: Returns the correlation of the log throughputs of some configurations.
        incumbent_by: The kept configuration is this run at the latest.
        scale: What a token/s of each is worth in the objective; 1 by default.
    """
    left = [i for i in range(len(beliefs)) if i not in measured]
    if not left:
        return None
    if incumbent in left and len(measured) + 1 >= min(incumbent_by, INCUMBENT_BY):
        return incumbent
    worth = None if scale is None else [scale[i] for i in left]
    drawn = draw([beliefs[i] for i in left], correlate(left), worth)
    is_best = (drawn == drawn.max(axis=1, keepdims=True)) & (drawn > max(measured.values()))
    chance = is_best.mean(axis=0)
    middle = drawn.mean(axis=0)
    return left[max(range(len(left)), key=lambda k: (chance[k], middle[k], -k))]


def expected_improvement(prediction: Belief, best: float) -> float:
    """Return E[max(0, X - best)] in tokens/s for a log-normal X with the prediction's interval."""
    if best <= 0:
        return expected(prediction)
    mean, spread = math.log(prediction.output_throughput), deviation(prediction)
    edge = (mean - math.log(best)) / spread
    above = math.exp(mean + spread**2 / 2) * _normal(edge + spread)
    return max(above - best * _normal(edge), 0.0) * prediction.p_feasible


def _normal(z: float) -> float:
    return 0.5 * math.erfc(-z / math.sqrt(2))
