"""What people do without advice: keep what they have, take the largest, take the most popular."""

import dataclasses
from collections.abc import Sequence

from autotune.catalog.architecture.profile import ModelProfile
from autotune.catalog.gpus import GpuSpec
from autotune.schema.record import RunRecord
from recommender.recommendation.candidates import (
    Candidate,
    configuration_of,
    enumerate_configurations,
)
from recommender.recommendation.evaluate_candidates import price
from recommender.recommendation.query import Query
from recommender.recommendation.ranking import rank
from recommender.surrogate.predictor import Predictor

# What serving guides name first for each engine: vLLM's long-standing default, the pipeline's.
POPULAR_BATCH = {"vllm": 256, "hf": 1}


def serving_now(
    query: Query,
    profile: ModelProfile,
    source: GpuSpec,
    predictor: Predictor,
    known: Sequence[RunRecord],
) -> Candidate | None:
    """Return the best configuration on the source GPU, a measured one if there is any.

    Limits hold there too, unless nothing meets them; ``None`` when nothing runs at all.
    """
    there = price(enumerate_configurations(query, profile, source), predictor, known, query)
    runnable = [c for c in there if c.can_run]
    measured = [c for c in runnable if c.status == "measured"] or runnable
    within = [c for c in measured if c.is_feasible] or measured
    if not within:
        return None
    if query.objective == "energy" and any(c.energy_j_per_token is None for c in within):
        return rank(within, dataclasses.replace(query, objective="throughput"))[0]
    return rank(within, query)[0]


def incumbent(
    query: Query,
    target: GpuSpec,
    now: Candidate,
    predictor: Predictor,
    known: Sequence[RunRecord],
) -> Candidate:
    """Return the source's configuration as it would do on the target."""
    place = configuration_of(query, target.name, now.engine, now.n_gpus, now.batch_size)
    return price([place], predictor, known, query)[0]


def usual(query: Query, landscape: Sequence[Candidate]) -> dict[str, Candidate]:
    """Return the largest configuration and the most popular one, whether they run or not."""
    engine = query.engines[0]
    own = [c for c in landscape if c.engine == engine]
    fitting = [c for c in own if c.fits] or own
    largest = max(fitting, key=lambda c: (c.n_gpus, c.batch_size))
    fewest = min(c.n_gpus for c in fitting)
    batch = max(c.batch_size for c in own if c.batch_size <= POPULAR_BATCH[engine])
    popular = next(c for c in own if c.n_gpus == fewest and c.batch_size == batch)
    return {"largest": largest, "most_popular": popular}
