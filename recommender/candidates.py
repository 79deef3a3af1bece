"""The configurations of a query on a GPU, each with what is predicted or was measured of it."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from autotune.gpus import GpuSpec
from autotune.models import ModelProfile
from autotune.records import Configuration, RunRecord
from autotune.space import can_split
from recommender.predictor import Prediction, Predictor
from recommender.query import Query

# vLLM's default of max_num_seqs on large GPUs is 1024; a pipeline's batch is padded and held whole.
MAX_BATCH = {"vllm": 1024, "hf": 512}
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


def enumerate_configurations(
    query: Query, profile: ModelProfile, gpu: GpuSpec
) -> list[Configuration]:
    """Return every configuration of the query that the model can be split into."""
    counts = [n for n in powers_of_two(min(query.max_gpus, gpu.max_gpus)) if n <= query.max_gpus]
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
        if can_split(profile, engine, n_gpus)
        for batch_size in powers_of_two(min(MAX_BATCH[engine], query.max_batch_size))
    ]


def price(
    configurations: Sequence[Configuration],
    predictor: Predictor,
    known: Sequence[RunRecord],
    *,
    model_path: str | None = None,
) -> list[Candidate]:
    """Predict each configuration; where it was measured on the target, the measurement stands.

    Args:
        known: Of runs of one configuration, the last counts.
        model_path: What the line to deploy names, for a model that lives in a directory.
    """
    counted = [r for r in known if not r.suspect]
    measured = {cell(r): r for r in counted if r.is_measured}
    failed = {cell(r): r for r in counted if r.status == "out_of_memory"}
    predictions = predictor.predict(configurations, known)
    return [
        _candidate(
            configuration,
            prediction,
            _same_format(configuration, measured.get(cell(configuration))),
            has_failed=_same_format(configuration, failed.get(cell(configuration))) is not None,
            deploy=command(configuration, model_path),
        )
        for configuration, prediction in zip(configurations, predictions, strict=True)
    ]


def cell(configuration: Configuration) -> tuple[object, ...]:
    """Return the place of a configuration in its landscape, engine version and knobs aside.

    What the knobs say of the requests is part of the place.
    """
    return (
        configuration.engine,
        configuration.model,
        configuration.gpu,
        configuration.n_gpus,
        configuration.batch_size,
        configuration.input_len,
        configuration.output_len,
        configuration.mode,
        configuration.quantization,
        *configuration.workload_knobs.items(),
    )


def _same_format(question: Configuration, run: RunRecord | None) -> RunRecord | None:
    """Return the run unless both name a dtype and the two differ."""
    if run is None:
        return None
    named = {d for d in (question.dtype, run.dtype) if d not in (None, "auto")}
    return run if len(named) < 2 else None


def _candidate(
    configuration: Configuration,
    prediction: Prediction,
    run: RunRecord | None,
    *,
    has_failed: bool,
    deploy: str,
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
        command=deploy,
        bottleneck=prediction.bottleneck,
        confidence="high" if run is not None else prediction.confidence,
    )


def command(configuration: Configuration, model_path: str | None = None) -> str:
    """Return what to type (vLLM) or to write (HF) to deploy the configuration.

    A pipeline takes the GPUs that it sees, so the line for HF names them.
    """
    model, n_gpus = model_path or configuration.model, configuration.n_gpus
    batch = configuration.batch_size
    if configuration.engine == "hf":
        visible = ",".join(str(index) for index in range(n_gpus))
        return (
            f'CUDA_VISIBLE_DEVICES={visible}: pipeline("text-generation", model="{model}", '
            f'device_map="auto")(prompts, batch_size={batch})'
        )
    options = f"--tensor-parallel-size {n_gpus} --max-num-seqs {batch}"
    if configuration.dtype not in (None, "auto"):
        options += f" --dtype {configuration.dtype}"
    if configuration.quantization is not None:
        options += f" --quantization {configuration.quantization}"
    return f"vllm serve {model} {options}"


def powers_of_two(limit: int) -> list[int]:
    """Return 1, 2, 4 ... up to the limit."""
    return [2**k for k in range(int(math.log2(limit)) + 1)]
