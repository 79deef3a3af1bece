"""A study: plan its configurations, run what is not yet in the journal, record each."""

import dataclasses
import datetime
import itertools
import math
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from autotune.bench import Bench, BenchListener, BenchSettings, Start, configuration_of
from autotune.engines.knobs import check_knobs
from autotune.errors import InvalidConfigError
from autotune.gpus import detect_cpu, detect_gpus, find_gpu
from autotune.journal import Journal
from autotune.local_models import identify_model
from autotune.records import Configuration, RunRecord
from autotune.space import check_lengths, check_split
from autotune.spec import EngineConfig, StudySpec, Workload


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


class Listener(BenchListener, Protocol):
    """Whoever wants to follow a study as it runs."""

    def study_started(self, session_id: str, n_trials: int, n_done: int) -> None:
        """Planned; ``n_done`` configurations are in the journal already."""

    def trial_finished(self, record: RunRecord) -> None:
        """A configuration has been journalled."""


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
        raise InvalidConfigError(f"n_gpus={n_gpus} is too many: this host has {count} x {here.name}")
    return here.name


def plan(spec: StudySpec) -> list[Group]:
    """Return the groups of a study, small batches first, everything checked before any start.

    Raises:
        UsageError: For a model, GPU, engine, knob, split or length that cannot run here.
        EngineUnavailableError: When an engine is not installed.
    """
    profile = identify_model(spec.model)
    for workload in spec.workloads:
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


def new_session_id() -> str:
    """Return a fresh id that sorts by time."""
    now = datetime.datetime.now(datetime.UTC)
    return f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


class Study:
    """A planned study bound to its journal.

    Args:
        spec: What to run.
        journal: Open journal; configurations it holds already are not run again.
        groups: What ``plan(spec)`` returned.
        session_id: Id of a study that begins; one that goes on keeps its journal's.
        log_dir: Folder for the engines' own output.
    """

    def __init__(
        self,
        spec: StudySpec,
        journal: Journal,
        *,
        groups: Sequence[Group],
        session_id: str,
        log_dir: Path,
    ) -> None:
        self.groups = groups
        self.journal = journal
        held = [r.session_id for r in journal.records if r.session_id is not None]
        self.session_id = held[-1] if held else session_id
        self._settings = BenchSettings(
            session_id=self.session_id,
            log_dir=log_dir,
            policy=spec.policy,
            purpose=spec.purpose,
            seed=spec.seed,
            start_timeout_s=spec.start_timeout_s,
            stall_timeout_s=spec.stall_timeout_s,
        )

    def run(self, listener: Listener) -> list[RunRecord]:
        """Run everything that remains and return the records made now."""
        done = {identity(record) for record in self.journal.records}
        remaining = [
            dataclasses.replace(group, trials=trials)
            for group in self.groups
            if (trials := tuple(t for t in group.trials if _identity(group, t) not in done))
        ]
        total = sum(len(group.trials) for group in self.groups)
        left = sum(len(group.trials) for group in remaining)
        listener.study_started(self.session_id, total, total - left)
        made = []
        with Bench(self._settings, listener) as bench:
            for group in remaining:
                for record in self._run_group(bench, group):
                    self.journal.append(record)
                    listener.trial_finished(record)
                    made.append(record)
        return made

    def _run_group(self, bench: Bench, group: Group) -> Iterator[RunRecord]:
        """Run one group's trials.

        Out of memory rules out the larger batches of the same workload; any other failure is
        tried once more.
        """
        start = group.start
        too_large = {
            _shape(record): record.batch_size
            for record in self.journal.records
            if record.status == "out_of_memory"
            and (record.engine, record.n_gpus) == (group.config.engine, group.config.n_gpus)
        }
        for trial in group.trials:
            shape = (trial.workload.mode, trial.workload.input_len, trial.workload.output_len)
            if trial.batch_size >= too_large.get(shape, math.inf):
                continue
            record = bench.run(start, trial.workload, trial.batch_size)
            if record.status not in ("completed", "out_of_memory"):
                record = bench.run(start, trial.workload, trial.batch_size)
            if record.status == "out_of_memory":
                too_large[shape] = trial.batch_size
            yield record


def _shape(record: RunRecord) -> tuple[object, ...]:
    return record.mode, record.input_len, record.output_len


def identity(configuration: Configuration) -> tuple[object, ...]:
    """Return what tells two configurations of one host apart, engine version included."""
    values = (getattr(configuration, f.name) for f in dataclasses.fields(Configuration))
    return tuple(tuple(sorted(v.items())) if isinstance(v, Mapping) else v for v in values)


def _identity(group: Group, trial: Trial) -> tuple[object, ...]:
    return identity(configuration_of(group.config, trial.workload, trial.batch_size))
