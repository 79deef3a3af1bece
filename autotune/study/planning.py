"""Plan a study: every configuration it may run, checked before any engine starts."""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence

from autotune.catalog.architecture.profile import ModelProfile
from autotune.catalog.compatibility import check_lengths, check_split, default_batch_size
from autotune.catalog.gpus import detect_cpu, detect_gpus, find_gpu
from autotune.catalog.naming import identify_model
from autotune.engines.knobs import check_knobs
from autotune.engines.prompts.files import resolve_prompts
from autotune.errors import InvalidConfigError
from autotune.runner.runner import Trial
from autotune.schema.configuration import Knob
from autotune.schema.engine_config import EngineConfig
from autotune.schema.study_spec import Incumbent, StudySpec
from autotune.schema.workload import Workload


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


def plan(spec: StudySpec) -> list[Trial]:
    """Return the configurations of a study on this host, those of one engine start together.

    Whether a Ray cluster has the GPUs of a start that vLLM spreads over it, vLLM itself finds out.

    Raises:
        UsageError: For a model, GPU, engine, knob, split or length that cannot run here.
        EngineUnavailableError: When an engine is not installed.
    """
    resolve_host(spec.gpu, 1)
    planned = plan_anywhere(spec)
    counts = (item.config.n_gpus for item in planned if not item.config.spans_hosts)
    resolve_host(spec.gpu, max(counts, default=1))
    return planned


def plan_anywhere(spec: StudySpec) -> list[Trial]:
    """Return the configurations of a study on a host with the GPUs that it names.

    Starts come by engine, GPUs and knob alternatives, those that only a baseline needs last; within
    one, workloads from the longest to the shortest, and batch sizes rising.

    Raises:
        UsageError: For a model, GPU, engine, knob, split or length that cannot run.
        EngineUnavailableError: When an engine is not installed.
    """
    profile = identify_model(spec.model, spec.like)
    gpu = resolve_host(None, 1) if spec.gpu is None else find_gpu(spec.gpu).name
    workloads = sorted(map(resolve_prompts, spec.workloads), key=lambda w: -w.max_len)
    for workload in workloads:
        check_lengths(profile, workload)
    baselines = list(_baselines(spec, profile, gpu, workloads))
    trials = list(_grid(spec, profile, gpu, workloads))
    trials += [trial for trial in baselines if trial not in trials]
    configs: list[EngineConfig] = []
    for trial in trials:
        if trial.config not in configs:
            configs.append(trial.config)
    return [
        dataclasses.replace(trial, is_baseline=trial in baselines)
        for trial in sorted(trials, key=lambda trial: configs.index(trial.config))
    ]


def _grid(
    spec: StudySpec, profile: ModelProfile, gpu: str, workloads: Sequence[Workload]
) -> Iterator[Trial]:
    for engine, n_gpus in itertools.product(spec.engines, sorted(spec.n_gpus)):
        for knobs, workload in itertools.product(spec.knob_choices_of(engine), workloads):
            config = _config(spec, profile, engine, gpu, n_gpus, knobs, workload)
            for batch_size in sorted(spec.batch_sizes):
                yield Trial.of(config, workload, batch_size)


def _baselines(
    spec: StudySpec, profile: ModelProfile, gpu: str, workloads: Sequence[Workload]
) -> Iterator[Trial]:
    """Yield the engines' defaults (a grid goes without) and the kept configuration.

    Knobs with alternatives are left to the engine's own default.
    """
    incumbents: tuple[Incumbent, ...] = () if spec.kept is None else (spec.kept,)
    if spec.strategy != "grid":
        spec_of_gpu = find_gpu(gpu)
        incumbents += tuple(
            Incumbent(
                engine=engine,
                n_gpus=min(spec.n_gpus),
                batch_size=default_batch_size(engine, spec_of_gpu),
            )
            for engine in spec.engines
        )
    for choice, workload in itertools.product(incumbents, workloads):
        engine = choice.engine or spec.engines[0]
        knobs = spec.fixed_knobs_of(engine)
        config = _config(spec, profile, engine, gpu, choice.n_gpus, knobs, workload)
        yield Trial.of(config, workload, choice.batch_size)


def _config(
    spec: StudySpec,
    profile: ModelProfile,
    engine: str,
    gpu: str,
    n_gpus: int,
    knobs: Mapping[str, Knob],
    workload: Workload,
) -> EngineConfig:
    is_served = workload.mode == "serving"
    if is_served and engine == "hf":
        raise InvalidConfigError(
            "mode='serving': a Hugging Face pipeline has no server of its own; use mode stream, or "
            "engine vllm"
        )
    config = EngineConfig(
        engine=engine,
        model=spec.model,
        like=spec.like,
        gpu=gpu,
        n_gpus=n_gpus,
        dtype=spec.dtype,
        quantization=spec.quantization,
        knobs=knobs,
        trust_remote_code=spec.trust_remote_code,
        seed=spec.seed,
        serving=is_served,
    )
    check_split(profile, config)
    check_knobs(config)
    return config
