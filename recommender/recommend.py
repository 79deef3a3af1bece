"""From a model and a target GPU to a ranked list of configurations, with baselines and reasons.

numpy is the heaviest import here: a cold answer has 1.5 s.
"""

import dataclasses
import datetime
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from autotune.errors import InvalidConfigError, NothingFitsError
from autotune.gpus import GpuSpec, ambiguity, find_gpu
from autotune.memory import plan_memory
from autotune.models import ModelProfile, find_model
from autotune.records import Configuration, RunRecord
from autotune.spec import (
    RUNNABLE_ENGINES,
    Workload,
    check_choice,
    check_positive,
    check_positive_int,
)
from recommender.explain import explain
from recommender.predictor import Prediction, Predictor

OBJECTIVES = ("throughput", "per-gpu")
# The most that people set: vLLM's default of max_num_seqs on large GPUs is 1024.
MAX_BATCH = {"vllm": 1024, "hf": 512}
# What serving guides name first for each engine: vLLM's long-standing default, the pipeline's.
POPULAR_BATCH = {"vllm": 256, "hf": 1}
MIN_CHANCE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One configuration on the target, predicted or measured. Units as in RunRecord."""

    engine: str
    n_gpus: int
    batch_size: int
    output_throughput: float
    low: float
    high: float
    p_feasible: float
    fits: bool
    output_throughput_per_gpu: float
    ttft_ms: float | None
    tpot_ms: float | None
    memory_gb: float
    status: str
    command: str
    bottleneck: str = field(compare=False)
    confidence: str = field(compare=False)

    @property
    def is_feasible(self) -> bool:
        """Whether it may be recommended."""
        return self.fits and self.p_feasible >= MIN_CHANCE

    def to_dict(self) -> dict[str, Any]:
        """Return the candidate as JSON-ready values."""
        return dataclasses.asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What was asked.

    Attributes:
        model_path: Directory of a model that is not in the catalogue.
        source_gpu: The GPU served on until now; ``None`` when there is none.
        max_gpus: Most GPUs of one replica to consider.
        tolerance: Share of the best that may be given up for fewer GPUs or a smaller batch.
    """

    model: str
    target_gpu: str
    model_path: str | None = None
    source_gpu: str | None = None
    engine: str = "vllm"
    max_gpus: int = 8
    workload: Workload = Workload()
    dtype: str = "auto"
    quantization: str | None = None
    objective: str = "throughput"
    tolerance: float = 0.02
    top: int = 5

    def __post_init__(self) -> None:
        check_choice("engine", self.engine, (*RUNNABLE_ENGINES, "all"))
        check_choice("objective", self.objective, OBJECTIVES)
        check_positive_int("max_gpus", self.max_gpus)
        check_positive_int("top", self.top)
        if self.tolerance:
            check_positive("tolerance", self.tolerance)

    @property
    def engines(self) -> tuple[str, ...]:
        """The engines to compare."""
        return RUNNABLE_ENGINES if self.engine == "all" else (self.engine,)


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
    _check_workload(profile, query.workload)
    questions = enumerate_configurations(query, profile, gpu)
    landscape = price(questions, predictor, known)
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


def enumerate_configurations(
    query: Query, profile: ModelProfile, gpu: GpuSpec
) -> list[Configuration]:
    """Return every configuration of the query that the model can be split into."""
    counts = [n for n in _powers(min(query.max_gpus, gpu.max_gpus)) if n <= query.max_gpus]
    return [
        Configuration(
            engine=engine,
            model=profile.name,
            gpu=gpu.name,
            n_gpus=n_gpus,
            batch_size=batch_size,
            input_len=query.workload.input_len,
            output_len=query.workload.output_len,
            dtype=query.dtype,
            quantization=query.quantization,
            mode=query.workload.mode,
        )
        for engine in query.engines
        for n_gpus in counts
        if engine != "vllm" or profile.n_heads % n_gpus == 0
        for batch_size in _powers(MAX_BATCH[engine])
    ]


def price(
    configurations: Sequence[Configuration], predictor: Predictor, known: Sequence[RunRecord]
) -> list[Candidate]:
    """Predict each configuration; where it was measured on the target, the measurement stands."""
    measured = {cell(r): r for r in known if r.is_measured and not r.suspect}
    failed = {cell(r) for r in known if r.status == "out_of_memory" and not r.suspect}
    predictions = predictor.predict(configurations, known)
    return [
        _candidate(
            configuration,
            prediction,
            measured.get(cell(configuration)),
            has_failed=cell(configuration) in failed,
        )
        for configuration, prediction in zip(configurations, predictions, strict=True)
    ]


def cell(configuration: Configuration) -> tuple[object, ...]:
    """Return the place of a configuration in its landscape, engine version and knobs aside."""
    return (
        configuration.engine,
        configuration.model,
        configuration.gpu,
        configuration.n_gpus,
        configuration.batch_size,
        configuration.input_len,
        configuration.output_len,
        configuration.mode,
    )


def _candidate(
    configuration: Configuration,
    prediction: Prediction,
    run: RunRecord | None,
    *,
    has_failed: bool,
) -> Candidate:
    throughput, low, high = prediction.output_throughput, prediction.low, prediction.high
    ttft, tpot = prediction.ttft_ms, prediction.tpot_ms
    if run is not None and run.output_throughput is not None:
        throughput = run.output_throughput
        spread = run.throughput_ci95 or 0.0
        low, high = throughput / (1 + spread), throughput * (1 + spread)
        ttft, tpot = run.mean_ttft_ms or ttft, run.mean_tpot_ms or tpot
    return Candidate(
        engine=configuration.engine,
        n_gpus=configuration.n_gpus,
        batch_size=configuration.batch_size,
        output_throughput=throughput,
        low=low,
        high=high,
        p_feasible=1.0 if run is not None else 0.0 if has_failed else prediction.p_feasible,
        fits=run is not None or (prediction.fits and not has_failed),
        output_throughput_per_gpu=throughput / configuration.n_gpus,
        ttft_ms=ttft,
        tpot_ms=tpot,
        memory_gb=prediction.memory_gb,
        status="predicted" if run is None else "measured",
        command=command(configuration),
        bottleneck=prediction.bottleneck,
        confidence="high" if run is not None else prediction.confidence,
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


def command(configuration: Configuration) -> str:
    """Return what to type (vLLM) or to write (HF) to deploy the configuration."""
    model, n_gpus, batch = configuration.model, configuration.n_gpus, configuration.batch_size
    if configuration.engine == "hf":
        return (
            f'pipeline("text-generation", model="{model}", device_map="auto")'
            f"(prompts, batch_size={batch})"
        )
    options = f"--tensor-parallel-size {n_gpus} --max-num-seqs {batch}"
    if configuration.dtype not in (None, "auto"):
        options += f" --dtype {configuration.dtype}"
    if configuration.quantization is not None:
        options += f" --quantization {configuration.quantization}"
    return f"vllm serve {model} {options}"


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
    return price(questions, predictor, known)[0]


def _baselines(query: Query, landscape: Sequence[Candidate]) -> dict[str, Candidate]:
    """Return what people do without advice: the largest configuration, the most popular one."""
    engine = query.engines[0]
    own = [c for c in landscape if c.engine == engine]
    fitting = [c for c in own if c.fits]
    largest = max(fitting or own, key=lambda c: (c.n_gpus, c.batch_size))
    fewest = min(c.n_gpus for c in fitting or own)
    popular = next(c for c in own if c.n_gpus == fewest and c.batch_size == POPULAR_BATCH[engine])
    return {"largest": largest, "most_popular": popular}


def _powers(limit: int) -> list[int]:
    return [2**k for k in range(int(math.log2(limit)) + 1)]


def _check_workload(profile: ModelProfile, workload: Workload) -> None:
    wanted = workload.input_len + workload.output_len
    if wanted > profile.max_model_len:
        raise InvalidConfigError(
            f"input_len + output_len = {wanted} is beyond the {profile.max_model_len} tokens "
            f"that {profile.name} takes"
        )


def _why_nothing_fits(query: Query, profile: ModelProfile, gpu: GpuSpec) -> str:
    n_gpus = _powers(min(query.max_gpus, gpu.max_gpus))[-1]
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
