"""A host with the target GPU as the device that confirms: each run is journalled at once."""

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from autotune.catalog.gpus import detect_gpus, find_gpu
from autotune.catalog.models import find_model
from autotune.engines.knobs import installed_engines
from autotune.errors import InvalidConfigError, UnknownGpuError, UnknownModelError
from autotune.runner.runner import (
    RunnerListener,
    RunnerSettings,
    Start,
    Trial,
    TrialRunner,
    failed_to_start,
)
from autotune.schema.configuration import Configuration
from autotune.schema.engine_config import EngineConfig
from autotune.schema.record import RunRecord
from autotune.schema.workload import Workload
from autotune.study.loop import Runner
from autotune.study.planning import resolve_host
from recommender.recommendation.candidates import cell
from recommender.recommendation.recommendation import Recommendation

_BATCH_HEADROOM = 2


def largest_batch(recommendation: Recommendation) -> int:
    """Return the batch size that a confirmation starts its engines for, so that one start serves.

    A run may show that more than any candidate listed is worth trying: up to twice as much, as far
    as that is expected to fit.
    """
    likely = [*recommendation.candidates, recommendation.best]
    if recommendation.keep_source is not None:
        likely.append(recommendation.keep_source)
    listed = max(candidate.batch_size for candidate in likely)
    fitting = (c.batch_size for c in recommendation.landscape if c.fits)
    return max([listed, *(size for size in fitting if size <= _BATCH_HEADROOM * listed)])


class LocalDevice:
    """Runs configurations through a runner.

    Args:
        recommendation: What is being confirmed; it bounds the batch sizes.
        runner: What runs them: here, or on a host of a fleet.
        n_gpus: How many of the target GPU are there.
        engines: What is installed there.
        model: What the engine loads: a catalogue name or a directory.
    """

    def __init__(
        self,
        recommendation: Recommendation,
        runner: Runner,
        *,
        n_gpus: int,
        engines: Collection[str],
        model: str,
        knobs: Mapping[str, Mapping[str, Any]],
    ) -> None:
        query = recommendation.query
        self._query = query
        self._runner = runner
        self._n_gpus = n_gpus
        self._engines = engines
        self._model = model
        self._knobs = knobs
        self._largest = self._capacity = largest_batch(recommendation)

    def can_run(self, configuration: Configuration) -> bool:
        """Whether this host has the GPUs and the engine."""
        return (
            configuration.n_gpus <= self._n_gpus
            and configuration.batch_size <= self._largest
            and configuration.engine in self._engines
        )

    def run(self, configuration: Configuration) -> RunRecord:
        """Run it here; where no engine can be started for the largest batch, for this one."""
        record = self._run(configuration)
        too_much = record.status == "out_of_memory" and failed_to_start(record)
        if not too_much or configuration.batch_size >= self._capacity:
            return record
        self._capacity = configuration.batch_size
        return self._run(configuration)

    def _run(self, configuration: Configuration) -> RunRecord:
        if configuration.input_len is None or configuration.output_len is None:
            raise InvalidConfigError("a configuration without lengths cannot be run")
        workload = Workload(
            mode=configuration.mode,
            input_len=configuration.input_len,
            output_len=configuration.output_len,
        )
        config = EngineConfig(
            engine=configuration.engine,
            model=self._model,
            like=self._query.like,
            gpu=configuration.gpu,
            n_gpus=configuration.n_gpus,
            dtype=self._query.dtype,
            quantization=self._query.quantization,
            knobs=self._knobs.get(configuration.engine, {}),
            serving=configuration.mode == "serving",
        )
        start = Start(
            config=config,
            max_batch_size=max(self._capacity, configuration.batch_size),
            max_model_len=workload.max_len,
        )
        return self._runner.run(Trial.of(config, workload, configuration.batch_size), start)


class Device(Protocol):
    """Whatever runs a configuration: this host, or recorded runs."""

    def can_run(self, configuration: Configuration) -> bool:
        """Whether a run of it is to be had."""

    def run(self, configuration: Configuration) -> RunRecord:
        """Run it; a failure is a record too."""


class Replay:
    """Recorded runs as the measuring device."""

    def __init__(self, records: Sequence[RunRecord]) -> None:
        self._runs: dict[tuple[object, ...], RunRecord] = {}
        for record in records:
            if not record.suspect:
                self._runs.setdefault(cell(canonical(record)), record)

    def can_run(self, configuration: Configuration) -> bool:
        """Whether it was recorded."""
        return cell(configuration) in self._runs

    def run(self, configuration: Configuration) -> RunRecord:
        """Return the recorded run as a confirmatory one."""
        found = canonical(self._runs[cell(configuration)])
        return dataclasses.replace(found, purpose="confirm", run_key=None)


def canonical(record: RunRecord) -> RunRecord:
    """Return the record under catalogue names; as it is when the catalogue does not know them."""
    try:
        model, gpu = find_model(record.model).name, find_gpu(record.gpu).name
    except (UnknownModelError, UnknownGpuError):
        return record
    return dataclasses.replace(record, model=model, gpu=gpu, run_key=None)


class Place(NamedTuple):
    """What is there: a runner, so many of the target GPU, these engines, and the model."""

    runner: Runner
    n_gpus: int
    engines: Collection[str]
    model: str


def _model(recommendation: Recommendation) -> str:
    """Return the name by which an engine loads the model, or the whole path of its directory."""
    query = recommendation.query
    return query.deployed if query.model_path is None else str(Path(query.model_path).resolve())


@contextmanager
def here(
    recommendation: Recommendation, settings: RunnerSettings, listener: RunnerListener
) -> Iterator[Place]:
    """Measure on this host.

    Raises:
        InvalidConfigError: When it is not the recommendation's target.
    """
    resolve_host(recommendation.target_gpu, 1)
    with TrialRunner(settings, listener) as runner:
        yield Place(runner, len(detect_gpus()) or 1, installed_engines(), _model(recommendation))


@contextmanager
def in_fleet(
    address: str, recommendation: Recommendation, settings: RunnerSettings
) -> Iterator[Place]:
    """Measure on a host of a Ray cluster.

    Raises:
        FleetError: When no host has the recommendation's target.
    """
    from autotune.study.fleet.ray import fleet_at

    query, gpu = recommendation.query, recommendation.target_gpu
    with fleet_at(address) as fleet:
        n_gpus = min(fleet.kind(gpu).n_gpus, query.max_gpus)
        engines = fleet.engines(gpu)
        fleet.measure_with(settings)
        model = _model(recommendation)
        seat = fleet.open(
            EngineConfig(
                engine=query.engines[0], model=model, like=query.like, gpu=gpu, n_gpus=n_gpus
            )
        )
        yield Place(seat, n_gpus, engines, model)
