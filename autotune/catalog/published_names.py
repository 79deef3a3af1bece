"""What the last words of a published name say: which model it is, in which format (pure).

Whoever quantises a model publishes it as NAME-AWQ, NAME-FP8-dynamic, NAME-quantized.w4a16 and the
like. The words name the format, not what was left out of it nor the size of a group, so that only
an upper bound of the size is known.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from autotune.catalog.architecture.families import Config
from autotune.catalog.architecture.profile import ModelProfile

_SIXTEEN_BIT = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedFormat:
    """A format that names tell.

    Attributes:
        text: What a person calls it.
        dtype: As ``ModelProfile.dtype`` calls it.
        most_bytes: Of a quantised weight, with the scales of the smallest groups in use.
        is_partial: Whether checkpoints are common that leave attention, or all but the experts, in
            16 bits.
        quantization: The ``quantization_config`` that a config.json has for it.
    """

    text: str
    dtype: str
    most_bytes: float
    is_partial: bool = False
    quantization: Config = field(default_factory=dict)


# A group of 32 has a 16-bit scale and at most a zero point as wide as its weights; where
# activations are quantised too, a row or a block has a scale, less than a hundredth.
_INT4_MOST = (4 + (16 + 4) / 32) / 8
_INT8_MOST = (8 + (16 + 8) / 32) / 8
_ROW_SCALES = 1.01
_NVFP4_MOST = (4 + 8 / 16) / 8
_MXFP4_MOST = (4 + 8 / 32) / 8


def _compressed(
    layout: str, bits: int, kind: str = "int", *, group: int | None = None
) -> dict[str, object]:
    """Return what compressed-tensors writes for linear layers of so many bits."""
    by = {"strategy": "channel"} if group is None else {"strategy": "group", "group_size": group}
    weights = {"num_bits": bits, "type": kind, "symmetric": True, "dynamic": False, **by}
    return {
        "quant_method": "compressed-tensors",
        "format": layout,
        "config_groups": {"group_0": {"targets": ["Linear"], "weights": weights}},
        "ignore": ["lm_head"],
    }


def _gptq(bits: int) -> dict[str, object]:
    return {"quant_method": "gptq", "bits": bits, "group_size": 128, "desc_act": False, "sym": True}


def _int4(text: str, quantization: Config) -> NamedFormat:
    return NamedFormat(
        text=text, dtype="int4", most_bytes=_INT4_MOST, is_partial=True, quantization=quantization
    )


def _int8(text: str, quantization: Config, most_bytes: float = _INT8_MOST) -> NamedFormat:
    return NamedFormat(text=text, dtype="int8", most_bytes=most_bytes, quantization=quantization)


_AWQ = {"quant_method": "awq", "group_size": 128, "zero_point": True, "version": "gemm"}
_FP8 = NamedFormat(
    text="FP8",
    dtype="fp8",
    most_bytes=_ROW_SCALES,
    quantization={"quant_method": "fp8", "activation_scheme": "dynamic"},
)
_NVFP4 = NamedFormat(
    text="NVFP4",
    dtype="nvfp4",
    most_bytes=_NVFP4_MOST,
    is_partial=True,
    quantization={"quant_method": "modelopt", "quant_algo": "NVFP4"},
)
_MXFP4 = NamedFormat(
    text="MXFP4",
    dtype="mxfp4",
    most_bytes=_MXFP4_MOST,
    is_partial=True,
    quantization={"quant_method": "mxfp4"},
)
# Words that tell the method, for 4 and for 8 bits; the first row of which a word is there counts.
_METHODS: tuple[tuple[frozenset[str], NamedFormat, NamedFormat], ...] = (
    (frozenset({"fp8"}), _FP8, _FP8),
    (
        frozenset({"awq"}),
        _int4("AWQ 4-bit", _AWQ | {"bits": 4}),
        _int8("AWQ 8-bit", _AWQ | {"bits": 8}),
    ),
    (
        frozenset({"gptq", "autogptq", "autoround"}),
        _int4("GPTQ 4-bit", _gptq(4)),
        _int8("GPTQ 8-bit", _gptq(8)),
    ),
    (
        frozenset({"bnb", "bitsandbytes", "nf4"}),
        _int4("bitsandbytes 4-bit", {"quant_method": "bitsandbytes", "load_in_4bit": True}),
        _int8("bitsandbytes 8-bit", {"quant_method": "bitsandbytes", "load_in_8bit": True}),
    ),
    (frozenset({"nvfp4", "fp4"}), _NVFP4, _NVFP4),
    (frozenset({"mxfp4"}), _MXFP4, _MXFP4),
    (
        frozenset({"w8a8"}),
        *(2 * (_int8("W8A8", _compressed("int-quantized", 8), _ROW_SCALES),)),
    ),
    (
        frozenset({"w4a16", "w8a16", "int4", "int8", "w4a8"}),
        _int4("4-bit integers", _compressed("pack-quantized", 4, group=128)),
        _int8("8-bit integers", _compressed("pack-quantized", 8)),
    ),
)
_WIDE = frozenset({"8bit", "int8", "w8a8", "w8a16"})
# Words that stand beside those and tell no format by themselves.
_BESIDE = frozenset(
    {
        *("4bit", "8bit", "dynamic", "static", "block", "kv", "quantized", "quant", "unsloth"),
        *("gemm", "marlin", "sym", "asym", "g32", "g64", "g128", "gs32", "gs64", "gs128"),
        *("32g", "64g", "128g"),
    }
)
_TELLING = frozenset().union(*(words for words, _, _ in _METHODS))
_SEPARATOR = re.compile(r"([-_. ])")
_SPLIT_BITS = re.compile(r"(?<![0-9a-z])([48])[-_ ]?bits?(?![0-9a-z])", re.IGNORECASE)

FORMATS: Mapping[str, NamedFormat] = MappingProxyType(
    {one.text: one for _, *pair in _METHODS for one in pair}
)


def split_name(name: str) -> tuple[str, NamedFormat] | None:
    """Return the base's name and the format that a published name ends in; ``None`` without one.

    >>> base, format = split_name("TheBloke/Mistral-7B-Instruct-v0.2-AWQ")
    >>> base, format.text
    ('Mistral-7B-Instruct-v0.2', 'AWQ 4-bit')
    """
    last = _SPLIT_BITS.sub(r"\1bit", name.strip().rpartition("/")[2])
    parts = _SEPARATOR.split(last)
    told: set[str] = set()
    while len(parts) > 1 and parts[-1].lower() in _TELLING | _BESIDE:
        told.add(parts[-1].lower())
        del parts[-2:]
    base, is_wide = "".join(parts), bool(told & _WIDE)
    for words, narrow, wide in _METHODS:
        if told & words and base:
            return base, wide if is_wide else narrow
    return None


def in_format(base: ModelProfile, form: NamedFormat, name: str) -> ModelProfile:
    """Return the profile of a base's weights in a format, under another name, as an estimate."""
    return dataclasses.replace(
        base,
        name=name,
        dtype=form.dtype,
        source=f"{base.name} in {form.text}, by its name; its size is an upper bound",
        taken_for=base.name,
        checkpoint_bytes=most_bytes(base, form),
        published_params_b=None,
    )


def most_bytes(base: ModelProfile, form: NamedFormat) -> int:
    """Return the most that a base's weights take in a format.

    Embedding, head and image tower stay in 16 bits; so may attention, or all but the experts.
    """
    tied = base.vocab_size * base.hidden_size if base.tie_word_embeddings else 0
    head = 0 if base.tie_word_embeddings else base.vocab_size * base.hidden_size
    idle_experts = (base.n_experts - base.n_experts_per_token) * base.n_expert_params
    tower = base.n_params - base.n_active_params - idle_experts - (base.embedding_params - tied)
    wide = base.embedding_params + head + max(tower, 0)
    if form.is_partial and base.n_experts:
        wide = base.n_params - base.n_experts * base.n_expert_params
    elif form.dtype in ("nvfp4", "mxfp4"):
        wide += _attention_params(base)
    wide = min(wide, base.n_params)
    return round(wide * _SIXTEEN_BIT + (base.n_params - wide) * form.most_bytes)


def _attention_params(base: ModelProfile) -> int:
    """Return the projections of queries, keys, values and outputs of all attending layers."""
    queries = 2 * base.n_attention_layers * base.n_heads * base.head_dim
    return base.hidden_size * (queries + base.kv_elements_per_token)


def quantised_config(base: Config, form: NamedFormat) -> dict[str, object]:
    """Return a base's config.json with the quantisation that checkpoints of a format have."""
    inner = base.get("text_config")
    nested: Config = {}
    if isinstance(inner, Mapping) and "quantization_config" in inner:
        nested = {"text_config": {k: v for k, v in inner.items() if k != "quantization_config"}}
    return {**base, **nested, "quantization_config": dict(form.quantization)}
