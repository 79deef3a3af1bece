"""Does a configuration fit, and how many of its sequences run at once? (pure arithmetic)"""

from __future__ import annotations

import math
from dataclasses import dataclass

from autotune.catalog.architecture.profile import ModelProfile
from autotune.catalog.compatibility import DTYPE_BYTES, canonical_dtype
from autotune.catalog.gpus import GpuSpec

__all__ = [
    "DTYPE_BYTES",
    "MemoryPlan",
    "activation_bytes",
    "canonical_dtype",
    "kv_bytes_per_sequence",
    "kv_bytes_per_token",
    "plan_memory",
    "weight_bytes",
]

_GIB = 2**30
_SIXTEEN_BIT = 2.0
_STATE_BYTES = 4.0
_LOGIT_BYTES = 4.0
_CONTEXT_GB = 0.6  # CUDA context, kernels and communication buffers
_BATCHED_TOKENS = 8192  # tokens of vLLM's profiling step


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPlan:
    """Memory of the fullest GPU of one replica, in units of 2**30 bytes.

    Attributes:
        kv_gb: KV cache of the sequences that run at once.
        max_sequences: sequences of the planned length that can run at once, were they asked for.
    """

    weights_gb: float
    kv_gb: float
    activations_gb: float
    total_gb: float
    available_gb: float
    fits: bool
    max_sequences: int


def weight_bytes(profile: ModelProfile, dtype: str) -> float:
    """Return the bytes of all weights; "auto" is the published format.

    Quantised formats keep the embedding and the head in 16 bit; MXFP4 quantises the experts alone.
    What is known of a checkpoint in its own format stands in the place of that arithmetic.
    """
    name = canonical_dtype(profile.dtype if dtype == "auto" else dtype)
    if profile.checkpoint_bytes is not None and name == profile.dtype:
        return float(profile.checkpoint_bytes)
    each = DTYPE_BYTES[name]
    if each >= _SIXTEEN_BIT:
        return profile.n_params * each
    head = 0 if profile.tie_word_embeddings else profile.vocab_size * profile.hidden_size
    wide = min(profile.n_params, profile.embedding_params + head)
    if name == "mxfp4" and profile.n_experts:
        wide = profile.n_params - profile.n_experts * profile.n_expert_params
    return wide * _SIXTEEN_BIT + (profile.n_params - wide) * each


def kv_bytes_per_token(profile: ModelProfile, kv_dtype: str) -> float:
    """Return the bytes that one token adds to the KV cache while no window is full.

    With "auto" the cache has the type of the published weights, 16 bit if these are quantised.
    """
    name = canonical_dtype(profile.dtype if kv_dtype == "auto" else kv_dtype)
    each = DTYPE_BYTES[name]
    return profile.kv_elements_per_token * (max(each, _SIXTEEN_BIT) if kv_dtype == "auto" else each)


def kv_bytes_per_sequence(profile: ModelProfile, n_tokens: int, kv_dtype: str) -> float:
    """Return the bytes cached for a sequence of n_tokens (input and output together).

    A sliding window bounds its layers; recurrent layers add a state of fixed size, in 32 bit. An
    encoder-decoder caches input for cross-attention and output for self-attention.
    """
    per_token = kv_bytes_per_token(profile, kv_dtype)
    state = profile.state_elements * _STATE_BYTES
    if profile.sliding_window is None:
        return per_token * n_tokens + state
    sliding = per_token * profile.n_sliding_layers / profile.n_attention_layers
    bounded = min(n_tokens, profile.sliding_window)
    return (per_token - sliding) * n_tokens + sliding * bounded + state


def activation_bytes(profile: ModelProfile, n_tokens_in_flight: int, dtype: str) -> float:
    """Return a rough peak of one layer's activations: hidden states, and attention or MLP."""
    name = canonical_dtype(profile.dtype if dtype == "auto" else dtype)
    attention = 2 * profile.n_heads * profile.head_dim
    widest = max(attention, 2 * profile.intermediate_size)
    each = max(DTYPE_BYTES[name], _SIXTEEN_BIT)
    return n_tokens_in_flight * each * (2 * profile.hidden_size + widest)


def plan_memory(
    profile: ModelProfile,
    gpu: GpuSpec,
    *,
    engine: str,
    n_gpus: int,
    batch_size: int,
    sequence_len: int,
    dtype: str,
    kv_dtype: str,
    gpu_memory_utilization: float = 0.9,
) -> MemoryPlan:
    """Plan the memory of the fullest of the n_gpus GPUs of one replica.

    vLLM splits every tensor and lets sequences wait, so it fits as soon as one sequence does. With
    "hf" whole layers are spread over the GPUs and the whole batch must fit beside them. Every other
    engine is planned as vLLM.

    Args:
        sequence_len: tokens of a sequence at its end, input and output together.
        dtype: format of the weights; "auto" is the published one (vLLM loads float32 as 16 bit).
        gpu_memory_utilization: share of the memory that vLLM may use; "hf" may use all of it.
    """
    weights_dtype = _weights_dtype(profile, engine, dtype)
    if kv_dtype == "auto":
        kv_dtype = weights_dtype if DTYPE_BYTES[weights_dtype] >= _SIXTEEN_BIT else "bfloat16"
    sequence = kv_bytes_per_sequence(profile, sequence_len, kv_dtype)
    logits = profile.vocab_size * _LOGIT_BYTES
    if engine == "hf":
        share = kv_share = math.ceil(profile.n_layers / n_gpus) / profile.n_layers
        per_sequence = activation_bytes(profile, sequence_len, weights_dtype) + logits
        fixed, available = 0.0, gpu.memory_gb - _CONTEXT_GB
    else:
        share, kv_share = 1 / n_gpus, _kv_share(profile, n_gpus)
        tokens = max(_BATCHED_TOKENS, batch_size)
        fixed = activation_bytes(profile, tokens, weights_dtype) * share + batch_size * logits
        per_sequence, available = 0.0, gpu.memory_gb * gpu_memory_utilization - _CONTEXT_GB
    return _plan(
        weights=weight_bytes(profile, weights_dtype) * share,
        fixed=fixed,
        kv=sequence * kv_share,
        activations=per_sequence,
        available_gb=available,
        batch_size=batch_size,
        can_wait=engine != "hf",
    )


def _plan(
    *,
    weights: float,
    fixed: float,
    kv: float,
    activations: float,
    available_gb: float,
    batch_size: int,
    can_wait: bool,
) -> MemoryPlan:
    """Plan for bytes on a GPU: weights and fixed once, kv and activations for each sequence."""
    room = max(available_gb * _GIB - weights - fixed, 0.0)
    max_sequences = int(room // (kv + activations))
    running = min(batch_size, max(max_sequences, 1)) if can_wait else batch_size
    working = fixed + running * activations
    return MemoryPlan(
        weights_gb=weights / _GIB,
        kv_gb=running * kv / _GIB,
        activations_gb=working / _GIB,
        total_gb=(weights + running * kv + working) / _GIB,
        available_gb=available_gb,
        fits=max_sequences >= running,
        max_sequences=max_sequences,
    )


def _weights_dtype(profile: ModelProfile, engine: str, dtype: str) -> str:
    if dtype != "auto":
        return canonical_dtype(dtype)
    is_narrowed = engine != "hf" and profile.dtype == "float32"
    return "float16" if is_narrowed else canonical_dtype(profile.dtype)


def _kv_share(profile: ModelProfile, n_gpus: int) -> float:
    """Return the share of the cache that a tensor-parallel GPU holds; no KV head is split."""
    return math.ceil(profile.n_kv_heads / n_gpus) / profile.n_kv_heads
