"""Configurations as columns of numbers: what the roofline and the features are computed from."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from autotune.gpus import GpuSpec, find_gpu
from autotune.memory import (
    DTYPE_BYTES,
    MemoryPlan,
    canonical_dtype,
    kv_bytes_per_token,
    plan_memory,
    weight_bytes,
)
from autotune.models import ModelProfile, find_model
from autotune.records import ENGINES, Configuration

Array = NDArray[np.float64]

DEFAULT_INPUT_LEN: Final = 256
DEFAULT_OUTPUT_LEN: Final = 128
_SIXTEEN_BIT: Final = 2.0
_FP8 = frozenset({"fp8", "int8"})
# InfPop varied the batch but left vLLM's max_num_seqs at what was then its default.
_DEFAULT_CAP_SOURCES: Final = ("infpop",)
_OLD_DEFAULT_MAX_NUM_SEQS: Final = 256.0
_EARLY_YEARS: Final = ("2023", "2024")
_EARLY_BEFORE: Final = 6.0
_VERSION = re.compile(r"(\d{1,2})\.(\d{1,3})\b")
_FP4 = frozenset({"fp4", "nvfp4", "mxfp4"})
_MODEL_COLUMNS = (
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
_GPU_COLUMNS = (
    "memory_gb",
    "bandwidth",
    "flops",
    "interconnect",
    "is_cpu",
    "is_amd",
    "is_other_vendor",
    "year",
)
_RUN_COLUMNS = (
    "engine",
    "is_serving",
    "n_gpus",
    "batch_size",
    "in_flight",
    "input_len",
    "output_len",
    "input_len_unknown",
    "memory_total_gb",
    "memory_available_gb",
    "memory_per_sequence_gb",
    "max_sequences",
    "fits",
    "version",
    "is_early",
)
COLUMNS: Final = (*_MODEL_COLUMNS, *_GPU_COLUMNS, *_RUN_COLUMNS)
_INDEX: Final = {name: column for column, name in enumerate(COLUMNS)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Numbers of ``n`` configurations; ``facts["hidden"]`` is one column of shape (n,).

    Units: parameters and lengths are counts, ``*_bytes`` bytes, ``bandwidth`` and ``interconnect``
    bytes/s, ``flops`` floating-point operations/s of one GPU at the weights' precision.
    """

    table: Array

    def __getitem__(self, name: str) -> Array:
        column: Array = self.table[:, _INDEX[name]]
        return column

    def __len__(self) -> int:
        return len(self.table)

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> "Facts":
        """Return the facts of some rows."""
        return Facts(table=self.table[rows])

    def is_engine(self, name: str) -> NDArray[np.bool_]:
        """Return which rows run on this engine, shape (n,)."""
        mask: NDArray[np.bool_] = self["engine"] == ENGINES.index(name)
        return mask


def collect(configurations: Sequence[Configuration], *, source: str | None = None) -> Facts:
    """Look every model and GPU up and return the numbers, shape (n, len(COLUMNS)).

    Args:
        configurations: n configurations or RunRecords.
        source: Whose harness configurations without a source of their own will run in, if known.

    Raises:
        UnknownGpuError, UnknownModelError: For a name that the catalogue does not hold.
    """
    rows = [_row(configuration, source) for configuration in configurations]
    return Facts(table=np.array(rows, dtype=np.float64).reshape(len(rows), len(COLUMNS)))


@lru_cache(maxsize=65_536)
def memory_plan(
    engine: str,
    model: str,
    gpu: str,
    n_gpus: int,
    batch_size: int,
    sequence_len: int,
    dtype: str,
    kv_dtype: str,
    utilization: float | None,
) -> MemoryPlan:
    """Return autotune.memory's plan, remembered: searches ask for the same ones again."""
    chosen = {} if utilization is None else {"gpu_memory_utilization": utilization}
    return plan_memory(
        _model(model),
        _gpu(gpu),
        engine=engine,
        n_gpus=n_gpus,
        batch_size=batch_size,
        sequence_len=sequence_len,
        dtype=dtype,
        kv_dtype=kv_dtype,
        **chosen,
    )


def plan_of(configuration: Configuration) -> MemoryPlan:
    """Return the memory plan of a configuration, with default lengths where it names none."""
    input_len, output_len = lengths(configuration)
    utilization = configuration.knobs.get("gpu_memory_utilization")
    return memory_plan(
        configuration.engine,
        configuration.model,
        configuration.gpu,
        configuration.n_gpus,
        configuration.batch_size,
        input_len + output_len,
        weight_format(configuration),
        kv_format(configuration),
        float(utilization) if isinstance(utilization, int | float) else None,
    )


def lengths(configuration: Configuration) -> tuple[int, int]:
    """Return (input_len, output_len) in tokens, defaults where the source does not say."""
    return (
        configuration.input_len or DEFAULT_INPUT_LEN,
        configuration.output_len or DEFAULT_OUTPUT_LEN,
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
    stored = _model(configuration.model).dtype if dtype == "auto" else dtype
    is_quantised = DTYPE_BYTES[canonical_dtype(stored)] < _SIXTEEN_BIT
    return "fp8" if configuration.engine == "trtllm" and is_quantised else "auto"


@lru_cache(maxsize=1024)
def _gpu(name: str) -> GpuSpec:
    return find_gpu(name)


@lru_cache(maxsize=1024)
def _model(name: str) -> ModelProfile:
    return find_model(name)


def _limit(configuration: Configuration, source: str | None) -> float:
    """Return the most sequences that the engine's own setting, or the harness, lets run at once."""
    cap = configuration.knobs.get("max_num_seqs")
    if isinstance(cap, int | float):
        return float(cap)
    harness = getattr(configuration, "source", None) or source or ""
    if configuration.engine == "vllm" and harness.startswith(_DEFAULT_CAP_SOURCES):
        return _OLD_DEFAULT_MAX_NUM_SEQS
    return math.inf


def _row(configuration: Configuration, source: str | None) -> tuple[float, ...]:
    is_hf = configuration.engine == "hf"
    static = _static(
        configuration.model,
        configuration.gpu,
        weight_format(configuration),
        kv_format(configuration),
        is_hf,
    )
    input_len, output_len = lengths(configuration)
    plan = plan_of(configuration)
    return (
        *static,
        ENGINES.index(configuration.engine),
        configuration.mode == "serving",
        configuration.n_gpus,
        configuration.batch_size,
        min(configuration.batch_size, _limit(configuration, source)),
        input_len,
        output_len,
        configuration.input_len is None,
        plan.total_gb,
        max(plan.available_gb, 1e-3),
        (plan.kv_gb + plan.activations_gb) / configuration.batch_size,
        max(float(plan.max_sequences), 1.0),
        plan.fits,
        _version(configuration.engine_version),
        _is_early(configuration.engine_version),
    )


def _is_early(text: str | None) -> bool:
    """Return whether a version is vLLM's before 0.6, or the year of a study that names none."""
    plain = text or ""
    return plain.startswith(_EARLY_YEARS) or _version(text) < _EARLY_BEFORE


def _version(text: str | None) -> float:
    """Return a vLLM-like "0.18.0" as 18.0, "1.2.0" as 102.0; NaN where there is no such number."""
    match = _VERSION.match(text or "")
    return 100.0 * int(match[1]) + int(match[2]) if match else math.nan


@lru_cache(maxsize=4096)
def _static(model: str, gpu: str, dtype: str, kv_dtype: str, is_hf: bool) -> tuple[float, ...]:
    """Return what all runs of a model on a GPU share; vLLM loads float32 checkpoints in 16 bits."""
    profile, spec = _model(model), _gpu(gpu)
    stored = canonical_dtype(profile.dtype if dtype == "auto" else dtype)
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
        max(spec.interconnect_gbs, 16.0) * 1e9,
        spec.vendor == "cpu",
        spec.vendor == "amd",
        spec.vendor not in ("cpu", "amd", "nvidia"),
        spec.year,
    )


def _tflops(spec: GpuSpec, dtype: str) -> float:
    """Return the dense rate that matrix products run at; formats without units compute in 16 bits."""
    if dtype == "float32":
        return spec.fp32_tflops
    half = spec.fp16_tflops
    if dtype == "bfloat16" and spec.bf16_tflops is not None:
        half = spec.bf16_tflops
    if dtype in _FP4:
        return spec.fp4_tflops or spec.fp8_tflops or half
    return (spec.fp8_tflops or half) if dtype in _FP8 else half
