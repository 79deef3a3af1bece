"""Plan a study: which engine starts serve which trials, everything checked before any start."""

import itertools
from dataclasses import dataclass

from autotune.bench import Start
from autotune.demand import Workload
from autotune.engine_config import EngineConfig
from autotune.engines.knobs import check_knobs
from autotune.errors import InvalidConfigError
from autotune.gpus import detect_cpu, detect_gpus, find_gpu
from autotune.local_models import identify_model
from autotune.space import check_lengths, check_split
from autotune.spec import StudySpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One configuration to run."""

    workload: Workload
    batch_size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Trials that one engine start serves, in the order they run."""

    config: EngineConfig
    trials: tuple[Trial, ...]

    @property
    def start(self) -> Start:
        """The engine start that serves all trials."""
        lengths = (t.workload.input_len + t.workload.output_len for t in self.trials)
        return Start(
            config=self.config,
            max_batch_size=max(trial.batch_size for trial in self.trials),
            max_model_len=max(lengths),
        )


def resolve_host(gpu: str | None, n_gpus: int) -> str:
    """Return the catalogue name of the GPU (or CPU) here.

    Raises:
        InvalidConfigError: When the stated GPU is not the one here, or there are too few.
    """
    visible = detect_gpus()
    here = visible[0] if visible else detect_cpu()
    count = len(visible) if visible else 1
    stated = here if gpu is None else find_gpu(gpu)
    if stated.name != here.name:
        raise InvalidConfigError(
            f"this host has {here.name}, not {stated.name}; leave gpu out to take what is here, "
            "or run this on the other host"
        )
    if n_gpus > count:
        raise InvalidConfigError(
            f"n_gpus={n_gpus} is too many: this host has {count} x {here.name}"
        )
    return here.name


def check_mode(workload: Workload) -> None:
    """Refuse a mode that is not measured here, rather than measure another in its name."""
    if workload.mode != "closed_batch":
        raise InvalidConfigError(
            f"mode={workload.mode!r} is read from other tools' results but not measured here; "
            "use closed_batch"
        )


def plan(spec: StudySpec) -> list[Group]:
    """Return the groups of a study, small batches first, everything checked before any start.

    Raises:
        UsageError: For a model, GPU, engine, knob, split or length that cannot run here.
        EngineUnavailableError: When an engine is not installed.
    """
    profile = identify_model(spec.model)
    for workload in spec.workloads:
        check_mode(workload)
        check_lengths(profile, workload)
    for engine, n_gpus in itertools.product(spec.engines, spec.n_gpus):
        check_split(profile, engine, n_gpus)
    gpu = resolve_host(spec.gpu, max(spec.n_gpus))
    trials = tuple(
        Trial(workload=workload, batch_size=batch_size)
        for workload, batch_size in itertools.product(spec.workloads, sorted(spec.batch_sizes))
    )
    groups = []
    for engine, n_gpus in itertools.product(spec.engines, sorted(spec.n_gpus)):
        config = EngineConfig(
            engine=engine,
            model=spec.model,
            gpu=gpu,
            n_gpus=n_gpus,
            dtype=spec.dtype,
            quantization=spec.quantization,
            knobs=spec.knobs_of(engine),
            trust_remote_code=spec.trust_remote_code,
            seed=spec.seed,
        )
        check_knobs(config)
        groups.append(Group(config=config, trials=trials))
    return groups
