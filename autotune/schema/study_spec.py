"""StudySpec: what to measure. ``loading`` makes it of files and options."""

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from autotune.errors import InvalidConfigError
from autotune.schema.configuration import Knob, check_knobs
from autotune.schema.engine_config import DTYPES, RUNNABLE_ENGINES
from autotune.schema.validation import (
    ENGINES,
    PURPOSES,
    check_choice,
    check_name,
    check_positive,
    check_positive_int,
    check_seed,
    check_switch,
    refuse_setting,
)
from autotune.schema.workload import MeasurePolicy, Slo, Workload

_TEXT = re.compile(r"(?:([a-z]+):)?([0-9]{1,9})x([0-9]{1,9})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Incumbent:
    """What is served now.

    Attributes:
        engine: ``None`` is the study's first engine.
    """

    n_gpus: int
    batch_size: int
    engine: str | None = None

    def __post_init__(self) -> None:
        check_positive_int("n_gpus", self.n_gpus)
        check_positive_int("batch_size", self.batch_size)
        if self.engine is not None:
            check_choice("engine", self.engine, RUNNABLE_ENGINES)


def parse_incumbent(text: str) -> Incumbent:
    """Read ``N_GPUSxBATCH`` or ``ENGINE:N_GPUSxBATCH``.

    >>> parse_kept("2x64")
    Kept(n_gpus=2, batch_size=64, engine=None)

    Raises:
        InvalidConfigError: For anything else, and for numbers below 1.
    """
    match = _TEXT.fullmatch(text.strip())
    if match is None:
        raise refuse_setting("kept", text, "like 2x64 (GPUs x batch size) or hf:1x16")
    return Incumbent(n_gpus=int(match[2]), batch_size=int(match[3]), engine=match[1])


STRATEGIES = ("grid", "random", "tpe", "surrogate")
_BUDGETS = ("max_trials", "max_time_s", "max_gpu_hours")
# What a record's environment says of how its configuration was chosen.
SEARCH_SETTINGS = ("strategy", "seed", *_BUDGETS)


@dataclass(frozen=True, slots=True, kw_only=True)
class StudySpec:
    """The configurations of one model on one host, and how they are searched.

    Attributes:
        like: Model whose architecture it has, where only its name is known.
        gpu: Catalogue name of the GPU; ``None`` takes what this host has.
        knobs: Engine arguments by their own names; ``vllm.enforce_eager`` is for one engine only. A
            tuple lists alternatives, each tried with an engine start of its own.
        purpose: What the records say they are for; baselines always say ``baseline``.
        strategy: ``grid`` measures everything (sweeps end early where they are flat, see
            ``pruning``), ``random`` draws, ``tpe`` and ``surrogate`` choose by what was measured.
        max_trials: Configurations measured in all, earlier sessions included.
        max_time_s: Wall time of this session.
        max_gpu_hours: GPUs x wall time of this session, engine starts included.
        exhaustive: Whether a grid measures all of a sweep although it is flat.
        kept: The configuration kept from before; always measured.
        start_timeout_s: Longest an engine start may take.
        stall_timeout_s: Longest a measurement may go without finishing a pass.
    """

    model: str
    like: str | None = None
    engines: tuple[str, ...] = ("vllm",)
    gpu: str | None = None
    n_gpus: tuple[int, ...] = (1,)
    batch_sizes: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
    workloads: tuple[Workload, ...] = (Workload(),)
    dtype: str = "auto"
    quantization: str | None = None
    knobs: Mapping[str, Knob | tuple[Knob, ...]] = field(default_factory=dict)
    trust_remote_code: bool = False
    policy: MeasurePolicy = field(default_factory=MeasurePolicy)
    slo: Slo = field(default_factory=Slo)
    purpose: str = "search"
    seed: int = 0
    strategy: str = "grid"
    max_trials: int | None = None
    max_time_s: float | None = None
    max_gpu_hours: float | None = None
    exhaustive: bool = False
    kept: Incumbent | None = None
    start_timeout_s: float = 1800.0
    stall_timeout_s: float = 600.0

    def __post_init__(self) -> None:
        check_name("model", self.model)
        check_name("like", self.like, optional=True)
        check_name("gpu", self.gpu, optional=True)
        check_name("quantization", self.quantization, optional=True)
        self._check_lists()
        check_choice("dtype", self.dtype, DTYPES)
        check_choice("purpose", self.purpose, PURPOSES)
        check_switch("trust_remote_code", self.trust_remote_code)
        check_seed("seed", self.seed)
        self._check_knobs()
        self._check_search()
        for name in ("start_timeout_s", "stall_timeout_s"):
            check_positive(name, getattr(self, name))

    def _check_lists(self) -> None:
        for engine in self.engines:
            check_choice("engine", engine, RUNNABLE_ENGINES)
        for name in ("n_gpus", "batch_sizes"):
            for value in getattr(self, name):
                check_positive_int(name, value)
        for name in ("engines", "n_gpus", "batch_sizes", "workloads"):
            _check_list(name, getattr(self, name))

    def _check_knobs(self) -> None:
        fixed = {k: v for k, v in self.knobs.items() if not isinstance(v, tuple)}
        check_knobs(fixed)
        for name, values in self.knobs.items():
            if isinstance(values, tuple):
                for value in values:
                    check_knobs({name: value})
                _check_list(f"knob {name}", values)

    def _check_search(self) -> None:
        check_choice("strategy", self.strategy, STRATEGIES)
        check_switch("exhaustive", self.exhaustive)
        if self.max_trials is not None:
            check_positive_int("max_trials", self.max_trials)
        for name in ("max_time_s", "max_gpu_hours"):
            if getattr(self, name) is not None:
                check_positive(name, getattr(self, name))
        if self.strategy != "grid" and len(self.workloads) > 1:
            raise InvalidConfigError(
                f"strategy={self.strategy} searches for one workload's best configuration, and "
                f"there are {len(self.workloads)} workloads; run a study for each, or use grid"
            )

    def knobs_of(self, engine: str) -> dict[str, Knob | tuple[Knob, ...]]:
        """Return the knobs that go to one engine, without the engine's prefix."""
        shared = {k: v for k, v in self.knobs.items() if k.partition(".")[0] not in ENGINES}
        prefix = f"{engine}."
        own = {k.removeprefix(prefix): v for k, v in self.knobs.items() if k.startswith(prefix)}
        return shared | own

    def fixed_knobs_of(self, engine: str) -> dict[str, Knob]:
        """Return the knobs of one engine that have no alternatives."""
        return {k: v for k, v in self.knobs_of(engine).items() if not isinstance(v, tuple)}

    def knob_choices_of(self, engine: str) -> list[dict[str, Knob]]:
        """Return every combination of the alternatives, each with the fixed knobs."""
        knobs = self.knobs_of(engine)
        choices = [value if isinstance(value, tuple) else (value,) for value in knobs.values()]
        return [dict(zip(knobs, values, strict=True)) for values in itertools.product(*choices)]

    @property
    def goes_on_where_flat(self) -> bool:
        """Whether flat sweeps are measured to their end; only a grid spares them."""
        return self.exhaustive or self.strategy != "grid"

    @property
    def search_settings(self) -> dict[str, Any]:
        """The strategy, its seed and its budgets, as records carry them."""
        settings = {name: getattr(self, name) for name in SEARCH_SETTINGS}
        return {name: value for name, value in settings.items() if value is not None}


def _check_list(name: str, values: tuple[Any, ...]) -> None:
    if not values:
        raise refuse_setting(name, values, "at least one value")
    if len(set(values)) != len(values):
        raise refuse_setting(name, values, "free of repetitions")
