"""A confirmed recommendation beside what came of it: one line of the ledger."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autotune.records import Configuration, RunRecord
from recommender.candidates import Candidate, cell
from recommender.recommend import Recommendation, score


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One confirmed recommendation. Throughputs in tokens/s, the rest in shares.

    Attributes:
        predicted: When it was recommended, with ``low`` and ``high`` (90 %).
        realised: Of the recommended configuration; ``None`` where its run failed, as ``error``
            (realised / predicted - 1) and ``is_inside`` then are.
        regret: 1 - recommended / the best measured configuration that the store knows of the
            landscape, by the recommendation's objective; ``None`` when that is not known any more.
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
    values_of = {} if made is None else worth(made)
    known_cells = [(cell(r), r.output_throughput) for r in known if r.is_measured and not r.suspect]
    values = [values_of[c] * (y or 0.0) for c, y in known_cells if c in values_of]
    best = max(values, default=None)
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
        regret=_regret(made, run, realised or 0.0, best),
        runs=len(document["runs"]),
        winner_regret=None
        if winner is None
        else _regret(made, Candidate(**winner), winner["output_throughput"], best),
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


def _per_token(candidate: Candidate, objective: str) -> float:
    return score(candidate, objective) / candidate.output_throughput


def _regret(
    made: Recommendation | None, candidate: Candidate, realised: float, best: float | None
) -> float | None:
    if made is None or not best:
        return None
    return max(1 - _per_token(candidate, made.query.objective) * realised / best, 0.0)


def _is_same(one: Candidate, other: Candidate) -> bool:
    return (one.engine, one.n_gpus, one.batch_size) == (
        other.engine,
        other.n_gpus,
        other.batch_size,
    )
