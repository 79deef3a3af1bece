"""What is believed of configurations, and landscapes drawn from it: neighbours err together."""

import math
from collections.abc import Sequence
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
