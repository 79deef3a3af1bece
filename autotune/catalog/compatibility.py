"""What an engine, a GPU and a model can do together: formats, GPU counts, lengths, batches."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from autotune.catalog.architecture.profile import ModelProfile
from autotune.catalog.gpus import GpuSpec
from autotune.errors import InvalidConfigError
from autotune.schema.engine_config import EngineConfig
from autotune.schema.workload import Workload

DTYPE_BYTES: Mapping[str, float] = MappingProxyType(
    {
        "float32": 4.0,
        "float16": 2.0,
        "bfloat16": 2.0,
        "fp8": 1.0,
        "int8": 1.0,
        # 4 bits, a 16-bit scale and a 4-bit zero point per 128 values
        "int4": 0.52,
        "awq": 0.52,
        "gptq": 0.52,
        # 4 bits, and an 8-bit scale per 32 values
        "mxfp4": 0.53125,
        # 4 bits, and an 8-bit scale per 16 values
        "nvfp4": 0.5625,
        "fp4": 0.5625,
    }
)
_SYNONYMS = {
    "fp32": "float32",
    "fp16": "float16",
    "half": "float16",
    "bf16": "bfloat16",
    "fp8_e4m3": "fp8",
    "fp8_e5m2": "fp8",
    "bitsandbytes": "int4",
    "modelopt": "fp8",
    "modelopt_fp4": "nvfp4",
}


def canonical_dtype(name: str) -> str:
    """Return the key of DTYPE_BYTES that a type's name or synonym means.

    Raises:
        ValueError: the name is not known.
    """
    key = name.lower().removeprefix("torch.")
    key = _SYNONYMS.get(key, key)
    if key not in DTYPE_BYTES:
        raise ValueError(f"unknown dtype {name!r}; known: {', '.join((*DTYPE_BYTES, *_SYNONYMS))}")
    return key


# What vLLM's table of supported hardware (0.14) and its page on FP8 (0.32) say: below a compute
# capability of 7.5 there are kernels for these alone.
_ON_VOLTA = ("gptq", "bitsandbytes")


def how_it_runs(quantization: str, gpu: GpuSpec) -> Literal["native", "weight-only"] | None:
    """Return how vLLM runs weights of a format on a GPU; ``None`` where it does not.

    ``native``: the matrix units compute in it, by the sheet's rates. ``weight-only``: it is stored
    so, and unpacked to 16 bits before each product, which saves memory and its reading, no
    computing; of NVIDIA's alone.
    """
    if gpu.architecture == "volta":
        return "weight-only" if quantization.lower() in _ON_VOLTA else None
    rates = {"fp8": gpu.fp8_tflops, "int8": gpu.int8_tops, "nvfp4": gpu.fp4_tflops,
             "mxfp4": gpu.fp4_tflops, "fp4": gpu.fp4_tflops}  # fmt: skip
    if rates.get(canonical_dtype(quantization)):
        return "native"
    return "weight-only" if gpu.vendor == "nvidia" else None


def check_quantization(quantization: str | None, engine: str, gpu: GpuSpec) -> None:
    """Refuse a format of the weights that vLLM cannot run on a GPU.

    Raises:
        InvalidConfigError: Naming both, and what to do.
    """
    if quantization is None or engine != "vllm" or gpu.architecture != "volta":
        return
    if how_it_runs(quantization, gpu) is None:
        raise InvalidConfigError(
            f"quantization={quantization}: vLLM runs no such weights on {gpu.name} (compute "
            f"capability 7.0, 7.5 is needed); take {' or '.join(_ON_VOLTA)} there, or name a newer "
            "GPU"
        )


# vLLM's max_num_seqs for offline use (get_batch_defaults in its arg_utils.py).
_VLLM, _VLLM_LARGE_GPU, _LARGE_GPU_GB = 256, 1024, 70.0


def default_batch_size(engine: str, gpu: GpuSpec) -> int:
    """Return vLLM's default ``max_num_seqs`` on this GPU, or a pipeline's ``batch_size`` of 1."""
    if engine == "hf":
        return 1
    # vLLM leaves the A100 at the smaller default whatever its memory.
    is_large = gpu.memory_gb >= _LARGE_GPU_GB and not gpu.name.startswith(("A100", "CPU:"))
    return _VLLM_LARGE_GPU if is_large else _VLLM


def can_split(profile: ModelProfile, engine: str, n_gpus: int) -> bool:
    """Whether the model can be laid over so many GPUs: tensor parallelism needs whole heads."""
    return engine == "hf" or profile.n_heads % n_gpus == 0


def check_split(profile: ModelProfile, config: EngineConfig) -> None:
    """Refuse a GPU count that the model cannot be laid over.

    Raises:
        InvalidConfigError: Naming the heads and the count.
    """
    size = config.parallel_sizes.tensor
    if not can_split(profile, config.engine, size):
        raise InvalidConfigError(
            f"n_gpus={config.n_gpus}: the {profile.n_heads} attention heads of {profile.name} "
            f"cannot be split evenly over {size}; use a divisor"
        )


def check_lengths(profile: ModelProfile, workload: Workload) -> None:
    """Refuse a workload longer than the model's context.

    Raises:
        InvalidConfigError: Naming both lengths.
    """
    wanted = workload.max_len
    if wanted > profile.max_model_len:
        raise InvalidConfigError(
            f"the longest request's input_len + output_len = {wanted} is beyond the "
            f"{profile.max_model_len} tokens that {profile.name} takes"
        )
