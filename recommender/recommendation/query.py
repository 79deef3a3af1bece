"""What is asked of the recommender."""

import dataclasses
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from autotune.errors import InvalidConfigError
from autotune.schema.engine_config import RUNNABLE_ENGINES
from autotune.schema.validation import check_choice, check_positive, check_positive_int
from autotune.schema.workload import Slo, Workload

KV_CACHE_DTYPES = ("auto", "fp8")
OBJECTIVES = ("throughput", "replica", "per-gpu", "cost", "energy", "goodput")


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What was asked.

    Attributes:
        model_path: Directory of a model that is not in the catalogue.
        published: The name that was asked for, where records carry another; it is what is deployed.
        like: Model whose architecture it has, where only its name is known.
        source_gpu: The GPU served on until now; ``None`` when there is none.
        max_gpus: Most GPUs to spend, on one replica or on several.
        max_batch_size: Largest batch to consider (HF stops at 512 anyway).
        max_replicas: Most replicas; ``None`` for as many as ``max_gpus`` hold.
        objective: What to maximise: ``throughput`` of all replicas that ``max_gpus`` hold
            (tokens/s), that of one ``replica``, ``per-gpu``, ``cost`` (dollars a million tokens,
            least), ``energy`` (joules a token, least), or ``goodput`` (throughput x the chance to
            meet the limits).
        slo: Latency limits; what is predicted to miss one is not recommended.
        prices: Catalogue name of a GPU -> dollars an hour of one of them.
        tolerance: Share of the best that may be given up for fewer GPUs or a smaller batch.
        keeps_what_was_measured: Whether the tolerance ends at what the kept configuration was
            measured to bring; it did not in documents that say nothing of it.
    """

    model: str
    target_gpu: str
    model_path: str | None = None
    published: str | None = None
    like: str | None = None
    source_gpu: str | None = None
    engine: str = "vllm"
    max_gpus: int = 8
    max_batch_size: int = 1024
    max_replicas: int | None = None
    workload: Workload = field(default_factory=Workload)
    dtype: str = "auto"
    quantization: str | None = None
    kv_cache_dtype: str = "auto"
    objective: str = "throughput"
    slo: Slo = field(default_factory=Slo)
    prices: Mapping[str, float] = field(default_factory=dict)
    tolerance: float = 0.02
    keeps_what_was_measured: bool = True
    top: int = 5

    def __post_init__(self) -> None:
        check_choice("engine", self.engine, (*RUNNABLE_ENGINES, "all"))
        check_choice("objective", self.objective, OBJECTIVES)
        for name in ("max_gpus", "max_batch_size", "top"):
            check_positive_int(name, getattr(self, name))
        if self.max_replicas is not None:
            check_positive_int("max_replicas", self.max_replicas)
        check_choice("kv_cache_dtype", self.kv_cache_dtype, KV_CACHE_DTYPES)
        if self.tolerance:
            check_positive("tolerance", self.tolerance)
        for gpu, dollars in self.prices.items():
            check_positive(f"price of {gpu}", dollars)
        if self.objective == "goodput" and not self.slo.is_set:
            raise InvalidConfigError(
                "objective=goodput needs a latency limit: give --max-ttft-ms or --max-tpot-ms"
            )

    @property
    def most_replicas(self) -> int | None:
        """Most replicas of a plan; ``None`` for as many as the GPUs hold."""
        return 1 if self.objective == "replica" else self.max_replicas

    @property
    def deployed(self) -> str:
        """What an engine is told to load: a directory, or the model's own name on the Hub."""
        return self.model_path or self.published or self.model

    @property
    def engines(self) -> tuple[str, ...]:
        """The engines to compare."""
        return RUNNABLE_ENGINES if self.engine == "all" else (self.engine,)


# Fields of a query whose option has another name, or that are no option.
_OPTIONS: Final = ("like", "target_gpu", "source_gpu", "engine", "max_gpus", "max_batch_size",
                   "max_replicas", "dtype", "quantization", "kv_cache_dtype", "objective",
                   "tolerance", "top")  # fmt: skip


def recommend_line(query: Query) -> str:
    """Return the ``autotune recommend`` line that asks the same, defaults left out."""
    return shlex.join(["autotune", "recommend", *_arguments(query)])


def _arguments(query: Query) -> Iterator[str]:
    defaults = {f.name: f.default for f in dataclasses.fields(Query)}
    yield from ("--model", query.deployed)
    for name in _OPTIONS:
        value = getattr(query, name)
        if value is not None and value != defaults[name]:
            yield from _option(name, value)
    for name in ("input_len", "output_len"):
        yield from _option(name, getattr(query.workload, name))
    for name in ("max_ttft_ms", "max_tpot_ms"):
        if getattr(query.slo, name) is not None:
            yield from _option(name, getattr(query.slo, name))
    for gpu, dollars in query.prices.items():
        yield from ("--price", f"{gpu}={dollars:g}")


def _option(name: str, value: Any) -> tuple[str, str]:
    return f"--{name.replace('_', '-')}", f"{value:g}" if isinstance(value, float) else str(value)
