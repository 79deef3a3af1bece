"""StudySpec: what to measure, validated at one edge; everything it is made of is importable here.

Nothing here reads a file, the environment or the clock; ``StudySpec.from_dict`` is the edge where
outside input becomes typed, and it refuses unknown keys.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from autotune.checks import (
    check_choice,
    check_name,
    check_positive,
    check_positive_int,
    check_seed,
    check_switch,
    parse_counts,
    refuse_setting,
)
from autotune.demand import MeasurePolicy, Slo, Workload
from autotune.engine_config import DTYPES, RUNNABLE_ENGINES, EngineConfig
from autotune.errors import InvalidConfigError, did_you_mean
from autotune.records import ENGINES, PURPOSES, Knob, check_knobs

__all__ = [
    "DTYPES",
    "RUNNABLE_ENGINES",
    "EngineConfig",
    "MeasurePolicy",
    "Slo",
    "StudySpec",
    "Workload",
    "check_choice",
    "check_positive",
    "check_positive_int",
    "parse_counts",
]


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
    policy: MeasurePolicy = field(default_factory=MeasurePolicy)
    slo: Slo = field(default_factory=Slo)
    purpose: str = "search"
    seed: int = 0
    start_timeout_s: float = 1800.0
    stall_timeout_s: float = 600.0

    def __post_init__(self) -> None:
        check_name("model", self.model)
        check_name("gpu", self.gpu, optional=True)
        check_name("quantization", self.quantization, optional=True)
        for engine in self.engines:
            check_choice("engine", engine, RUNNABLE_ENGINES)
        for name in ("n_gpus", "batch_sizes"):
            for value in getattr(self, name):
                check_positive_int(name, value)
        for name in ("engines", "n_gpus", "batch_sizes", "workloads"):
            values = getattr(self, name)
            if not values:
                raise refuse_setting(name, values, "at least one value")
            if len(set(values)) != len(values):
                raise refuse_setting(name, values, "free of repetitions")
        check_choice("dtype", self.dtype, DTYPES)
        check_choice("purpose", self.purpose, PURPOSES)
        check_switch("trust_remote_code", self.trust_remote_code)
        check_seed("seed", self.seed)
        check_knobs(self.knobs)
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
        for name, read in _READ.items():
            if name in values:
                values[name] = read(values[name])
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
            raise InvalidConfigError(
                f"{where}: unknown key {key!r}.{did_you_mean(str(key), known)}"
            )


def _nested(cls: type[Any], where: str, data: object) -> Any:
    check_study_keys(where, data, cls)
    assert isinstance(data, Mapping)
    return cls(**data)


def _workloads(data: object) -> tuple[Workload, ...]:
    items = data if isinstance(data, list | tuple) else [data]
    return tuple(_nested(Workload, "workload", item) for item in items)


def _policy(data: object) -> Any:
    return _nested(MeasurePolicy, "policy", data)


def _slo(data: object) -> Any:
    return _nested(Slo, "slo", data)


def _flat_knobs(data: object) -> dict[str, Knob]:
    """Accept ``{vllm: {enforce_eager: true}}`` as well as ``{vllm.enforce_eager: true}``."""
    if not isinstance(data, Mapping):
        raise refuse_setting("knobs", data, "a mapping of engine arguments")
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
    if not isinstance(items, list | tuple) or not all(isinstance(item, str) for item in items):
        raise refuse_setting("engines", value, f"a list of {', '.join(ENGINES)}")
    return tuple(item.strip() for item in items)


# How the values of a study file become the fields of a StudySpec; the others are taken as they are.
_READ: Mapping[str, Callable[[object], Any]] = {
    "engines": _texts,
    "n_gpus": parse_counts,
    "batch_sizes": parse_counts,
    "knobs": _flat_knobs,
    "workloads": _workloads,
    "policy": _policy,
    "slo": _slo,
}
