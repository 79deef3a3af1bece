"""From a model and a target GPU to a ranked list of configurations, with baselines and reasons.

numpy is the heaviest import here: a cold answer has 1.5 s.
"""

import dataclasses
import datetime
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autotune.errors import NothingFitsError
from autotune.gpus import GpuSpec, ambiguity, find_gpu
from autotune.memory import plan_memory
from autotune.models import ModelProfile, find_model
from autotune.records import RunRecord
from autotune.space import check_lengths
from recommender.candidates import Candidate, enumerate_configurations, powers_of_two, price
from recommender.explain import explain
from recommender.predictor import Predictor
from recommender.query import Query

# What serving guides name first for each engine: vLLM's long-standing default, the pipeline's.
POPULAR_BATCH = {"vllm": 256, "hf": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """The answer. ``landscape`` holds every configuration considered, best first."""

    recommendation_id: str
    created_at: str
    query: Query
    target_gpu: str
    best: Candidate
    candidates: tuple[Candidate, ...]
    keep_source: Candidate | None
    baselines: Mapping[str, Candidate]
    landscape: tuple[Candidate, ...]
    explanation: str
    remarks: tuple[str, ...]
    n_known_runs: int

    def to_dict(self) -> dict[str, Any]:
        """Return the contract's JSON object."""
        return {
            "model": self.query.model,
            "engine": self.best.engine,
            "target_gpu": self.target_gpu,
            "workload": dataclasses.asdict(self.query.workload),
            "best": self.best.to_dict(),
            "candidates": [candidate.to_dict() for candidate in self.candidates],
            "keep_source": None if self.keep_source is None else self.keep_source.to_dict(),
            "baselines": {name: c.to_dict() for name, c in self.baselines.items()},
            "explanation": self.explanation,
            "remarks": list(self.remarks),
            "recommendation_id": self.recommendation_id,
        }


def recommend(
    query: Query, predictor: Predictor, known: Sequence[RunRecord] = ()
) -> Recommendation:
    """Rank the configurations of a model on a target GPU.

    Args:
        known: Runs known of this model, on any GPU; they correct the predictions, and those on the
            target replace them.

    Raises:
        UsageError: For an unknown model or GPU.
        NothingFitsError: When no configuration fits the target; says how much memory is missing.
    """
    profile, gpu = find_model(query.model), find_gpu(query.target_gpu)
    query = dataclasses.replace(query, model=profile.name)
    check_lengths(profile, query.workload)
    questions = enumerate_configurations(query, profile, gpu)
    landscape = price(questions, predictor, known, model_path=query.model_path)
    feasible = [candidate for candidate in landscape if candidate.is_feasible]
    if not feasible:
        raise NothingFitsError(_why_nothing_fits(query, profile, gpu))
    ranked = rank(feasible, query)
    keep = _keep(query, profile, predictor, known)
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
    baselines = _baselines(query, landscape)
    remarks = [
        text for name in (query.target_gpu, query.source_gpu or "") if (text := ambiguity(name))
    ]
    return Recommendation(
        recommendation_id=_identify(query, gpu, ranked, now),
        created_at=now,
        query=query,
        target_gpu=gpu.name,
        best=ranked[0],
        candidates=tuple(ranked[: query.top]),
        keep_source=keep,
        baselines=baselines,
        landscape=tuple(landscape),
        explanation=explain(
            query, profile, gpu, ranked, feasible, keep, n_known=len(known), n_all=len(landscape)
        ),
        remarks=tuple(remarks),
        n_known_runs=len(known),
    )


def rank(feasible: Sequence[Candidate], query: Query) -> list[Candidate]:
    """Order by the objective; the first is the cheapest of those within the tolerance of the best.

    Cheaper means fewer GPUs, then the smaller batch: the same throughput at a lower latency.
    """
    ordered = sorted(feasible, key=lambda c: -score(c, query.objective))
    floor = score(ordered[0], query.objective) * (1 - query.tolerance)
    plateau = [c for c in ordered if score(c, query.objective) >= floor]
    first = min(plateau, key=lambda c: (c.n_gpus, c.batch_size))
    return [first, *(c for c in ordered if c is not first)]


def score(candidate: Candidate, objective: str) -> float:
    """Return what the objective maximises, in tok/s (or tok/s per GPU)."""
    if objective == "per-gpu":
        return candidate.output_throughput_per_gpu
    return candidate.output_throughput


def _keep(
    query: Query, profile: ModelProfile, predictor: Predictor, known: Sequence[RunRecord]
) -> Candidate | None:
    """Return the source GPU's best configuration as it would do on the target."""
    if query.source_gpu is None:
        return None
    source, target = find_gpu(query.source_gpu), find_gpu(query.target_gpu)
    there = [
        c
        for c in price(enumerate_configurations(query, profile, source), predictor, known)
        if c.is_feasible
    ]
    measured = [c for c in there if c.status == "measured"]
    best = rank(measured or there, query)[0] if there else None
    if best is None:
        return None
    questions = [
        dataclasses.replace(c, gpu=target.name)
        for c in enumerate_configurations(query, profile, source)
        if (c.engine, c.n_gpus, c.batch_size) == (best.engine, best.n_gpus, best.batch_size)
    ]
    return price(questions, predictor, known, model_path=query.model_path)[0]


def _baselines(query: Query, landscape: Sequence[Candidate]) -> dict[str, Candidate]:
    """Return what people do without advice: the largest configuration, the most popular one."""
    engine = query.engines[0]
    own = [c for c in landscape if c.engine == engine]
    fitting = [c for c in own if c.fits]
    largest = max(fitting or own, key=lambda c: (c.n_gpus, c.batch_size))
    fewest = min(c.n_gpus for c in fitting or own)
    usual = max(c.batch_size for c in own if c.batch_size <= POPULAR_BATCH[engine])
    popular = next(c for c in own if c.n_gpus == fewest and c.batch_size == usual)
    return {"largest": largest, "most_popular": popular}


def _why_nothing_fits(query: Query, profile: ModelProfile, gpu: GpuSpec) -> str:
    n_gpus = powers_of_two(min(query.max_gpus, gpu.max_gpus))[-1]
    plan = plan_memory(
        profile,
        gpu,
        engine=query.engines[0],
        n_gpus=n_gpus,
        batch_size=1,
        sequence_len=query.workload.input_len + query.workload.output_len,
        dtype=query.dtype,
        kv_dtype="auto",
    )
    return (
        f"{profile.name} does not fit on {n_gpus} x {gpu.name}: one sequence needs "
        f"{plan.total_gb:.0f} GB a GPU ({plan.weights_gb:.0f} GB of them weights), "
        f"{plan.available_gb:.0f} GB are usable; allow more GPUs (--max-gpus), quantise "
        "(--quantization fp8), or name a larger GPU"
    )


def _identify(query: Query, gpu: GpuSpec, ranked: Sequence[Candidate], now: str) -> str:
    text = json.dumps([dataclasses.asdict(query), gpu.name, ranked[0].to_dict(), now])
    return hashlib.sha256(text.encode()).hexdigest()[:12]
