"""What vLLM is started with, in this process or as a server."""

import os
from collections.abc import Mapping
from typing import Any

from autotune.engines.weights import Weights
from autotune.schema.engine_config import EngineConfig

_CPU_KV_CACHE_GIB = 2


def engine_arguments(
    config: EngineConfig, weights: Weights, *, max_batch_size: int, max_model_len: int
) -> dict[str, Any]:
    """Return vLLM's ``EngineArgs`` but for the model; a knob wins over a default."""
    defaults: dict[str, Any] = {
        "max_model_len": max_model_len,
        "enable_prefix_caching": False,
        "load_format": "safetensors" if weights.kind == "checkpoint" else "dummy",
    }
    fixed: dict[str, Any] = {
        "tensor_parallel_size": config.tensor_parallel_size,
        "max_num_seqs": max_batch_size,
        "dtype": config.dtype,
        "quantization": config.quantization,
        "seed": config.seed,
        "trust_remote_code": config.trust_remote_code,
    }
    return defaults | dict(config.knobs) | fixed


def flags(arguments: Mapping[str, Any]) -> list[str]:
    """Return the arguments as a command line gives them; one that is ``None`` is left out."""
    return [
        _flag(name.replace("_", "-"), value)
        for name, value in arguments.items()
        if value is not None
    ]


def _flag(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return f"--{name}" if value else f"--no-{name}"
    return f"--{name}={value}"


def environment_defaults(config: EngineConfig) -> dict[str, str]:
    """Return the environment variables vLLM gets where the caller has not set them."""
    defaults = {"VLLM_NO_USAGE_STATS": "1", "VLLM_LOGGING_LEVEL": "INFO"}
    if config.is_on_cpu:
        defaults["VLLM_CPU_KVCACHE_SPACE"] = str(_CPU_KV_CACHE_GIB)
        if config.n_gpus > 1:
            defaults["VLLM_CPU_OMP_THREADS_BIND"] = _bind_ranks(config.n_gpus)
    return defaults


def _bind_ranks(n: int) -> str:
    """Share this process's cores among ``n`` ranks, in vLLM's notation (``0,1|2,3``)."""
    cores = sorted(os.sched_getaffinity(0))
    each = max(1, len(cores) // n)
    return "|".join(",".join(map(str, cores[i * each : (i + 1) * each])) for i in range(n))
