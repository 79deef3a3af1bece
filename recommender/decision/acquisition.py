"""Which configuration to run next, and which to keep: chance to be the best, improvement."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from recommender.decision.draws import MIN_CHANCE, Belief, deviation, draw
from recommender.features.table import Array

KEPT_BY: Final = 3
# Of 0, 2, 5, 10 and 20 % the least mean regret on the published migrations, vLLM's and Hugging
# Face's.
KEPT_MARGIN: Final = 0.05


def best_expected(
    predictions: Sequence[Belief], excluded: Sequence[int] = (), *, kept: int | None = None
) -> int:
    """Return the index of the best by ``cautious``.

    Or the kept configuration, where changing it is expected to bring less than KEPT_MARGIN: the
    best of many predictions is partly the luckiest. Where none is expected to run, the likeliest,
    of equally likely ones the one that needs the least memory of a GPU.
    """
    candidates = [i for i in range(len(predictions)) if i not in excluded]
    if all(predictions[i].p_feasible < MIN_CHANCE for i in candidates):
        return max(candidates, key=lambda i: (*by_chance_to_run(predictions[i]), -i))
    best = max(candidates, key=lambda i: (cautious(predictions[i]), predictions[i].p_feasible, -i))
    if kept is None or kept not in candidates:
        return best
    is_enough = cautious(predictions[kept]) < (1 - KEPT_MARGIN) * cautious(predictions[best])
    return best if is_enough else kept


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
    beliefs: Sequence[Belief],
    measured: Mapping[int, float],
    correlate: Callable[[Sequence[int]], Array],
    *,
    kept: int | None = None,
    kept_by: int = KEPT_BY,
    scale: Sequence[float] | None = None,
) -> int | None:
    """Return the configuration to run next; None when all were run.

    The first is the best expected, each other the likeliest to be the best of the landscape and
    better than what was measured. The kept configuration is among the first three, so that the
    answer is never worse than doing nothing.

    Args:
        measured: Index -> value in the objective, 0 where the run failed.
        correlate: Returns the correlation of the log throughputs of some configurations.
        kept_by: The kept configuration is this run at the latest.
        scale: What a token/s of each is worth in the objective; 1 by default.
    """
    left = [i for i in range(len(beliefs)) if i not in measured]
    if not left:
        return None
    if not measured:
        return best_expected(beliefs, kept=kept)
    if kept in left and len(measured) + 1 >= min(kept_by, KEPT_BY):
        return kept
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
