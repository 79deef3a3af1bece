"""What a model costs to hold and to run, worked out from its config.json (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from autotune.catalog.architecture.families import (
    ENCODER_DECODERS,
    FAMILIES,
    Config,
    optional_int,
    text_config,
)
from autotune.catalog.architecture.layers import count_parameters, recurrent_state_elements
from autotune.catalog.architecture.shape import FULL, SLIDING, Shape, read_shape
from autotune.errors import InvalidModelConfigError

_SHORT_DTYPES = {"fp16": "float16", "bf16": "bfloat16", "fp32": "float32", "half": "float16"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelProfile:
    """What a model costs to hold and to run, from its architecture.

    Attributes:
        dtype: format of the published weights: float16, bfloat16, float32, fp8, mxfp4, nvfp4, int4.
        n_layers: of the decoder.
        n_kv_heads: the most that a layer has; 1 for latent attention (MLA), whose cache cannot be
            split over GPUs.
        head_dim: of a query head.
        sliding_window: tokens that the n_sliding_layers keep at most; None if there are none.
        n_attention_layers: layers with a KV cache, sliding ones included.
        n_experts: routed experts of a layer; 0 for a dense model.
        n_params: all parameters, an image tower's layers included, multi-token prediction not.
        n_active_params: touched for one token: all but idle experts, image tower and look-up
            tables (an embedding that is also the head counts); both stacks of an encoder-decoder.
        n_expert_params: one routed expert, summed over the layers, so that a batch which touches e
            distinct experts reads n_params - (n_experts - e) * n_expert_params.
        n_encoder_params: of an encoder-decoder's encoder, which only the input passes through.
        intermediate_size: hidden width of the dense MLP; four times hidden_size if not given.
        embedding_params: input embedding and position tables.
        kv_elements_per_token: cached per token over all attending layers (while within the window).
        state_elements: kept per sequence by recurrent layers, whatever its length.
        published_params_b: size as published, in 10**9; None where only a config.json is known.
        taken_for: model whose architecture this one was given, by its name or by --like; None where
            its own config.json is known.
        checkpoint_bytes: of the weights in their published format, as their index tells or, for a
            format known by name, at most; None where arithmetic has to do.
    """

    name: str
    architecture: str
    model_type: str
    dtype: str
    n_layers: int
    hidden_size: int
    n_heads: int
    n_kv_heads: int
    head_dim: int
    vocab_size: int
    max_model_len: int
    sliding_window: int | None
    n_sliding_layers: int
    n_attention_layers: int
    n_experts: int
    n_experts_per_token: int
    is_encoder_decoder: bool
    tie_word_embeddings: bool
    n_params: int
    n_active_params: int
    n_expert_params: int
    n_encoder_params: int = 0
    embedding_params: int
    kv_elements_per_token: int
    state_elements: int = 0
    intermediate_size: int
    source: str
    published_params_b: float | None
    taken_for: str | None = None
    checkpoint_bytes: int | None = None


def profile_from_config(
    config: Config,
    *,
    name: str,
    source: str = "config.json",
    published_params_b: float | None = None,
) -> ModelProfile:
    """Return the profile of the model that a config.json describes.

    A model_type that is not known is counted as a Llama-like decoder if it has the usual keys.

    Raises:
        InvalidModelConfigError: names the key that is missing or contradicts another.
    """
    try:
        return _profile(config, name, source, published_params_b)
    except (TypeError, IndexError, KeyError, OverflowError, ZeroDivisionError) as err:
        # A value of another kind than the key's is told by what cannot be done with it.
        raise InvalidModelConfigError(f"{name}: a value of another kind than usual: {err}") from err


def _profile(
    config: Config, name: str, source: str, published_params_b: float | None
) -> ModelProfile:
    text = text_config(config)
    model_type = str(text.get("model_type", ""))
    try:
        shape = read_shape(text)
        count = count_parameters(text, shape)
    except InvalidModelConfigError as err:
        known = "" if model_type in FAMILIES else f" (model_type {model_type!r} is not a known one)"
        raise InvalidModelConfigError(f"{name}: {err}{known}") from err
    architectures = config.get("architectures")
    idle = (shape.n_experts - shape.experts_per_token) * count.expert + count.vision
    look_up = count.embedding - (shape.vocab * shape.hidden if count.tied else 0)
    latent = optional_int(text, "kv_lora_rank") is not None
    return ModelProfile(
        name=name,
        architecture=str(architectures[0]) if isinstance(architectures, list) else model_type,
        model_type=model_type,
        dtype=published_dtype(config),
        n_layers=shape.n_layers,
        hidden_size=shape.hidden,
        n_heads=shape.heads,
        n_kv_heads=1 if latent else max(shape.kv_heads),
        head_dim=_query_dim(text, shape),
        vocab_size=shape.vocab,
        max_model_len=shape.max_len,
        sliding_window=shape.window,
        n_sliding_layers=shape.layers.count(SLIDING),
        n_attention_layers=sum(kind in (FULL, SLIDING) for kind in shape.layers),
        n_experts=shape.n_experts,
        n_experts_per_token=shape.experts_per_token,
        is_encoder_decoder=model_type in ENCODER_DECODERS,
        tie_word_embeddings=count.tied,
        n_params=count.total,
        n_active_params=count.total - idle - look_up,
        n_expert_params=count.expert,
        n_encoder_params=count.encoder,
        embedding_params=count.embedding,
        kv_elements_per_token=_kv_elements(text, shape),
        state_elements=recurrent_state_elements(text, shape),
        intermediate_size=shape.ffn,
        source=source,
        published_params_b=published_params_b,
    )


def _query_dim(config: Config, shape: Shape) -> int:
    rope, nope = optional_int(config, "qk_rope_head_dim"), optional_int(config, "qk_nope_head_dim")
    return rope + nope if rope and nope else shape.head_dim


def _kv_elements(config: Config, shape: Shape) -> int:
    attending = [i for i, kind in enumerate(shape.layers) if kind in (FULL, SLIDING)]
    if rank := optional_int(config, "kv_lora_rank"):
        return len(attending) * (rank + (optional_int(config, "qk_rope_head_dim") or 0))
    return sum(2 * shape.kv_heads[i] * shape.head_dim for i in attending)


def published_dtype(config: Config) -> str:
    """Return the format of the published weights: their quantisation if any, else torch_dtype."""
    quantisation = text_config(config).get("quantization_config")
    if isinstance(quantisation, Mapping):
        return _quantised_dtype(quantisation)
    text = text_config(config)
    dtype = str(text.get("torch_dtype") or text.get("dtype") or "float32").removeprefix("torch.")
    return _SHORT_DTYPES.get(dtype, dtype)


def _quantised_dtype(quantisation: Config) -> str:
    named = (quantisation.get(key, "") for key in ("quant_algo", "format", "quant_method"))
    words = " ".join(str(word) for word in named).lower()
    for dtype in ("nvfp4", "mxfp4", "fp8"):
        if dtype in words:
            return dtype
    if "float-quantized" in words:
        return "fp8"
    is_eight_bit = _bits(quantisation) == 8 or quantisation.get("load_in_8bit")
    return "int8" if is_eight_bit or words.startswith(" int-quantized") else "int4"


def _bits(quantisation: Config) -> object:
    """Return the bits of a weight; compressed-tensors tells them by group of layers."""
    groups = quantisation.get("config_groups")
    for group in groups.values() if isinstance(groups, Mapping) else ():
        weights = group.get("weights") if isinstance(group, Mapping) else None
        if isinstance(weights, Mapping):
            return weights.get("num_bits")
    return quantisation.get("bits")
