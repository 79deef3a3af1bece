"""What the worker asks of an engine."""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from autotune.engines.metrics import Pass
from autotune.schema.engine_config import EngineConfig


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """The requests of one pass.

    Attributes:
        prompts: Token ids, one prompt a request.
        output_lens: New tokens a request is to generate, exactly.
        in_flight: Requests in the engine at a time; as many as there are prompts in a closed batch.
        request_rate: Requests a second offered; ``None`` sends as soon as there is room.
        burstiness: Shape of the gamma-distributed gaps between requests.
        seed: Of the gaps.
    """

    prompts: Sequence[Sequence[int]]
    output_lens: Sequence[int]
    in_flight: int
    request_rate: float | None = None
    burstiness: float = 1.0
    seed: int = 0

    @property
    def input_tokens(self) -> int:
        """Prompt tokens of all requests."""
        return sum(len(prompt) for prompt in self.prompts)


class Engine(Protocol):
    """One started engine that serves every batch size up to the one it was started for."""

    def start(self, config: EngineConfig, *, max_batch_size: int, max_model_len: int) -> EngineInfo:
        """Load the model. Called once."""

    def run(self, load: Load) -> Pass:
        """Run every request to exactly its new tokens and time the whole."""

    def close(self) -> None:
        """Give everything back."""


_MODULES = {
    ("vllm", False): "autotune.engines.vllm.offline",
    ("vllm", True): "autotune.engines.vllm.server",
    ("hf", False): "autotune.engines.hf.pipeline",
}


def create_engine(config: EngineConfig) -> Engine:
    """Import the engine's module (this takes seconds) and return a fresh engine."""
    engine: Engine = importlib.import_module(_MODULES[config.engine, config.serving]).create()
    return engine
