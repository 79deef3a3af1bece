"""EngineConfig: what one engine start fixes."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from autotune.errors import InvalidConfigError
from autotune.schema.configuration import Knob, check_knobs
from autotune.schema.validation import (
    check_choice,
    check_name,
    check_positive_int,
    check_seed,
    check_switch,
)

RUNNABLE_ENGINES = ("vllm", "hf")
DTYPES = ("auto", "float32", "float16", "bfloat16")
# vLLM's GPUs are tensor_parallel_size x these.
PARALLEL_KNOBS = ("pipeline_parallel_size", "data_parallel_size")
_FIXED_BY_AUTOTUNE = {
    "model": "--model",
    "tensor_parallel_size": "--n-gpus",
    "max_num_seqs": "--batch-sizes",
    "dtype": "--dtype",
    "quantization": "--quantization",
    "trust_remote_code": "--trust-remote-code",
    "seed": "the study's seed",
    "served_model_name": "--model",
    "hf_token": "the variable HF_TOKEN: knobs are written down",
    "api_key": "no key: the server listens on this host alone",
}


class ParallelSizes(NamedTuple):
    """How vLLM lays an engine start over its GPUs: tensor x pipeline x data of them."""

    tensor: int
    pipeline: int
    data: int

    def batch_of_rank(self, batch_size: int) -> int:
        """Return the sequences in flight on one data-parallel rank, which ``max_num_seqs`` caps."""
        return -(-batch_size // self.data)


def parallel_sizes(n_gpus: int, knobs: Mapping[str, Knob]) -> ParallelSizes:
    """Return the sizes that make up all GPUs of a start; knobs that do not divide them count as 1.

    A start's ``n_gpus`` and ``batch_size`` are all its GPUs and all its sequences in flight; vLLM's
    own ``tensor_parallel_size`` and ``max_num_seqs`` are those of one rank.
    """
    pipeline, data = (
        size if isinstance(size := knobs.get(name), int) and size > 1 else 1
        for name in PARALLEL_KNOBS
    )
    if n_gpus % (pipeline * data):
        pipeline = data = 1
    return ParallelSizes(n_gpus // (pipeline * data), pipeline, data)


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineConfig:
    """What one engine start fixes.

    Attributes:
        model: Catalogue name, or a directory with a config.json.
        like: Model whose architecture it has, where only its name is known.
        gpu: Catalogue name of the GPU it runs on.
        n_gpus: All GPUs the start takes: tensor x pipeline x data parallel sizes for vLLM (the
            latter two are knobs), ``device_map`` shards for HF.
        knobs: Further engine arguments by the engine's own names.
        serving: Whether it is started as an OpenAI-compatible server.
    """

    engine: str
    model: str
    gpu: str
    n_gpus: int = 1
    dtype: str = "auto"
    quantization: str | None = None
    knobs: Mapping[str, Knob] = field(default_factory=dict)
    trust_remote_code: bool = False
    seed: int = 0
    serving: bool = False
    like: str | None = None

    def __post_init__(self) -> None:
        check_choice("engine", self.engine, RUNNABLE_ENGINES)
        check_choice("dtype", self.dtype, DTYPES)
        check_name("model", self.model)
        check_name("gpu", self.gpu)
        check_name("quantization", self.quantization, optional=True)
        check_name("like", self.like, optional=True)
        check_positive_int("n_gpus", self.n_gpus)
        check_switch("trust_remote_code", self.trust_remote_code)
        check_switch("serving", self.serving)
        check_seed("seed", self.seed)
        check_knobs(self.knobs)
        for knob in self.knobs:
            if knob in _FIXED_BY_AUTOTUNE:
                raise InvalidConfigError(
                    f"knob {knob!r} is set by autotune itself; use {_FIXED_BY_AUTOTUNE[knob]}"
                )
        if self.engine == "vllm":
            self._check_parallel_sizes()

    def _check_parallel_sizes(self) -> None:
        for name in PARALLEL_KNOBS:
            check_positive_int(name, self.knobs.get(name, 1))
        ranks = math.prod(int(self.knobs.get(name) or 1) for name in PARALLEL_KNOBS)
        if self.n_gpus % ranks:
            raise InvalidConfigError(
                f"n_gpus={self.n_gpus} does not hold pipeline x data parallel sizes of {ranks}; "
                f"use a multiple of {ranks}"
            )
        if self.knobs.get("data_parallel_size", 1) != 1 and not self.serving:
            raise InvalidConfigError(
                "data_parallel_size: vLLM runs replicas behind its server only; use mode serving"
            )

    @property
    def parallel_sizes(self) -> ParallelSizes:
        """How the start lies on its GPUs."""
        return parallel_sizes(self.n_gpus, self.knobs)

    @property
    def spans_hosts(self) -> bool:
        """Whether vLLM places the GPUs by its Ray executor, on other hosts of the cluster too."""
        return self.knobs.get("distributed_executor_backend") == "ray"

    @property
    def is_on_cpu(self) -> bool:
        """Whether the engine runs on the host's processor."""
        return self.gpu.startswith("CPU:")
