"""Which configuration to run next, and which to keep: expected improvement over the measured."""

import math
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

_NORMAL_95: Final = 1.6449


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


def best_expected(predictions: Sequence[Belief], excluded: Sequence[int] = ()) -> int:
    """Return the index of the highest throughput times the probability to run at all."""
    candidates = [i for i in range(len(predictions)) if i not in excluded]
    return max(candidates, key=lambda i: (expected(predictions[i]), predictions[i].p_feasible, -i))


def expected(prediction: Belief) -> float:
    """Return throughput times the probability to run, in tokens/s."""
    return prediction.output_throughput * prediction.p_feasible


def choose(predictions: Sequence[Belief], measured: Mapping[int, float]) -> int:
    """Return the fastest measured configuration, or the best expected while none ran.

    Args:
        measured: Index -> tokens/s, 0 where the run failed.
    """
    ran = {index: value for index, value in measured.items() if value > 0}
    if ran:
        return max(ran, key=lambda index: (ran[index], -index))
    return best_expected(predictions, tuple(measured))


def next_run(
    predictions: Sequence[Belief], measured: Mapping[int, float], kept: int | None = None
) -> int | None:
    """Return the configuration to run next; None when all were run.

    The first is the best expected, the second the kept configuration (so that the answer is never
    worse than doing nothing), all others those of the largest expected improvement.
    """
    left = [i for i in range(len(predictions)) if i not in measured]
    if not left:
        return None
    if not measured:
        return best_expected(predictions)
    if kept is not None and kept not in measured:
        return kept
    best = max(measured.values())
    return max(left, key=lambda i: (expected_improvement(predictions[i], best), -i))


def expected_improvement(prediction: Belief, best: float) -> float:
    """Return E[max(0, X - best)] in tokens/s for a log-normal X with the prediction's interval."""
    mean = math.log(prediction.output_throughput)
    deviation = max((math.log(prediction.high) - mean) / _NORMAL_95, 1e-6)
    if best <= 0:
        return expected(prediction)
    edge = (mean - math.log(best)) / deviation
    above = math.exp(mean + deviation**2 / 2) * _normal(edge + deviation)
    return max(above - best * _normal(edge), 0.0) * prediction.p_feasible


def _normal(z: float) -> float:
    return 0.5 * math.erfc(-z / math.sqrt(2))
