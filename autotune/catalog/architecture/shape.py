"""The dimensions of a language model, read from its Hugging Face config.json (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import cycle, islice

from autotune.catalog.architecture.families import Config, optional_int, required_int
from autotune.errors import InvalidModelConfigError

FULL, SLIDING, RECURRENT, NONE = "full", "sliding", "recurrent", "none"
_MOST_LAYERS = 10_000
_HYBRID_PATTERN = {"*": FULL, "M": RECURRENT, "-": NONE, "E": NONE}
_LAYER_TYPES = {
    "full_attention": FULL,
    "attention": FULL,
    "indexed_attention": FULL,
    "sliding_attention": SLIDING,
    "chunked_attention": SLIDING,
    "linear_attention": RECURRENT,
    "mamba": RECURRENT,
    "mlp": NONE,
    "moe": NONE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What a decoder is made of.

    Attributes:
        kv_heads: KV heads of each attending layer (one number a layer).
        layers: what mixes the tokens in each layer: full, sliding, recurrent or none.
        ffn: hidden width of the dense MLP; 0 where there is none.
        moe_layers: indices of the layers whose MLP is a mixture of experts.
        shared_ffn: hidden width of all shared experts of a layer together.
    """

    model_type: str
    hidden: int
    n_layers: int
    heads: int
    kv_heads: tuple[int, ...]
    head_dim: int
    ffn: int
    vocab: int
    max_len: int
    layers: tuple[str, ...]
    window: int | None
    n_experts: int
    experts_per_token: int
    expert_ffn: int
    shared_ffn: int
    moe_layers: tuple[int, ...]


def read_shape(config: Config) -> Shape:
    """Return the shape of the (decoder-only) language model that a config.json describes."""
    hidden = required_int(config, "hidden_size", "n_embd", "d_model", "n_embed")
    depths = ("num_hidden_layers", "n_layer", "n_layers", "num_decoder_layers", "num_layers")
    listed = config.get("layers_block_type")
    n_layers = len(listed) if isinstance(listed, list) else required_int(config, *depths)
    if n_layers > _MOST_LAYERS:
        raise InvalidModelConfigError(f"{n_layers} layers are more than any model has")
    heads = required_int(config, "num_attention_heads", "n_head", "n_heads", "num_heads")
    head_dim = optional_int(config, "head_dim", "attention_head_dim", "d_kv")
    if not head_dim and hidden % heads:
        raise InvalidModelConfigError(f"hidden_size {hidden} is no multiple of {heads} heads")
    expert_keys = ("n_routed_experts", "num_local_experts", "num_experts")
    n_experts = optional_int(config, *expert_keys) or 0
    moe_layers = _moe_layers(config, n_layers) if n_experts else ()
    n_experts = n_experts if moe_layers else 0
    ffn = _ffn_width(config, hidden)
    window = _window(config)
    expert_ffn = optional_int(config, "moe_intermediate_size", "intermediate_size") or ffn
    layers = _layer_kinds(config, n_layers, window)
    return Shape(
        model_type=str(config.get("model_type", "")),
        hidden=hidden,
        n_layers=n_layers,
        heads=heads,
        kv_heads=_kv_heads(config, heads, n_layers),
        head_dim=head_dim or hidden // heads,
        ffn=ffn,
        vocab=required_int(config, "vocab_size"),
        max_len=optional_int(config, "max_position_embeddings", "n_positions", "max_seq_len")
        or optional_int(config, "max_sequence_length", "seq_length")
        or 2048,
        layers=layers,
        window=window if SLIDING in layers else None,
        n_experts=n_experts,
        experts_per_token=required_int(config, "num_experts_per_tok", "experts_per_token")
        if n_experts
        else 0,
        expert_ffn=expert_ffn if n_experts else 0,
        shared_ffn=_shared_width(config, expert_ffn) if n_experts else 0,
        moe_layers=moe_layers,
    )


def _ffn_width(config: Config, hidden: int) -> int:
    keys = ("intermediate_size_mlp", "ff_intermediate_size", "intermediate_size", "ffn_dim")
    width = optional_int(config, *keys, "n_inner", "ffn_hidden_size", "d_ff")
    ratio = optional_int(config, "expansion_ratio") or 4
    return ratio * hidden if width is None else width


def _kv_heads(config: Config, heads: int, n_layers: int) -> tuple[int, ...]:
    per_layer = config.get("num_key_value_heads_per_layer")
    if isinstance(per_layer, list):
        return tuple(per_layer)
    nested = config.get("attn_config")
    kv = optional_int(config, "num_key_value_heads") or (
        optional_int(nested, "kv_n_heads") if isinstance(nested, Mapping) else None
    )
    if config.get("new_decoder_architecture"):
        kv = optional_int(config, "num_kv_heads", "n_head_kv") or heads
    elif config.get("multi_query", config.get("model_type") == "gpt_bigcode"):
        kv = 1
    kv = kv or heads
    if heads % kv:
        raise InvalidModelConfigError(f"{heads} heads cannot share {kv} num_key_value_heads")
    return (kv,) * n_layers


def _window(config: Config) -> int | None:
    if config.get("use_sliding_window") is False:
        return None
    return optional_int(config, "sliding_window", "attention_chunk_size") or None


def _layer_kinds(config: Config, n_layers: int, window: int | None) -> tuple[str, ...]:
    listed = config.get("layer_types") or config.get("layers_block_type")
    pattern = config.get("hybrid_override_pattern")
    every = optional_int(config, "sliding_window_pattern", "_sliding_window_pattern")
    if isinstance(pattern, str):
        kinds = tuple(_kind(_HYBRID_PATTERN, letter) for letter in pattern)
    elif isinstance(listed, list):
        kinds = tuple(_kind(_LAYER_TYPES, kind) for kind in listed)
    elif interval := optional_int(config, "full_attention_interval"):
        kinds = _every(interval, n_layers, RECURRENT)
    elif config.get("model_type") == "gemma2" or (every == 2 and window):
        kinds = tuple(islice(cycle((SLIDING, FULL)), n_layers))
    elif every and window:
        kinds = _every(every, n_layers, SLIDING)
    elif "attention_chunk_size" in config:
        kinds = _every(4, n_layers, SLIDING)
    else:
        kinds = (SLIDING if window else FULL,) * n_layers
    if len(kinds) != n_layers:
        raise InvalidModelConfigError(f"{len(kinds)} layer types for {n_layers} num_hidden_layers")
    return kinds if window else tuple(FULL if kind == SLIDING else kind for kind in kinds)


def _kind(table: Mapping[str, str], name: str) -> str:
    if name not in table:
        raise InvalidModelConfigError(f"a layer of type {name!r} is not known")
    return table[name]


def _every(interval: int, n_layers: int, otherwise: str) -> tuple[str, ...]:
    return tuple(otherwise if (i + 1) % interval else FULL for i in range(n_layers))


def _shared_width(config: Config, expert_ffn: int) -> int:
    if config.get("model_type") in ("llama4", "llama4_text"):
        return expert_ffn
    width = optional_int(
        config, "shared_expert_intermediate_size", "moe_shared_expert_intermediate_size"
    )
    count = optional_int(config, "n_shared_experts", "num_shared_experts") or 0
    return width if width is not None else count * expert_ffn


def _moe_layers(config: Config, n_layers: int) -> tuple[int, ...]:
    pattern = config.get("hybrid_override_pattern")
    if isinstance(pattern, str):
        return tuple(i for i, letter in enumerate(pattern) if letter == "E")
    blocks = config.get("layers_block_type")
    if isinstance(blocks, list):
        return tuple(i for i, block in enumerate(blocks) if block == "moe")
    first = optional_int(config, "first_k_dense_replace") or 0
    steps = ("decoder_sparse_step", "interleave_moe_layer_step", "moe_layer_freq")
    step = optional_int(config, *steps) or 1
    listed = config.get("mlp_only_layers")
    dense = frozenset(listed) if isinstance(listed, list) else frozenset()
    return tuple(i for i in range(first, n_layers) if (i + 1) % step == 0 and i not in dense)
