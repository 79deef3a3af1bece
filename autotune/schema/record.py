"""RunRecord: the row that every part shares, its validation and its fingerprint.

A record is one configuration that was run, completed or failed. Units are in the names: ``_ms``,
``_s``, ``_w``, ``_gb`` (2**30 bytes, as nvidia-smi and vLLM count), throughputs in tokens (or
requests) per second. ``None`` means not measured; nothing unmeasured is ever 0.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from autotune.errors import InvalidRecordError
from autotune.schema.configuration import (
    CONFIGURATION_FIELDS,
    Configuration,
    Knob,
    check_count,
    check_json,
    check_keys,
    check_knobs,
    check_measure,
    check_option,
    check_text,
    refuse,
)
from autotune.schema.validation import (
    COUNT_FIELDS,
    ENGINES,
    LATENCY_FIELDS,
    MAY_BE_ZERO,
    METRIC_FIELDS,
    MODES,
    PURPOSES,
    STATUSES,
    THROUGHPUT_FIELDS,
)

__all__ = [
    "CONFIGURATION_FIELDS",
    "ENGINES",
    "LATENCY_FIELDS",
    "METRIC_FIELDS",
    "MODES",
    "PURPOSES",
    "RECORD_FIELDS",
    "SCHEMA",
    "STATUSES",
    "THROUGHPUT_FIELDS",
    "Configuration",
    "Knob",
    "RunRecord",
    "check_keys",
    "check_knobs",
    "check_measures",
    "configuration_from_dict",
    "fingerprint",
]

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord(Configuration):
    """One configuration that was run, with what came of it.

    Attributes:
        source: Who measured (``autotune`` for own runs, otherwise the importer's source).
        run_key: Fingerprint of what defines the measurement (filled in when left out).
        output_throughput: Generated tokens over wall time, prefill included, all replicas' GPUs.
        request_goodput: Requests a second that met every latency limit (``environment`` has them).
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
    request_goodput: float | None = None
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

    def __post_init__(self) -> None:
        Configuration.__post_init__(self)
        if type(self.schema) is not int or self.schema != SCHEMA:
            raise refuse("schema", self.schema, f"{SCHEMA}, the only one this version reads")
        check_text("source", self.source)
        check_option("status", self.status, STATUSES)
        check_option("purpose", self.purpose, PURPOSES)
        for name in ("session_id", "started_at", "notes"):
            check_text(name, getattr(self, name), optional=True)
        self._check_measures()
        if not isinstance(self.environment, Mapping):
            raise refuse("environment", self.environment, "a mapping")
        if self.environment:
            check_json("environment", dict(self.environment))
        if not isinstance(self.suspect, bool):
            raise refuse("suspect", self.suspect, "true or false")
        self._check_run_key()

    def _check_measures(self) -> None:
        check_measures({name: getattr(self, name) for name in METRIC_FIELDS})
        if self.status == "completed" and all(
            getattr(self, name) is None for name in (*THROUGHPUT_FIELDS, *LATENCY_FIELDS)
        ):
            raise InvalidRecordError("status=completed needs at least one measured throughput")

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
        return cls(**_present(row, RECORD_FIELDS, _REQUIRED))


def check_measures(values: Mapping[str, object]) -> None:
    """Refuse measures that cannot be: zero where it may not be, or negative; null is unmeasured.

    Raises:
        InvalidRecordError: Naming the first offender.
    """
    for name, value in values.items():
        may_be_zero = name in MAY_BE_ZERO
        if name in COUNT_FIELDS:
            check_count(name, value, optional=True, least=0 if may_be_zero else 1)
        else:
            check_measure(name, value, may_be_zero=may_be_zero)


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
    return Configuration(**_present(row, CONFIGURATION_FIELDS, required))


def _present(
    row: Mapping[str, Any], fields: tuple[str, ...], required: tuple[str, ...]
) -> dict[str, Any]:
    """Return the values of ``fields`` that are not null; a required null counts as missing."""
    values = {key: row[key] for key in fields if row.get(key) is not None}
    check_keys(values, fields, required=required)
    return values


def short_name(model: str) -> str:
    """Return a model's name without its organisation."""
    return model.rpartition("/")[2]
