"""What to measure: engine settings, workload, limits and the study, validated at one edge.

Nothing here reads a file, the environment or the clock; ``StudySpec.from_dict`` is the edge where
outside input becomes typed, and it refuses unknown keys.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from autotune.errors import InvalidConfigError, did_you_mean
from autotune.records import ENGINES, MODES, Knob, check_knobs

RUNNABLE_ENGINES = ("vllm", "hf")
DTYPES = ("auto", "float32", "float16", "bfloat16")
_FIXED_BY_AUTOTUNE = {
    "model": "--model",
    "tensor_parallel_size": "--n-gpus",
    "max_num_seqs": "--batch-sizes",
    "dtype": "--dtype",
    "quantization": "--quantization",
    "seed": "--seed",
}


def _refuse(name: str, value: object, want: str) -> InvalidConfigError:
    return InvalidConfigError(f"{name}={value!r} must be {want}")


def check_positive_int(name: str, value: object) -> None:
    """Refuse anything but a whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise _refuse(name, value, "a whole number of at least 1")


def check_positive(name: str, value: object) -> None:
    """Refuse anything but a finite number above zero."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e15:
        raise _refuse(name, value, "a number above zero")


def check_choice(name: str, value: object, choices: Sequence[str]) -> None:
    """Refuse a value that is not one of ``choices``, naming the nearest."""
    if value not in choices:
        hint = did_you_mean(str(value), choices)
        raise InvalidConfigError(f"{name}={value!r} is not one of {', '.join(choices)}.{hint}")


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineConfig:
    """What one engine start fixes.

    Attributes:
        model: Catalogue name, or a directory with a config.json.
        gpu: Catalogue name of the GPU it runs on.
        n_gpus: GPUs of one replica.
        knobs: Further engine arguments by the engine's own names.
    """

    engine: str
    model: str
    gpu: str
    n_gpus: int = 1
    dtype: str = "auto"
    quantization: str | None = None
    knobs: Mapping[str, Knob] = field(default_factory=dict)
    trust_remote_code: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        check_choice("engine", self.engine, RUNNABLE_ENGINES)
        check_choice("dtype", self.dtype, DTYPES)
        check_positive_int("n_gpus", self.n_gpus)
        for knob in self.knobs:
            if knob in _FIXED_BY_AUTOTUNE:
                raise InvalidConfigError(
                    f"knob {knob!r} is set by autotune itself; use {_FIXED_BY_AUTOTUNE[knob]}"
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """The requests: their mode and their lengths in tokens."""

    mode: str = "closed_batch"
    input_len: int = 512
    output_len: int = 128

    def __post_init__(self) -> None:
        check_choice("mode", self.mode, MODES)
        check_positive_int("input_len", self.input_len)
        check_positive_int("output_len", self.output_len)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slo:
    """Latency limits; ``None`` where there is none."""

    max_ttft_ms: float | None = None
    max_tpot_ms: float | None = None

    def __post_init__(self) -> None:
        for name in ("max_ttft_ms", "max_tpot_ms"):
            if getattr(self, name) is not None:
                check_positive(name, getattr(self, name))


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasurePolicy:
    """When a measurement is good enough.

    After ``warmups`` passes of the same shape, passes repeat until the 95 % confidence interval of
    the throughput is within ``target_ci95`` of its mean (never before ``min_repeats``), or
    ``max_repeats`` or ``time_budget_s`` is reached.
    """

    warmups: int = 1
    min_repeats: int = 3
    max_repeats: int = 20
    target_ci95: float = 0.02
    time_budget_s: float = 60.0

    def __post_init__(self) -> None:
        for name in ("warmups", "min_repeats", "max_repeats"):
            check_positive_int(name, getattr(self, name))
        for name in ("target_ci95", "time_budget_s"):
            check_positive(name, getattr(self, name))
        if self.max_repeats < self.min_repeats:
            raise _refuse("max_repeats", self.max_repeats, f"at least min_repeats={self.min_repeats}")


@dataclass(frozen=True, slots=True, kw_only=True)
class StudySpec:
    """A grid of configurations of one model on one host.

    Attributes:
        gpu: Catalogue name of the GPU; ``None`` takes what this host has.
        knobs: Engine arguments by their own names; ``vllm.enforce_eager`` is for one engine only.
        start_timeout_s: Longest an engine start may take.
        stall_timeout_s: Longest a measurement may go without finishing a pass.
    """

    model: str
    engines: tuple[str, ...] = ("vllm",)
    gpu: str | None = None
    n_gpus: tuple[int, ...] = (1,)
    batch_sizes: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
    workloads: tuple[Workload, ...] = (Workload(),)
    dtype: str = "auto"
    quantization: str | None = None
    knobs: Mapping[str, Knob] = field(default_factory=dict)
    trust_remote_code: bool = False
    policy: MeasurePolicy = MeasurePolicy()
    purpose: str = "search"
    seed: int = 0
    start_timeout_s: float = 1800.0
    stall_timeout_s: float = 600.0

    def __post_init__(self) -> None:
        for name in ("engines", "n_gpus", "batch_sizes", "workloads"):
            if not getattr(self, name):
                raise _refuse(name, getattr(self, name), "at least one value")
            if len(set(getattr(self, name))) != len(getattr(self, name)):
                raise _refuse(name, getattr(self, name), "free of repetitions")
        for engine in self.engines:
            check_choice("engine", engine, RUNNABLE_ENGINES)
        for name in ("n_gpus", "batch_sizes"):
            for value in getattr(self, name):
                check_positive_int(name, value)
        check_choice("dtype", self.dtype, DTYPES)
        for name in ("start_timeout_s", "stall_timeout_s"):
            check_positive(name, getattr(self, name))

    def knobs_of(self, engine: str) -> dict[str, Knob]:
        """Return the knobs that go to one engine, without the engine's prefix."""
        shared = {k: v for k, v in self.knobs.items() if k.partition(".")[0] not in ENGINES}
        prefix = f"{engine}."
        own = {k.removeprefix(prefix): v for k, v in self.knobs.items() if k.startswith(prefix)}
        return shared | own

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Build a study from parsed YAML or JSON.

        Lists may be written as one value (``engines: vllm``) and batch sizes as text (``1:512``).

        Raises:
            InvalidConfigError: For an unknown key or an impossible value, naming it.
        """
        check_study_keys("study", data, cls)
        values = dict(data)
        for name, read in (("engines", _texts), ("n_gpus", parse_counts), ("batch_sizes", parse_counts)):
            if name in values:
                values[name] = read(values[name])
        if "knobs" in values:
            values["knobs"] = _flat_knobs(values["knobs"])
        if "workloads" in values:
            values["workloads"] = tuple(_nested(Workload, "workload", w) for w in values["workloads"])
        if "policy" in values:
            values["policy"] = _nested(MeasurePolicy, "policy", values["policy"])
        if "model" not in values:
            raise InvalidConfigError("study: missing key 'model'")
        return cls(**values)


def check_study_keys(where: str, data: object, cls: type[Any]) -> None:
    """Refuse what is not a mapping of ``cls``'s fields, naming the key and the nearest known."""
    if not isinstance(data, Mapping):
        raise InvalidConfigError(f"{where}: expected a mapping of settings, not {data!r}")
    known = [f.name for f in dataclasses.fields(cls)]
    for key in data:
        if key not in known:
            raise InvalidConfigError(f"{where}: unknown key {key!r}.{did_you_mean(str(key), known)}")


def _nested(cls: type[Any], where: str, data: object) -> Any:
    check_study_keys(where, data, cls)
    assert isinstance(data, Mapping)
    return cls(**data)


def _flat_knobs(data: object) -> dict[str, Knob]:
    """Accept ``{vllm: {enforce_eager: true}}`` as well as ``{vllm.enforce_eager: true}``."""
    if not isinstance(data, Mapping):
        raise _refuse("knobs", data, "a mapping of engine arguments")
    flat: dict[str, Knob] = {}
    for key, value in data.items():
        if isinstance(value, Mapping) and key in ENGINES:
            flat |= {f"{key}.{knob}": item for knob, item in value.items()}
        else:
            flat[str(key)] = value
    check_knobs(flat)
    return flat


def _texts(value: object) -> tuple[str, ...]:
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, Sequence) or not all(isinstance(item, str) for item in items):
        raise _refuse("engines", value, f"a list of {', '.join(ENGINES)}")
    return tuple(item.strip() for item in items)


def parse_counts(value: object) -> tuple[int, ...]:
    """Read ``'1:512'`` (doubling), ``'1,3,7'`` (a list), a number or a list of numbers.

    >>> parse_counts("1:8"), parse_counts("1,3"), parse_counts(4)
    ((1, 2, 4, 8), (1, 3), (4,))

    Raises:
        InvalidConfigError: For anything else, and for numbers below 1.
    """
    if isinstance(value, int):
        value = [value]
    if isinstance(value, Sequence) and not isinstance(value, str):
        for item in value:
            check_positive_int("count", item)
        return tuple(value)
    counts: list[int] = []
    for part in str(value).split(","):
        counts.extend(_parse_range(part.strip(), str(value)))
    return tuple(dict.fromkeys(counts))


def _parse_range(part: str, whole: str) -> list[int]:
    first, colon, last = part.partition(":")
    try:
        low, high = int(first), int(last) if colon else int(first)
    except ValueError:
        raise _refuse("count", whole, "like 1:512 (doubling) or 1,3,7") from None
    check_positive_int("count", low)
    if high < low:
        raise _refuse("count", whole, f"rising, but {high} is below {low}")
    counts = []
    while low <= high:
        counts.append(low)
        low *= 2
    return counts
