"""GPU seconds that a way of finding the best configuration takes, from the recorded runs' times.

An engine start takes the median of what the landscape's runs report for that GPU count. A
configuration takes its measured passes and one warm-up pass, which lasts as long as one of them.
GPU seconds are seconds times GPUs.
"""

import statistics

from autotune.schema.record import RunRecord
from recommender.confirmation.devices import largest_batch
from recommender.confirmation.result import Confirmation
from recommender.evaluation.protocols import score
from recommender.evaluation.replay import case_of, tpe_order
from research.reference.landscapes import ReferenceLandscape


def run_gpu_s(row: RunRecord) -> float:
    """Return the GPU seconds of one configuration, without the engine start."""
    return (row.measure_s or 0.0) * (1 + 1 / (row.repeats or 1)) * row.n_gpus


def start_gpu_s(land: ReferenceLandscape, n_gpus: int) -> float:
    """Return the GPU seconds of one engine start."""
    reported = [r.engine_start_s for r in land.rows if r.n_gpus == n_gpus and r.engine_start_s]
    return statistics.median(reported) * n_gpus if reported else 0.0


def grid_gpu_s(land: ReferenceLandscape, *, is_restarted: bool) -> float:
    """Return the GPU seconds of measuring everything.

    Args:
        is_restarted: One engine start a configuration, or one a GPU count.
    """
    counts = [row.n_gpus for row in land.rows]
    starts = counts if is_restarted else set(counts)
    return sum(run_gpu_s(r) for r in land.rows) + sum(start_gpu_s(land, n) for n in starts)


def confirmation_gpu_s(land: ReferenceLandscape, done: Confirmation) -> float:
    """Return the GPU seconds of a confirmation's runs.

    As on the target itself: an engine is started for the largest batch that may be tried, and again
    for more GPUs or fewer.
    """
    largest = largest_batch(done.recommendation)
    seconds, n_gpus, capacity = 0.0, 0, 0
    for run in done.runs:
        row = run.record
        if row.n_gpus != n_gpus or row.batch_size > capacity:
            n_gpus, capacity = row.n_gpus, max(largest, row.batch_size)
            seconds += start_gpu_s(land, n_gpus)
        seconds += run_gpu_s(row)
    return seconds


def tpe_search(land: ReferenceLandscape, reached: float, seed: int) -> tuple[int, float]:
    """Return runs and GPU seconds until Optuna's TPE has run something at least that good.

    Args:
        reached: tok/s to reach; one of the landscape's.
    """
    order = tpe_order(case_of(land.rows), len(land.rows), seed)
    seconds, n_gpus = 0.0, 0
    for runs, index in enumerate(order, start=1):
        row = land.rows[index]
        if row.n_gpus != n_gpus:
            n_gpus = row.n_gpus
            seconds += start_gpu_s(land, n_gpus)
        seconds += run_gpu_s(row)
        if score(row) >= reached:
            return runs, seconds
    return len(order), seconds
