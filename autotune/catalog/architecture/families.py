"""How each model_type deviates from Llama, as far as parameters are concerned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from autotune.errors import InvalidModelConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """How the layers of a model_type deviate from Llama's.

    Attributes:
        norms: norm vectors of the hidden size in a layer.
        qk_norm: "head" (one vector shared by the heads), "full" (of all heads) or "" (none).
        position_offset: rows of a learned position table beyond max_position_embeddings; None
            without such a table.
        tied: whether the head is the input embedding where the config does not say.
        gated_query: the query projection also yields a gate of the same width.
    """

    gated: bool = True
    qkv_bias: bool = False
    out_bias: bool = False
    mlp_bias: bool = False
    norms: int = 2
    norm_bias: bool = False
    qk_norm: str = ""
    position_offset: int | None = None
    tied: bool = False
    head_bias: bool = False
    gated_query: bool = False


_LLAMA = Family()
_QWEN3 = Family(qk_norm="head")
_QWEN3_HYBRID = Family(qk_norm="head", gated_query=True)
_BIASED = Family(
    gated=False, qkv_bias=True, out_bias=True, mlp_bias=True, norm_bias=True, tied=True
)
_LLAMA_LIKE = (
    "llama mistral mixtral ministral phi3 deci aquila deepseek_v2 deepseek_v3 deepseek_v32 kimi_k2 "
    "kimi_k25 glm_moe_dsa llama4 llama4_text internlm2 baichuan exaone seed_oss yi mistral3 cwm "
    "ernie4_5"
)
FAMILIES: Mapping[str, Family] = MappingProxyType(
    dict.fromkeys(_LLAMA_LIKE.split(), _LLAMA)
    | dict.fromkeys(("qwen3", "qwen3_moe"), _QWEN3)
    | dict.fromkeys(
        ("qwen3_next", "qwen3_5", "qwen3_5_text", "qwen3_5_moe", "qwen3_5_moe_text"), _QWEN3_HYBRID
    )
    | dict.fromkeys(("olmo2", "olmoe", "minimax_m2"), Family(qk_norm="full"))
    | dict.fromkeys(("qwen2", "qwen2_moe", "glm", "glm4_moe"), Family(qkv_bias=True))
    | dict.fromkeys(("granite", "smollm3", "gemma"), Family(tied=True))
    | dict.fromkeys(("gemma3", "gemma3_text"), Family(tied=True, norms=4, qk_norm="head"))
    | dict.fromkeys(("gpt2", "gpt_bigcode"), replace(_BIASED, position_offset=0))
    | dict.fromkeys(("bloom", "starcoder2"), _BIASED)
    | {
        "gemma2": Family(tied=True, norms=4),
        "glm4": Family(qkv_bias=True, norms=4),
        "cohere": Family(tied=True, norms=1),
        "gpt_oss": Family(qkv_bias=True, out_bias=True, mlp_bias=True),
        "phi": replace(_BIASED, norms=1, tied=False, head_bias=True),
        "phi3small": replace(_BIASED, gated=True),
        "phimoe": Family(qkv_bias=True, out_bias=True, norm_bias=True, head_bias=True),
        "opt": replace(_BIASED, position_offset=2),
        "gpt_neox": replace(_BIASED, tied=False),
        "gptj": Family(gated=False, mlp_bias=True, norms=1, norm_bias=True, head_bias=True),
        "falcon": Family(gated=False, norm_bias=True, tied=True),
        "mpt": Family(gated=False, tied=True),
        "stablelm": Family(norm_bias=True),
        "nemotron": Family(gated=False, norm_bias=True),
        "nemotron_h": Family(gated=False, norms=1),
        "t5": Family(gated=False),
        "mt5": Family(gated=False),
        "umt5": Family(gated=False),
    }
)
ENCODER_DECODERS = frozenset({"t5", "mt5", "umt5"})


Config = Mapping[str, object]
_MOST = 10**12


def text_config(config: Config) -> Config:
    """Return the language model's part of a multi-modal config, with the outer keys as defaults."""
    inner = config.get("text_config")
    if not isinstance(inner, Mapping):
        return config
    return {**config, **{k: v for k, v in inner.items() if v is not None or k not in config}}


def optional_int(config: Config, *keys: str) -> int | None:
    """Return the first of the keys that is set; None where none is.

    Raises:
        InvalidModelConfigError: the value is not a whole number.
    """
    for key in keys:
        value = config.get(key)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < _MOST:
            raise InvalidModelConfigError(f"{key} must be a whole number, not {repr(value)[:200]}")
        return value
    return None


def required_int(config: Config, *keys: str) -> int:
    """Like `optional_int`, for what a model cannot be without."""
    value = optional_int(config, *keys)
    if not value:
        raise InvalidModelConfigError(f"{keys[0]} is missing or 0 (looked for {', '.join(keys)})")
    return value
