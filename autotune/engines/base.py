"""What the worker asks of an engine."""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from autotune.engine_config import EngineConfig
from autotune.metrics import Pass


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineInfo:
    """What an engine says of itself once it has started.

    Attributes:
        dtype: The weights' type as loaded.
        weights: ``checkpoint`` or ``random``.
        kv_cache_tokens: Tokens the KV cache holds; ``None`` when it grows as it goes.
        settings: What else is worth keeping (how batch sizes are set, which path generates).
    """

    engine_version: str
    dtype: str
    weights: str
    vocab_size: int
    kv_cache_tokens: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


class Engine(Protocol):
    """One started engine that serves every batch size up to the one it was started for."""

    def start(self, config: EngineConfig, *, max_batch_size: int, max_model_len: int) -> EngineInfo:
        """Load the model. Called once."""

    def generate(self, prompts: Sequence[Sequence[int]], output_len: int) -> Pass:
        """Run all prompts at once, each to exactly ``output_len`` new tokens, and time it."""

    def close(self) -> None:
        """Give everything back."""


_MODULES = {"vllm": "autotune.engines.vllm", "hf": "autotune.engines.hf"}


def create_engine(name: str) -> Engine:
    """Import the engine's module (this takes seconds) and return a fresh engine."""
    engine: Engine = importlib.import_module(_MODULES[name]).create()
    return engine
