"""Formats of weights and KV cache, the bytes of one value in each, and their synonyms."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

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
