"""From a model and a target GPU to a ranked list of configurations, with baselines and reasons.

numpy is the heaviest import here: a cold answer has 1.5 s.
"""

import dataclasses
import datetime
import hashlib
import json
import math
from collections.abc import Sequence

import numpy as np

from autotune.catalog.architecture.profile import ModelProfile
from autotune.catalog.compatibility import check_lengths, check_quantization
from autotune.catalog.gpus import GpuSpec, ambiguity, find_gpu
from autotune.catalog.models import find_model
from autotune.engines.vllm.model_length import shortened
from autotune.schema.configuration import Configuration
from autotune.schema.record import RunRecord
from recommender.decision.informative import most_informative
from recommender.recommendation.alternatives import alternatives
from recommender.recommendation.candidates import (
    Candidate,
    configuration_of,
    enumerate_configurations,
)
from recommender.recommendation.evaluate_candidates import evaluate_candidates
from recommender.recommendation.explanation import Grounds, headline, reasons
from recommender.recommendation.migration import Migration, incumbent, judge, serving_now, usual
from recommender.recommendation.plans import frontier
from recommender.recommendation.query import Query
from recommender.recommendation.ranking import prefer_incumbent, rank, score
from recommender.recommendation.recommendation import Recommendation
from recommender.recommendation.refusals import check_choice_left, check_price
from recommender.recommendation.versions import version_it_holds_for
from recommender.surrogate.gaussian_process import one_blas_thread
from recommender.surrogate.predictor import Predictor


@one_blas_thread()
def recommend(
    query: Query, predictor: Predictor, known: Sequence[RunRecord] = ()
) -> Recommendation:
    """Rank the configurations of a model on a target GPU.

    Args:
        known: Runs known of this model, on any GPU; they correct the predictions, and those on the
            target replace them. Runs of other models in the same harness correct them too.

    Raises:
        UsageError: For an unknown model or GPU, and for an objective that lacks its price or power.
        NothingFitsError: When no configuration fits the target; says how much memory is missing.
        LimitsNotMetError: When none is expected to meet the latency limits; names the nearest.
    """
    profile, gpu = find_model(query.model), find_gpu(query.target_gpu)
    query = dataclasses.replace(query, model=profile.name)
    check_lengths(profile, query.workload)
    check_price(query, gpu)
    for engine in query.engines:
        check_quantization(query.quantization, engine, gpu)
    questions = enumerate_configurations(query, profile, gpu)
    landscape = evaluate_candidates(questions, predictor, known, query)
    now = _served_now(query, profile, predictor, known)
    keep = None if now is None else incumbent(query, gpu, now, predictor, known)
    ranked = rank(check_choice_left(query, profile, gpu, landscape), query, keep)
    ranked = prefer_incumbent(ranked, keep, query)
    best = ranked[0]
    moved = None if now is None else _moved(query, gpu, now, best)
    further = alternatives(query, profile, gpu, best, predictor, known)
    grounds = Grounds(
        query=query,
        gpu=gpu.name,
        ranked=ranked,
        landscape=landscape,
        incumbent=keep,
        migration=moved,
        known=[run for run in known if run.model == query.model],
        related=[run for run in known if run.model != query.model],
        evidence=predictor.meta,
        helpful=_helpful(predictor, questions, landscape, known, query, best),
    )
    why = reasons(grounds)
    created_at = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
    holds = version_it_holds_for(best.engine, query.model, gpu.name, known)
    return Recommendation(
        recommendation_id=_identify(query, gpu, best, created_at),
        created_at=created_at,
        query=query,
        target_gpu=gpu.name,
        best=best,
        candidates=tuple(ranked[: query.top]),
        keep_source=keep,
        baselines=usual(query, landscape),
        landscape=tuple(landscape),
        explanation=" ".join([f"{query.model} on {gpu.name}: {headline(best, query)}.", *why]),
        remarks=(*_remarks(query, gpu, best), *([] if holds is None else [holds.remark])),
        n_known_runs=len(grounds.known),
        migration=moved,
        frontier=tuple(frontier(ranked, query.objective, query.top)),
        reasons=tuple(why),
        alternatives=tuple(further),
        engine_version=None if holds is None else holds.version,
    )


def _remarks(query: Query, gpu: GpuSpec, best: Candidate) -> list[str]:
    """Return what a name was taken for, and why the line to deploy shortens sequences."""
    asked = (query.target_gpu, query.source_gpu or "")
    deployed = configuration_of(query, gpu.name, best.engine, best.n_gpus, best.batch_size)
    length = shortened(deployed)
    return [
        *(text for name in asked if (text := ambiguity(name))),
        *([] if length is None else [length.reason]),
    ]


def _served_now(
    query: Query, profile: ModelProfile, predictor: Predictor, known: Sequence[RunRecord]
) -> Candidate | None:
    """Return what is served on the source GPU; ``None`` without one."""
    if query.source_gpu is None:
        return None
    return serving_now(query, profile, find_gpu(query.source_gpu), predictor, known)


def _moved(query: Query, gpu: GpuSpec, now: Candidate, best: Candidate) -> Migration | None:
    """Return whether moving pays; ``None`` where the source is the target."""
    source = find_gpu(query.source_gpu or "")
    return None if source == gpu else judge(query, source.name, gpu.name, now, best)


def helpful_runs(
    predictor: Predictor,
    questions: Sequence[Configuration],
    landscape: Sequence[Candidate],
    known: Sequence[RunRecord],
    query: Query,
) -> list[Candidate]:
    """Return the two candidates whose measurement would help the decision most.

    Args:
        questions: n configurations.
        landscape: What is expected of them, in the same order.
    """
    rows = [i for i, candidate in enumerate(landscape) if candidate.is_feasible]
    value = np.array([math.log(score(landscape[i], query.objective)) for i in rows])
    chosen = most_informative(predictor, [questions[i] for i in rows], value, known)
    return [landscape[rows[i]] for i in chosen]


def _helpful(
    predictor: Predictor,
    questions: Sequence[Configuration],
    landscape: Sequence[Candidate],
    known: Sequence[RunRecord],
    query: Query,
    best: Candidate,
) -> list[Candidate]:
    """Return helpful runs where the evidence is far, nothing elsewhere (it takes time)."""
    if best.confidence != "low":
        return []
    return helpful_runs(predictor, questions, landscape, known, query)


def _identify(query: Query, gpu: GpuSpec, best: Candidate, now: str) -> str:
    text = json.dumps([dataclasses.asdict(query), gpu.name, best.to_dict(), now])
    return hashlib.sha256(text.encode()).hexdigest()[:12]
