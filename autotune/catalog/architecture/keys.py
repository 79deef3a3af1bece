"""Reads single keys of a config.json, under the names that different families give them."""

from __future__ import annotations

from collections.abc import Mapping

from autotune.errors import InvalidModelConfigError

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
