"""Parameters and recurrent state of single layers (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from autotune.catalog.architecture.families import (
    ENCODER_DECODERS,
    FAMILIES,
    Config,
    Family,
    optional_int,
    required_int,
)
from autotune.catalog.architecture.shape import NONE, RECURRENT, Shape


def recurrent_state_elements(config: Config, shape: Shape) -> int:
    """Return the elements that recurrent layers keep for one sequence, whatever its length."""
    layers = shape.layers.count(RECURRENT)
    if not layers:
        return 0
    if shape.model_type == "nemotron_h":
        heads, dim, state, conv, kernel = _mamba_dims(config)
        return layers * (heads * dim * state + conv * (kernel - 1))
    n_key, n_value, key, value, kernel = _delta_dims(config)
    conv = 2 * n_key * key + n_value * value
    return layers * (n_value * key * value + conv * (kernel - 1))


def mlp_parameters(hidden: int, width: int, family: Family) -> int:
    inner = 2 * width if family.gated else width
    return hidden * (inner + width) + (inner + hidden if family.mlp_bias else 0)


def attention_parameters(config: Config, shape: Shape, family: Family, kv_heads: int) -> int:
    if optional_int(config, "kv_lora_rank"):
        return _latent_attention(config, shape)
    query, kv = shape.heads * shape.head_dim, kv_heads * shape.head_dim
    into = query * (2 if family.gated_query else 1) + 2 * kv
    bias = config.get("attention_bias", family.qkv_bias)
    norms = {"head": 2 * shape.head_dim, "full": query + kv, "": 0}[family.qk_norm]
    out = query * shape.hidden + (shape.hidden if family.out_bias else 0)
    return shape.hidden * into + (into if bias else 0) + norms + out


def _latent_attention(config: Config, shape: Shape) -> int:
    hidden, rank = shape.hidden, required_int(config, "kv_lora_rank")
    rope, nope = required_int(config, "qk_rope_head_dim"), required_int(config, "qk_nope_head_dim")
    value = required_int(config, "v_head_dim")
    q_rank = optional_int(config, "q_lora_rank")
    q_width = shape.heads * (rope + nope)
    query = hidden * q_rank + q_rank + q_rank * q_width if q_rank else hidden * q_width
    kv = hidden * (rank + rope) + rank + rank * shape.heads * (nope + value)
    return query + kv + shape.heads * value * hidden + _indexer(config, hidden, q_rank or hidden)


def _indexer(config: Config, hidden: int, q_rank: int) -> int:
    """Return the parameters of the sparse-attention indexer (DSA); 0 without one."""
    heads, dim = optional_int(config, "index_n_heads"), optional_int(config, "index_head_dim")
    if not heads or not dim:
        return 0
    return q_rank * heads * dim + hidden * (heads + dim) + 2 * dim


def recurrent_parameters(config: Config, shape: Shape) -> int:
    if shape.model_type == "nemotron_h":
        heads, dim, _, conv, kernel = _mamba_dims(config)
        inner = heads * dim
        projections = shape.hidden * (2 * inner + conv + heads)
        return projections + conv * (kernel + 1) + 3 * heads + inner
    n_key, n_value, key, value, kernel = _delta_dims(config)
    conv = 2 * n_key * key + n_value * value
    into = conv + n_value * value + 2 * n_value
    return shape.hidden * (into + n_value * value) + conv * kernel + 2 * n_value + value


def _mamba_dims(config: Config) -> tuple[int, int, int, int, int]:
    """Return (heads, head dimension, state size, channels of the convolution, its kernel)."""
    heads, dim = required_int(config, "mamba_num_heads"), required_int(config, "mamba_head_dim")
    state = required_int(config, "ssm_state_size")
    conv = heads * dim + 2 * required_int(config, "n_groups") * state
    return heads, dim, state, conv, required_int(config, "conv_kernel")


def _delta_dims(config: Config) -> tuple[int, int, int, int, int]:
    """Return (key heads, value heads, key dimension, value dimension, convolution kernel)."""
    return (
        required_int(config, "linear_num_key_heads"),
        required_int(config, "linear_num_value_heads"),
        required_int(config, "linear_key_head_dim"),
        required_int(config, "linear_value_head_dim"),
        required_int(config, "linear_conv_kernel_dim"),
    )


def t5_stacks(config: Config, shape: Shape) -> tuple[int, int]:
    gated = str(config.get("feed_forward_proj", "relu")).startswith("gated")
    attention = 4 * shape.hidden * shape.heads * shape.head_dim
    mlp = mlp_parameters(shape.hidden, shape.ffn, Family(gated=gated))
    buckets = (optional_int(config, "relative_attention_num_buckets") or 32) * shape.heads
    once = buckets + shape.hidden
    encoder = required_int(config, "num_layers") * (attention + mlp + 2 * shape.hidden) + once
    return encoder, shape.n_layers * (2 * attention + mlp + 3 * shape.hidden) + once


def vision_parameters(config: Config) -> int:
    vision = config.get("vision_config")
    if not isinstance(vision, Mapping):
        return 0
    layers = required_int(vision, "num_hidden_layers", "depth", "vt_num_hidden_layers")
    hidden = required_int(vision, "hidden_size", "vt_hidden_size")
    ffn = required_int(vision, "intermediate_size", "vt_intermediate_size")
    return layers * (4 * hidden * hidden + 2 * hidden * ffn)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterCount:
    """Parameters by what touches them; `total` includes all the others.

    Attributes:
        embedding: input embedding and position tables.
        tied: the head is the input embedding.
        expert: one routed expert, summed over the layers that have experts.
        encoder: stack that only the input passes through.
        vision: image tower (its transformer layers; no text token touches it).
    """

    total: int
    embedding: int
    tied: bool
    expert: int
    encoder: int
    vision: int


def count_parameters(config: Config, shape: Shape) -> ParameterCount:
    """Count the parameters of a model; `config` is its text part, image keys included."""
    family = FAMILIES.get(shape.model_type, Family())
    tied = bool(config.get("tie_word_embeddings", family.tied))
    table = shape.vocab * (optional_int(config, "word_embed_proj_dim") or shape.hidden)
    positions = family.position_offset
    embedding = table + (0 if positions is None else (shape.max_len + positions) * shape.hidden)
    head = (0 if tied else table) + (shape.vocab if family.head_bias else 0)
    vision = vision_parameters(config)
    if shape.model_type in ENCODER_DECODERS:
        encoder, decoder = t5_stacks(config, shape)
        expert = 0
    else:
        encoder = 0
        decoder, expert = _decoder(config, shape, family)
    total = embedding + head + encoder + decoder + vision
    return ParameterCount(
        total=total, embedding=embedding, tied=tied, expert=expert, encoder=encoder, vision=vision
    )


def _decoder(config: Config, shape: Shape, family: Family) -> tuple[int, int]:
    """Return (parameters of all layers, parameters of one routed expert over all MoE layers)."""
    norm = shape.hidden * (2 if family.norm_bias else 1)
    total = norm * (shape.n_layers * _norms(config, family) + 1)
    total += 2 * shape.hidden if shape.model_type == "bloom" else 0
    for kind, kv_heads in zip(shape.layers, shape.kv_heads, strict=True):
        if kind == RECURRENT:
            total += recurrent_parameters(config, shape)
        elif kind != NONE:
            total += attention_parameters(config, shape, family, kv_heads)
    has_mlp = NONE in shape.layers
    dense = [
        i for i in range(shape.n_layers)
        if i not in shape.moe_layers and (not has_mlp or shape.layers[i] == NONE)
    ]  # fmt: skip
    total += len(dense) * mlp_parameters(shape.hidden, shape.ffn, family)
    expert = len(shape.moe_layers) * mlp_parameters(shape.hidden, shape.expert_ffn, family)
    shared = mlp_parameters(shape.hidden, shape.shared_ffn, family) if shape.shared_ffn else 0
    total += len(shape.moe_layers) * (shared + shape.hidden * shape.n_experts)
    return total + expert * shape.n_experts, expert


def _norms(config: Config, family: Family) -> int:
    serial = not config.get("new_decoder_architecture") and config.get("parallel_attn")
    return 1 if config.get("model_type") == "falcon" and serial else family.norms
