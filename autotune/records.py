"""RunRecord: the row that every part shares, its validation and its fingerprint.

A record is one configuration that was run, completed or failed. Units are in the names: ``_ms``,
``_s``, ``_w``, ``_gb`` (2**30 bytes, as nvidia-smi and vLLM count), throughputs in tokens (or
requests) per second. ``None`` means not measured; nothing unmeasured is ever 0.
"""

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from autotune.errors import InvalidRecordError, did_you_mean

SCHEMA = 1
ENGINES = ("vllm", "hf", "trtllm", "sglang", "tgi")
MODES = ("closed_batch", "serving")
STATUSES = ("completed", "out_of_memory", "timed_out", "crashed", "load_failed")
PURPOSES = ("baseline", "search", "confirm")
LATENCY_FIELDS = tuple(
    f"{stat}_{metric}_ms"
    for metric in ("ttft", "tpot", "itl", "e2el")
    for stat in ("mean", "median", "p99")
)
THROUGHPUT_FIELDS = ("output_throughput", "total_throughput", "request_throughput")
METRIC_FIELDS = (
    *THROUGHPUT_FIELDS,
    *LATENCY_FIELDS,
    "repeats",
    "throughput_ci95",
    "energy_j_per_token",
    "mean_power_w",
    "peak_memory_gb",
    "kv_cache_tokens",
    "engine_start_s",
    "measure_s",
)

Knob = str | int | float | bool | None


def _refuse(name: str, value: object, want: str) -> InvalidRecordError:
    return InvalidRecordError(f"{name}={value!r} must be {want}")


def _check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise _refuse(name, value, f"one of {', '.join(choices)}")


def _check_count(name: str, value: object, *, optional: bool = False) -> None:
    if value is None and optional:
        return
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise _refuse(name, value, "a whole number of at least 1")


def _check_measure(name: str, value: object, *, positive: bool) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _refuse(name, value, "a finite number or null")
    if value < 0 or (positive and value == 0):
        raise _refuse(name, value, "above zero or null" if positive else "zero or more, or null")


def _check_text(name: str, value: object, *, optional: bool = False) -> None:
    if value is None and optional:
        return
    if not isinstance(value, str) or not value.strip():
        raise _refuse(name, value, "a non-empty text")


def check_knobs(value: object) -> None:
    """Refuse what is not a mapping of names to texts, finite numbers, booleans or null."""
    if not isinstance(value, Mapping):
        raise _refuse("knobs", value, "a mapping of engine arguments")
    for key, knob in value.items():
        if not isinstance(key, str) or not isinstance(knob, str | int | float | bool | None):
            raise _refuse(f"knobs[{key!r}]", knob, "a text, number, true, false or null")
        if isinstance(knob, float) and not math.isfinite(knob):
            raise _refuse(f"knobs[{key!r}]", knob, "finite")


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What defines a measurement: everything one could have chosen before running it.

    Attributes:
        n_gpus: GPUs of one replica (tensor parallel for vLLM, ``device_map`` shards for HF).
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
        _check_choice("engine", self.engine, ENGINES)
        _check_choice("mode", self.mode, MODES)
        for name in ("model", "gpu"):
            _check_text(name, getattr(self, name))
        for name in ("engine_version", "dtype", "quantization"):
            _check_text(name, getattr(self, name), optional=True)
        _check_count("n_gpus", self.n_gpus)
        _check_count("batch_size", self.batch_size)
        _check_count("input_len", self.input_len, optional=True)
        _check_count("output_len", self.output_len, optional=True)
        check_knobs(self.knobs)


CONFIGURATION_FIELDS = tuple(f.name for f in dataclasses.fields(Configuration))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord(Configuration):
    """One configuration that was run, with what came of it.

    Attributes:
        source: Who measured (``autotune`` for own runs, otherwise the importer's source).
        run_key: Fingerprint of what defines the measurement (filled in when left out).
        output_throughput: Generated tokens over wall time, prefill included, all replicas' GPUs.
        throughput_ci95: Half width of the 95 % confidence interval, relative to the mean.
        session_id: The study that ran it; with ``run_key`` and ``started_at`` it tells runs apart.
        suspect: Kept, but neither trained on nor scored.
    """

    source: str
    status: str
    schema: int = SCHEMA
    run_key: str | None = None
    output_throughput: float | None = None
    total_throughput: float | None = None
    request_throughput: float | None = None
    mean_ttft_ms: float | None = None
    median_ttft_ms: float | None = None
    p99_ttft_ms: float | None = None
    mean_tpot_ms: float | None = None
    median_tpot_ms: float | None = None
    p99_tpot_ms: float | None = None
    mean_itl_ms: float | None = None
    median_itl_ms: float | None = None
    p99_itl_ms: float | None = None
    mean_e2el_ms: float | None = None
    median_e2el_ms: float | None = None
    p99_e2el_ms: float | None = None
    repeats: int | None = None
    throughput_ci95: float | None = None
    energy_j_per_token: float | None = None
    mean_power_w: float | None = None
    peak_memory_gb: float | None = None
    kv_cache_tokens: int | None = None
    engine_start_s: float | None = None
    measure_s: float | None = None
    purpose: str = "search"
    session_id: str | None = None
    environment: Mapping[str, Any] = field(default_factory=dict)
    started_at: str | None = None
    notes: str | None = None
    suspect: bool = False

    # Measures for which 0 is a real reading; every other measure must be above zero.
    _MAY_BE_ZERO: ClassVar[frozenset[str]] = frozenset(
        {"throughput_ci95", "mean_itl_ms", "median_itl_ms", "p99_itl_ms", "kv_cache_tokens"}
    )

    def __post_init__(self) -> None:
        Configuration.__post_init__(self)
        if self.schema != SCHEMA:
            raise _refuse("schema", self.schema, f"{SCHEMA}, the only one this version reads")
        _check_text("source", self.source)
        _check_choice("status", self.status, STATUSES)
        _check_choice("purpose", self.purpose, PURPOSES)
        for name in ("session_id", "started_at", "notes"):
            _check_text(name, getattr(self, name), optional=True)
        for name in METRIC_FIELDS:
            _check_measure(name, getattr(self, name), positive=name not in self._MAY_BE_ZERO)
        if not isinstance(self.environment, Mapping):
            raise _refuse("environment", self.environment, "a mapping")
        if not isinstance(self.suspect, bool):
            raise _refuse("suspect", self.suspect, "true or false")
        if self.status == "completed" and all(
            getattr(self, name) is None for name in (*THROUGHPUT_FIELDS, *LATENCY_FIELDS)
        ):
            raise InvalidRecordError("status=completed needs at least one measured throughput")
        self._check_run_key()

    def _check_run_key(self) -> None:
        expected = fingerprint(self)
        if self.run_key is None:
            object.__setattr__(self, "run_key", expected)
        elif self.run_key != expected:
            raise InvalidRecordError(
                f"run_key={self.run_key!r} is not the fingerprint of this row ({expected}); "
                "leave run_key out to have it computed"
            )

    @property
    def configuration(self) -> Configuration:
        """The configuration alone, without results."""
        return Configuration(**{name: getattr(self, name) for name in CONFIGURATION_FIELDS})

    @property
    def record_id(self) -> str:
        """Identity of this one execution: two runs of one configuration have two."""
        text = "|".join((self.run_key or "", self.session_id or "", self.started_at or ""))
        return hashlib.sha256(text.encode()).hexdigest()[:24]

    @property
    def is_measured(self) -> bool:
        """Whether it completed with an output throughput that may be learned from."""
        return self.status == "completed" and self.output_throughput is not None

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as JSON-ready values, ``None`` where not measured."""
        row = {name: getattr(self, name) for name in RECORD_FIELDS}
        row["knobs"] = dict(self.knobs)
        row["environment"] = dict(self.environment)
        return row

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> Self:
        """Build a record from a mapping, refusing unknown and missing keys.

        Raises:
            InvalidRecordError: Naming the key and, for an unknown one, the nearest known.
        """
        check_keys(row, RECORD_FIELDS, required=_REQUIRED)
        values = {key: value for key, value in row.items() if value is not None}
        missing = [name for name in _REQUIRED if name not in values]
        if missing:
            raise InvalidRecordError(f"missing {', '.join(missing)}")
        return cls(**values)


RECORD_FIELDS = tuple(
    sorted(
        (f.name for f in dataclasses.fields(RunRecord)),
        key=lambda name: (name not in ("schema", "source", "run_key"), 0),
    )
)
_REQUIRED = tuple(
    f.name
    for f in dataclasses.fields(RunRecord)
    if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
)
_IDENTITY = ("source", *CONFIGURATION_FIELDS)


def check_keys(row: Mapping[str, Any], known: tuple[str, ...], *, required: tuple[str, ...]) -> None:
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


def fingerprint(record: RunRecord) -> str:
    """Return 16 hex digits over what defines the measurement, and nothing that results from it."""
    identity = {name: getattr(record, name) for name in _IDENTITY}
    identity["knobs"] = dict(sorted(record.knobs.items()))
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def configuration_from_dict(row: Mapping[str, Any]) -> Configuration:
    """Read the configuration out of a row that may be a whole RunRecord; results are ignored.

    Raises:
        InvalidRecordError: For unknown, missing or impossible values.
    """
    required = ("engine", "model", "gpu", "n_gpus", "batch_size")
    check_keys(row, RECORD_FIELDS, required=required)
    values = {k: v for k, v in row.items() if k in CONFIGURATION_FIELDS and v is not None}
    missing = [name for name in required if name not in values]
    if missing:
        raise InvalidRecordError(f"missing {', '.join(missing)}")
    return Configuration(**values)
