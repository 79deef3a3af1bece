"""What vLLM is started with, in this process or as a server."""

import os
from collections.abc import Mapping
from typing import Any

from autotune.engines.weights import Weights
from autotune.schema.configuration import Configuration, Knob, engine_knobs
from autotune.schema.engine_config import EngineConfig, parallel_sizes

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
        "tensor_parallel_size": config.parallel_sizes.tensor,
        "max_num_seqs": config.parallel_sizes.batch_of_rank(max_batch_size),
        "dtype": config.dtype,
        "quantization": config.quantization,
        "seed": config.seed,
        "trust_remote_code": config.trust_remote_code,
    }
    return defaults | dict(config.knobs) | fixed


def serve_arguments(configuration: Configuration, model: str | None = None) -> list[str]:
    """Return the arguments of ``vllm serve`` that deploy a configuration, the model first.

    Args:
        model: What to serve in the place of the configuration's model, such as a directory.
    """
    sizes = parallel_sizes(configuration.n_gpus, configuration.knobs)
    arguments = [
        model or configuration.model,
        *("--tensor-parallel-size", str(sizes.tensor)),
        *("--max-num-seqs", str(sizes.batch_of_rank(configuration.batch_size))),
    ]
    if configuration.dtype not in (None, "auto"):
        arguments += ["--dtype", str(configuration.dtype)]
    if configuration.quantization is not None:
        arguments += ["--quantization", configuration.quantization]
    for name, value in engine_knobs(configuration.knobs).items():
        arguments += _option(name, value)
    return arguments


def _option(name: str, value: Knob) -> list[str]:
    flag = "--" + name.replace("_", "-")
    if value is None:
        return []
    if isinstance(value, bool):
        return [flag if value else flag.replace("--", "--no-", 1)]
    return [flag, str(value)]


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
