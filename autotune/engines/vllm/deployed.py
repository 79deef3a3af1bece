"""What was measured beside what is deployed: the knobs to take over, and what differs in words."""

from collections.abc import Mapping
from typing import Final

from autotune.engines.vllm.arguments import (
    SERVER_DEFAULTS,
    measuring_defaults,
    serve_flags,
    start_arguments,
)
from autotune.schema.configuration import Configuration, Knob, engine_knobs
from autotune.schema.record import RunRecord
from autotune.schema.validation import OWN_SOURCE

# What a start to measure says beside the configuration, in words; loading a checkpoint as
# safetensors is no difference.
_WORDS: Final[Mapping[tuple[str, object], str]] = {
    ("enable_prefix_caching", False): "without prefix caching",
    ("load_format", "dummy"): "with random weights",
    ("generation_config", "vllm"): "without the model's own generation settings",
}
_LENGTH: Final = "max_model_len"
_MODES: Final = {
    "closed_batch": "in closed batches without a server",
    "stream": "in a stream of requests without a server",
}


def deployed_knobs(run: RunRecord) -> dict[str, Knob]:
    """Return the knobs that deploy what was measured: those that ``vllm serve`` has an option for.

    Own runs' knobs were taken by vLLM itself; other tools give names of their own.
    """
    is_own = run.source == OWN_SOURCE
    knobs = {
        name: value
        for name, value in engine_knobs(run.knobs).items()
        if is_own or _has_option(name)
    }
    trusted = "trust_remote_code"
    return knobs | ({trusted: True} if run.environment.get(trusted) is True else {})


def measured_otherwise(configuration: Configuration, run: RunRecord | None) -> str:
    """Return how a figure was measured, or is predicted, unlike the line that deploys it.

    Args:
        configuration: What is deployed.
        run: Its measurement; ``None`` where it is predicted, as a measurement would find it.

    Returns:
        A sentence without its stop; empty where there is no difference, or no server to deploy.
    """
    if configuration.engine != "vllm":
        return ""
    differences = _differences(configuration, run)
    begin = "Predicted as it would be measured:" if run is None else "Measured"
    return f"{begin} {', '.join(differences)}" if differences else ""


def _differences(configuration: Configuration, run: RunRecord | None) -> list[str]:
    how = _MODES.get(configuration.mode)
    if run is not None and run.source != OWN_SOURCE:
        left_out = [
            f"with {name}={value} (no option of vllm serve)"
            for name, value in engine_knobs(run.knobs).items()
            if not _has_option(name)
        ]
        return [*left_out, *([how] if how else [])]
    weights = "checkpoint" if run is None else str(run.environment.get("weights", "checkpoint"))
    longest = (configuration.input_len or 0) + (configuration.output_len or 0)
    beside = measuring_defaults(weights, longest)
    if configuration.mode == "serving":
        beside |= SERVER_DEFAULTS
    said = start_arguments(configuration, configuration.batch_size)
    differing = {name: value for name, value in beside.items() if name not in said}
    words = [word for (name, value), word in _WORDS.items() if differing.get(name) == value]
    if _LENGTH in differing:
        words.append("with --max-model-len no more than the requests need")
    return [*words, *([how] if how else [])]


def _has_option(name: str) -> bool:
    return "--" + name.replace("_", "-") in serve_flags()
