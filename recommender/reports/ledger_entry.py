"""A confirmed recommendation beside what came of it: one line of the ledger."""

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autotune.schema.record import Configuration, RunRecord
from recommender.recommendation.candidates import (
    Candidate,
    Place,
    cell,
    may_be_same_format,
    place_of,
)
from recommender.recommendation.recommend import Recommendation, score


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One confirmed recommendation. Throughputs in tokens/s, the rest in shares.

    Attributes:
        predicted: When it was recommended, with ``low`` and ``high`` (90 %).
        realised: Of the recommended configuration; ``None`` where its run failed, as ``error``
            (realised / predicted - 1) and ``is_inside`` then are.
        regret: 1 - recommended / the best measured configuration that the store knows of the
            landscape, by the recommendation's objective; ``None`` when that is not known any more.
            A configuration that was run several times counts with the mean of its runs.
        winner_regret: The same of the winner; ``regret_bound90`` is what its certificate promised.
    """

    confirmed: str
    recommendation_id: str
    model: str
    target_gpu: str
    engine: str
    n_gpus: int
    batch_size: int
    predicted: float
    low: float
    high: float
    realised: float | None
    error: float | None
    is_inside: bool | None
    regret: float | None
    runs: int
    winner_regret: float | None
    regret_bound90: float | None


def entry_of(
    document: Mapping[str, Any], made: Recommendation | None, known: Sequence[RunRecord]
) -> Entry:
    """Return a confirmation's line.

    Args:
        made: The recommendation, while its file is there.
        known: Runs of the model that the store holds, those of the confirmation among them.
    """
    first = document["runs"][0]
    run = Candidate(**first["predicted"])
    told = made.best if made is not None and _is_same(made.best, run) else run
    realised = first["measured"]["output_throughput"] if first["error"] is not None else None
    values = {} if made is None else _values(made, known)
    winner = document["winner"]
    certificate = document.get("certificate")
    return Entry(
        confirmed=document["session_id"],
        recommendation_id=document["recommendation_id"],
        model=document["model"],
        target_gpu=document["target_gpu"],
        engine=run.engine,
        n_gpus=run.n_gpus,
        batch_size=run.batch_size,
        predicted=told.output_throughput,
        low=told.low,
        high=told.high,
        realised=realised,
        error=None if realised is None else realised / told.output_throughput - 1,
        is_inside=None if realised is None else told.low <= realised <= told.high,
        regret=_regret(values, run) if realised is not None else 1.0 if values else None,
        runs=len(document["runs"]),
        winner_regret=None if winner is None else _regret(values, Candidate(**winner)),
        regret_bound90=None if certificate is None else certificate["regret_bound90"],
    )


def worth(made: Recommendation) -> dict[tuple[object, ...], float]:
    """Return what a token/s of each configuration considered is worth in the objective."""
    query = made.query
    return {
        cell(
            Configuration(
                engine=candidate.engine,
                model=query.model,
                gpu=made.target_gpu,
                n_gpus=candidate.n_gpus,
                batch_size=candidate.batch_size,
                input_len=query.workload.input_len,
                output_len=query.workload.output_len,
                mode=query.workload.mode,
                quantization=query.quantization,
            )
        ): _per_token(candidate, query.objective)
        for candidate in made.landscape
    }


def _values(made: Recommendation, known: Sequence[RunRecord]) -> dict[Place, float]:
    """Return what each measured configuration considered brings: the mean of its runs."""
    per_token = worth(made)
    brought = defaultdict(list)
    for run in known:
        counts = run.is_measured and not run.suspect and cell(run) in per_token
        if counts and may_be_same_format(made.query.dtype, run.dtype):
            brought[place_of(run)].append(per_token[cell(run)] * (run.output_throughput or 0.0))
    return {place: statistics.fmean(values) for place, values in brought.items()}


def _per_token(candidate: Candidate, objective: str) -> float:
    return score(candidate, objective) / candidate.output_throughput


def _regret(values: Mapping[Place, float], candidate: Candidate) -> float | None:
    reached = values.get(place_of(candidate))
    return None if reached is None else 1 - reached / max(values.values())


def _is_same(one: Candidate, other: Candidate) -> bool:
    return place_of(one) == place_of(other)
