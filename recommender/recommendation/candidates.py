"""The configurations of a query on a GPU, and what is known of one: a candidate."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from autotune.catalog.architecture.profile import ModelProfile
from autotune.catalog.compatibility import can_split
from autotune.catalog.gpus import GpuSpec
from autotune.schema.configuration import Configuration, Knob
from recommender.decision.acquisition import MIN_CHANCE
from recommender.features.placement import replicas_of
from recommender.recommendation.query import Query

# vLLM's default of max_num_seqs on large GPUs is 1024; a pipeline's batch is padded and held whole.
MAX_BATCH = {"vllm": 1024, "hf": 512}

# engine, GPUs and batch size
Place = tuple[str, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One configuration on a GPU, predicted or measured, and how many replicas of it there are.

    Units as in RunRecord. What is not called a total is one replica's.

    Attributes:
        replicas: Independent engines of ``n_gpus`` each.
        p_within_limits: Chance to meet the query's latency limits; 1 without any.
        energy_j_per_token: Of all GPUs of the replica; ``None`` where no power is known.
        cost_per_mtok: Dollars a million generated tokens; ``None`` without the GPU's price.
        measured_otherwise: How the figures were, or would be, measured unlike ``command``.
    """

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
    p_within_limits: float = 1.0
    energy_j_per_token: float | None = None
    cost_per_mtok: float | None = None
    replicas: int = 1
    measured_otherwise: str = field(default="", compare=False)

    @property
    def total_gpus(self) -> int:
        """GPUs of all replicas."""
        return self.replicas * self.n_gpus

    @property
    def total_output_throughput(self) -> float:
        """Generated tokens/s of all replicas together."""
        return self.replicas * self.output_throughput

    @property
    def total_low(self) -> float:
        """Lower end of the 90 % interval of all replicas; they err together."""
        return self.replicas * self.low

    @property
    def total_high(self) -> float:
        """Upper end of the 90 % interval of all replicas."""
        return self.replicas * self.high

    @property
    def tok_s_per_user(self) -> float | None:
        """Tokens/s that one user sees once the first has come; ``None`` without a TPOT."""
        return 1000 / self.tpot_ms if self.tpot_ms else None

    @property
    def can_run(self) -> bool:
        """Whether it more likely runs than not."""
        return self.fits and self.p_feasible >= MIN_CHANCE

    @property
    def is_feasible(self) -> bool:
        """Whether it may be recommended: it runs, and more likely than not within the limits."""
        return self.can_run and self.p_within_limits >= MIN_CHANCE

    def to_dict(self) -> dict[str, Any]:
        """Return the candidate as JSON-ready values, totals among them."""
        return dataclasses.asdict(self) | {name: getattr(self, name) for name in _DERIVED}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Candidate":
        """Read what ``to_dict`` wrote, or a version of it from before there were plans."""
        return cls(**{name: value for name, value in data.items() if name not in _DERIVED})


_DERIVED: Final = (
    "total_gpus",
    "total_output_throughput",
    "total_low",
    "total_high",
    "tok_s_per_user",
)


def enumerate_configurations(
    query: Query, profile: ModelProfile, gpu: GpuSpec
) -> list[Configuration]:
    """Return every configuration of the query that the model can be split into."""
    counts = powers_of_two(min(query.max_gpus, gpu.max_gpus))
    return [
        configuration_of(query, gpu.name, engine, n_gpus, batch_size)
        for engine in query.engines
        for n_gpus in counts
        if can_split(profile, engine, n_gpus)
        for batch_size in powers_of_two(min(MAX_BATCH[engine], query.max_batch_size))
    ]


def configuration_of(
    query: Query, gpu: str, engine: str, n_gpus: int, batch_size: int
) -> Configuration:
    """Return a configuration of the query's model and workload on a GPU (catalogue names)."""
    return Configuration(
        engine=engine,
        model=query.model,
        gpu=gpu,
        n_gpus=n_gpus,
        batch_size=batch_size,
        input_len=query.workload.input_len,
        output_len=query.workload.output_len,
        dtype=query.dtype,
        quantization=query.quantization,
        mode=query.workload.mode,
        knobs=_knobs(query, engine),
    )


def _knobs(query: Query, engine: str) -> dict[str, Knob]:
    """Return what the query says of the engine beyond a record's own fields."""
    if engine != "vllm" or query.kv_cache_dtype == "auto":
        return {}
    return {_KV_CACHE: query.kv_cache_dtype}


_KV_CACHE: Final = "kv_cache_dtype"


def cell(configuration: Configuration) -> tuple[object, ...]:
    """Return the place of a configuration in its landscape, engine version and knobs aside.

    What the knobs say of the requests, of replicas and of the cache's format is part of the place.
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
        configuration.knobs.get(_KV_CACHE) or "auto",
        replicas_of(configuration),
        *configuration.workload_knobs.items(),
    )


def place_of(of: Candidate | Configuration) -> Place:
    """Return where one is among a query's configurations."""
    return (of.engine, of.n_gpus, of.batch_size)


def place_in_words(of: Candidate | Configuration, gpu: str) -> str:
    """Return where one is, as in "2 x H200 with vllm at batch size 64"."""
    return f"{of.n_gpus} x {gpu} with {of.engine} at batch size {of.batch_size}"


def may_be_same_format(one: str | None, other: str | None) -> bool:
    """Whether two dtypes can be the same: unless both are named and differ."""
    return len({dtype for dtype in (one, other) if dtype not in (None, "auto")}) < 2


def powers_of_two(limit: int) -> list[int]:
    """Return 1, 2, 4 ... up to the limit."""
    return [2**k for k in range(int(math.log2(limit)) + 1)]
