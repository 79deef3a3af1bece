"""Configuration: everything one could have chosen before a measurement, and its validation."""

import dataclasses
import json
import math
import operator
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from autotune.errors import InvalidRecordError, did_you_mean
from autotune.schema.validation import ENGINES, MODES

_MOST = 2**53  # beyond it a whole number no longer survives a reader that has only floats

# What a record's knobs say of its workload carries this in front; no engine argument has a dot.
WORKLOAD_PREFIX = "workload."

Knob = str | int | float | bool | None


def refuse(name: str, value: object, want: str) -> InvalidRecordError:
    """Return the error for a value that a row cannot hold."""
    text = repr(value)
    return InvalidRecordError(f"{name}={text[:200]} must be {want}")


def check_option(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Refuse a value outside a closed set."""
    if value not in choices:
        raise refuse(name, value, f"one of {', '.join(choices)}")


def check_count(name: str, value: object, *, optional: bool = False, least: int = 1) -> None:
    """Refuse anything but a whole number of at least ``least``."""
    if value is None and optional:
        return
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= _MOST:
        raise refuse(name, value, f"a whole number of at least {least}")


def check_measure(name: str, value: object, *, may_be_zero: bool) -> None:
    """Refuse anything but null and a finite number that a meter can show."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
        raise refuse(name, value, "a finite number or null")
    if value < 0 or (value == 0 and not may_be_zero):
        raise refuse(name, value, "zero or more, or null" if may_be_zero else "above zero or null")


def _is_finite(value: float) -> bool:
    return math.isfinite(value) if isinstance(value, float) else abs(value) <= _MOST


def check_text(name: str, value: object, *, optional: bool = False) -> None:
    """Refuse anything but a non-empty text that UTF-8 can write."""
    if value is None and optional:
        return
    if not isinstance(value, str) or not value.strip() or not _is_writable(value):
        raise refuse(name, value, "a non-empty text")


def _is_writable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_json(name: str, value: object) -> None:
    """Refuse what does not come back unchanged from strict JSON."""
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
        same = _is_writable(text) and json.loads(text) == value
    except (TypeError, ValueError, RecursionError):
        same = False
    if not same:
        raise refuse(name, value, "a mapping of texts to plain JSON values")


def check_knobs(value: object) -> None:
    """Refuse what is not a mapping of names to texts, finite numbers, booleans or null."""
    if not isinstance(value, Mapping):
        raise refuse("knobs", value, "a mapping of engine arguments")
    for key, knob in value.items():
        if not isinstance(key, str) or not isinstance(knob, str | int | float | bool | None):
            raise refuse(f"knobs[{key!r}]", knob, "a text, number, true, false or null")
        if isinstance(knob, int | float) and not _is_finite(knob):
            raise refuse(f"knobs[{key!r}]", knob, "finite")
        if not _is_writable(key) or (isinstance(knob, str) and not _is_writable(knob)):
            raise refuse(f"knobs[{key!r}]", knob, "a text that UTF-8 can write")


def check_keys(
    row: Mapping[str, Any], known: tuple[str, ...], *, required: tuple[str, ...]
) -> None:
    """Refuse unknown and absent keys of a row.

    Raises:
        InvalidRecordError: Naming the first offender.
    """
    for key in row:
        if key not in known:
            raise InvalidRecordError(f"unknown key {key!r}.{did_you_mean(str(key), known)}")
    missing = [name for name in required if name not in row]
    if missing:
        raise InvalidRecordError(f"missing {', '.join(missing)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What defines a measurement: everything one could have chosen before running it.

    Attributes:
        n_gpus: GPUs of one replica (tensor parallel for vLLM, ``device_map`` shards for HF). Where
            ``knobs`` name vLLM's pipeline_parallel_size or data_parallel_size, those of them all.
        batch_size: Sequences in flight (``max_num_seqs``, pipeline ``batch_size``, concurrency).
        input_len: Prompt tokens a request; ``None`` where the source does not say.
        output_len: Generated tokens a request; ``None`` where the source does not say.
        dtype: Weight format; ``None`` or ``auto`` means the model's own.
        knobs: Other engine arguments, by vLLM's own names.
    """

    engine: str
    model: str
    gpu: str
    n_gpus: int
    batch_size: int
    input_len: int | None = None
    output_len: int | None = None
    engine_version: str | None = None
    dtype: str | None = None
    quantization: str | None = None
    mode: str = "closed_batch"
    knobs: Mapping[str, Knob] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_option("engine", self.engine, ENGINES)
        check_option("mode", self.mode, MODES)
        for name in ("model", "gpu"):
            check_text(name, getattr(self, name))
        for name in ("engine_version", "dtype", "quantization"):
            check_text(name, getattr(self, name), optional=True)
        check_count("n_gpus", self.n_gpus)
        check_count("batch_size", self.batch_size)
        check_count("input_len", self.input_len, optional=True)
        check_count("output_len", self.output_len, optional=True)
        check_knobs(self.knobs)

    @property
    def workload_knobs(self) -> dict[str, Knob]:
        """What the knobs say of the requests, not of the engine, without the prefix."""
        return {
            name.removeprefix(WORKLOAD_PREFIX): value
            for name, value in sorted(self.knobs.items())
            if name.startswith(WORKLOAD_PREFIX)
        }

    @property
    def is_throttled(self) -> bool:
        """Whether requests come at a rate of their own, which then bounds the throughput."""
        return "request_rate" in self.workload_knobs


def engine_knobs(knobs: Mapping[str, Knob]) -> dict[str, Knob]:
    """Return those that are the engine's own arguments, what they say of the requests left out."""
    return {name: value for name, value in knobs.items() if not name.startswith(WORKLOAD_PREFIX)}


CONFIGURATION_FIELDS = tuple(f.name for f in dataclasses.fields(Configuration))
_plain_values = operator.attrgetter(*(name for name in CONFIGURATION_FIELDS if name != "knobs"))


Identity = tuple[object, ...]


def identity(configuration: Configuration) -> Identity:
    """Return what tells two configurations of one host apart, engine version included."""
    return (*_plain_values(configuration), tuple(sorted(configuration.knobs.items())))


def start_of(configuration: Configuration) -> Identity:
    """Return what configurations share that one engine start could serve."""
    return identity(
        Configuration(
            engine=configuration.engine,
            engine_version=configuration.engine_version,
            model=configuration.model,
            gpu=configuration.gpu,
            n_gpus=configuration.n_gpus,
            batch_size=1,
            dtype=configuration.dtype,
            quantization=configuration.quantization,
            mode="serving" if configuration.mode == "serving" else "closed_batch",
            knobs=engine_knobs(configuration.knobs),
        )
    )
