"""Counts a model's parameters from its shape (pure)."""

from __future__ import annotations

from dataclasses import dataclass

from autotune.catalog.architecture.families import ENCODER_DECODERS, FAMILIES, Family
from autotune.catalog.architecture.keys import Config, optional_int
from autotune.catalog.architecture.layers import (
    attention_parameters,
    mlp_parameters,
    recurrent_parameters,
    t5_stacks,
    vision_parameters,
)
from autotune.catalog.architecture.shape import NONE, RECURRENT, Shape


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
