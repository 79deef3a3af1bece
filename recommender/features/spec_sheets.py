"""What a model and a GPU are in numbers, at a weight format: the part that all their runs share."""

from functools import lru_cache
from typing import Final

from autotune.catalog.architecture.profile import ModelProfile
from autotune.catalog.compatibility import DTYPE_BYTES, canonical_dtype
from autotune.catalog.gpus import GpuSpec, find_gpu
from autotune.catalog.memory import kv_bytes_per_token, weight_bytes
from autotune.catalog.models import find_model
from autotune.errors import (
    InvalidConfigError,
)
from autotune.schema.configuration import Configuration

_SIXTEEN_BIT: Final = 2.0
_SLOWEST_LINK_GBS: Final = 16.0
_FP8: Final = frozenset({"fp8", "int8"})
_FP4: Final = frozenset({"fp4", "nvfp4", "mxfp4"})
MODEL_COLUMNS: Final = (
    "layers",
    "attention_layers",
    "sliding_layers",
    "window",
    "hidden",
    "heads",
    "kv_heads",
    "head_dim",
    "vocab",
    "params",
    "active_params",
    "expert_params",
    "experts",
    "experts_per_token",
    "embedding_params",
    "is_encoder_decoder",
    "weight_bytes",
    "kv_bytes_per_token",
)
GPU_COLUMNS: Final = (
    "memory_gb",
    "bandwidth",
    "flops",
    "interconnect",
    "is_cpu",
    "is_amd",
    "is_other_vendor",
    "year",
)


def weight_format(configuration: Configuration) -> str:
    """Return the format of the stored weights: the quantization if any, else the dtype."""
    return configuration.quantization or configuration.dtype or "auto"


def kv_format(configuration: Configuration) -> str:
    """Return the format of the KV cache; TensorRT-LLM's quantised checkpoints bring fp8 caches."""
    asked = configuration.knobs.get("kv_cache_dtype")
    if asked not in (None, "auto"):
        return str(asked)
    dtype = weight_format(configuration)
    stored = model_of(configuration.model).dtype if dtype == "auto" else dtype
    is_quantised = DTYPE_BYTES[canonical(stored)] < _SIXTEEN_BIT
    return "fp8" if configuration.engine == "trtllm" and is_quantised else "auto"


@lru_cache(maxsize=1024)
def gpu_of(name: str) -> GpuSpec:
    """Return find_gpu's spec, remembered."""
    return find_gpu(name)


@lru_cache(maxsize=1024)
def model_of(name: str) -> ModelProfile:
    """Return find_model's profile, remembered."""
    return find_model(name)


def canonical(dtype: str) -> str:
    """Return autotune.memory's name of a format.

    Raises:
        InvalidConfigError: When it knows no such format.
    """
    try:
        return canonical_dtype(dtype)
    except ValueError as err:
        raise InvalidConfigError(str(err)) from err


@lru_cache(maxsize=4096)
def static_numbers(
    model: str, gpu: str, dtype: str, kv_dtype: str, is_hf: bool
) -> tuple[float, ...]:
    """Return MODEL_COLUMNS and GPU_COLUMNS of a model on a GPU.

    Engines other than Hugging Face's load float32 checkpoints in 16 bits.
    """
    profile, spec = model_of(model), gpu_of(gpu)
    stored = canonical(profile.dtype if dtype == "auto" else dtype)
    if stored == "float32" and dtype == "auto" and not is_hf:
        stored = "float16"
    if kv_dtype == "auto":
        kv_dtype = "float32" if stored == "float32" else "float16"
    return (*_model_numbers(profile, stored, kv_dtype), *_gpu_numbers(spec, stored))


def _model_numbers(profile: ModelProfile, dtype: str, kv_dtype: str) -> tuple[float, ...]:
    return (
        profile.n_layers,
        profile.n_attention_layers,
        profile.n_sliding_layers,
        profile.sliding_window or 0,
        profile.hidden_size,
        profile.n_heads,
        profile.n_kv_heads,
        profile.head_dim,
        profile.vocab_size,
        profile.n_params,
        profile.n_active_params,
        profile.n_expert_params,
        profile.n_experts,
        profile.n_experts_per_token,
        profile.embedding_params,
        profile.is_encoder_decoder,
        weight_bytes(profile, dtype),
        kv_bytes_per_token(profile, kv_dtype),
    )


def _gpu_numbers(spec: GpuSpec, dtype: str) -> tuple[float, ...]:
    return (
        spec.memory_gb,
        spec.bandwidth_gbs * 1e9,
        _tflops(spec, dtype) * 1e12,
        max(spec.interconnect_gbs, _SLOWEST_LINK_GBS) * 1e9,
        spec.vendor == "cpu",
        spec.vendor == "amd",
        spec.vendor not in ("cpu", "amd", "nvidia"),
        spec.year,
    )


def _tflops(spec: GpuSpec, dtype: str) -> float:
    """Return the dense rate of matrix products; formats without units compute in 16 bits."""
    if dtype == "float32":
        return spec.fp32_tflops
    half = spec.fp16_tflops
    if dtype == "bfloat16" and spec.bf16_tflops is not None:
        half = spec.bf16_tflops
    if dtype in _FP4:
        return spec.fp4_tflops or spec.fp8_tflops or half
    return (spec.fp8_tflops or half) if dtype in _FP8 else half
