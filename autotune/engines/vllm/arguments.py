"""What vLLM is started with: in this process, as a server, or by whoever deploys it."""

import os
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from autotune.engines.vllm.model_length import shortened
from autotune.engines.weights import Weights
from autotune.schema.configuration import Configuration, Knob, engine_knobs
from autotune.schema.engine_config import EngineConfig, parallel_sizes

_CPU_KV_CACHE_GIB = 2
_FLAGS: Final = Path(__file__).with_name("serve_flags.txt")
# A model's own generation settings could shorten what is asked of a server; vLLM's do not.
SERVER_DEFAULTS: Final[Mapping[str, Knob]] = {"generation_config": "vllm"}


def start_arguments(start: EngineConfig | Configuration, batch_size: int) -> dict[str, Any]:
    """Return the ``EngineArgs`` that make a configuration, measured or deployed.

    A knob wins over what is worked out: recorded starts may have been given both.

    Args:
        batch_size: Sequences in flight over all replicas of the start.
    """
    sizes = parallel_sizes(start.n_gpus, start.knobs)
    worked_out = {
        "tensor_parallel_size": sizes.tensor,
        "max_num_seqs": sizes.batch_of_rank(batch_size),
        "dtype": start.dtype,
        "quantization": start.quantization,
    }
    return worked_out | engine_knobs(start.knobs)


def measuring_defaults(weights_kind: str, max_model_len: int) -> dict[str, Any]:
    """Return what a start to measure is given beside its configuration; a knob wins over it.

    Args:
        weights_kind: ``checkpoint`` or ``random``.
        max_model_len: Tokens of the study's longest request.
    """
    return {
        "max_model_len": max_model_len,
        "enable_prefix_caching": False,
        "load_format": "safetensors" if weights_kind == "checkpoint" else "dummy",
    }


def engine_arguments(
    config: EngineConfig, weights: Weights, *, max_batch_size: int, max_model_len: int
) -> dict[str, Any]:
    """Return the ``EngineArgs`` of a start to measure, but for the model."""
    return {
        **measuring_defaults(weights.kind, max_model_len),
        **start_arguments(config, max_batch_size),
        "seed": config.seed,
        "trust_remote_code": config.trust_remote_code,
    }


def serve_arguments(configuration: Configuration, model: str | None = None) -> list[str]:
    """Return the arguments of ``vllm serve`` that deploy a configuration, the model first.

    Args:
        model: What to serve in the place of the configuration's model, such as a directory.
    """
    arguments = start_arguments(configuration, configuration.batch_size)
    if arguments["dtype"] == "auto":
        arguments["dtype"] = None
    length = shortened(configuration)
    if length is not None:
        arguments["max_model_len"] = length.max_model_len
    words = [model or configuration.model]
    for flag, value in _options(arguments):
        words += [flag] if value is None else [flag, value]
    return words


def flags(arguments: Mapping[str, Any]) -> list[str]:
    """Return the arguments as a command line gives them; one that is ``None`` is left out."""
    return [f if value is None else f"{f}={value}" for f, value in _options(arguments)]


def _options(arguments: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    """Yield flags and values; a switch has none."""
    for name, value in arguments.items():
        flag = "--" + name.replace("_", "-")
        if isinstance(value, bool):
            off = flag.replace("--", "--no-", 1)
            # Some switches cannot be turned off, only left out.
            if value or off in serve_flags() or flag not in serve_flags():
                yield flag if value else off, None
        elif value is not None:
            yield flag, str(value)


@cache
def serve_flags() -> frozenset[str]:
    """Return the options of ``vllm serve`` in the version that the shipped list names."""
    return frozenset(line for line in _listed() if line.startswith("--"))


def serve_flags_version() -> str:
    """Return the version that the shipped list names in its first line."""
    return _listed()[0].rpartition(" ")[2].rstrip(".")


def _listed() -> list[str]:
    return _FLAGS.read_text(encoding="utf-8").splitlines()


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
