"""The same study over a Ray cluster, the engine that people who serve with vLLM run already.

A host says what it has by a custom resource for the catalogue's name and the number of its GPUs
(``ray start --resources '{"gpu:H100-80GB": 8}'``); where it does not, Ray's own
``accelerator_type`` is taken for it. An engine start is an actor that asks for all of its GPUs at
once, so that they are of one host. Ray passes Python objects between hosts of the cluster, which
trust each other; records cross as their JSON lines, and are read as carefully as any.
"""

import contextlib
import dataclasses
import logging
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from autotune.catalog.gpus import GpuSpec, detect_cpu, detect_gpus, find_gpu, own_gpus
from autotune.catalog.models import is_model_directory
from autotune.engines.knobs import installed_engines
from autotune.errors import FleetError, UnknownGpuError, UsageError
from autotune.runner.runner import RunnerSettings, Start, Trial, tail_path
from autotune.schema.codec import from_json_line
from autotune.schema.configuration import Identity
from autotune.schema.engine_config import EngineConfig
from autotune.schema.record import RunRecord
from autotune.schema.study_spec import StudySpec
from autotune.study.fleet.host import Host, Refusal, Reply, seeing_all
from autotune.study.fleet.study import Outcome, Seat
from autotune.study.planning import plan

LOCAL = "local"
_RESOURCE, _ACCELERATOR = "gpu:", "accelerator_type:"
_A_TRACE = 0.001
_WAIT_S = 2.0
_KNOCK_S = 10.0


class Kind(NamedTuple):
    """GPUs of one kind on one host.

    Attributes:
        gpu: Catalogue name.
        resource: What Ray calls it.
        is_counted: Whether the resource counts GPUs (a custom one), or only says of what kind.
        has_gpus: Whether Ray counts GPUs there; it does not where an engine runs on the processor.
    """

    gpu: str
    resource: str
    n_gpus: int
    is_counted: bool
    has_gpus: bool

    def options(self, n_gpus: int) -> dict[str, Any]:
        """Return what an actor asks for that holds so many of them."""
        return {
            "num_cpus": 0,
            "num_gpus": n_gpus if self.has_gpus else 0,
            "resources": {self.resource: n_gpus if self.is_counted else _A_TRACE},
        }


@contextlib.contextmanager
def fleet_at(address: str) -> Iterator["RayFleet"]:
    """Connect to a cluster meanwhile.

    Args:
        address: ``local`` starts a cluster of this host alone; otherwise where one runs, or
            ``auto``.

    Raises:
        FleetError: When Ray is not installed, or there is no cluster.
    """
    ray = _import_ray()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == LOCAL:
        gpus = detect_gpus() or (detect_cpu(),)
        # Ray counts resources by name; GPUs of several kinds in one host are counted apart.
        names = [f"{_RESOURCE}{gpu.name}" for gpu in gpus]
        options |= {"resources": {name: names.count(name) for name in names}}
        options |= {"include_dashboard": False}
    try:
        _knock(address)
        ray.init(address=address, **options)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        first = str(error).strip().splitlines()[0]
        raise FleetError(f"no Ray cluster at {address!r}: {first}") from error
    try:
        yield RayFleet(ray)
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """See whether anybody listens: Ray itself would try for minutes.

    Raises:
        OSError: When nobody does.
    """
    host, _, port = address.rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=_KNOCK_S).close()


def _import_ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise FleetError("--fleet needs Ray, not installed here: install the extra `fleet`") from (
            error
        )
    return ray


class RayFleet:
    """A connected cluster; see ``fleet_at``."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        self._settings: RunnerSettings | None = None

    def kinds(self) -> list[Kind]:
        """Return what the living hosts have, an entry a host and kind."""
        return [kind for node in self._ray.nodes() if node["Alive"] for kind in _kinds(node)]

    def kind(self, gpu: str, n_gpus: int = 1) -> Kind:
        """Return how to ask for so many GPUs of a kind on one host.

        Raises:
            FleetError: When no host has them, naming what there is.
        """
        kinds = self.kinds()
        fitting = [kind for kind in kinds if kind.gpu == gpu and kind.n_gpus >= n_gpus]
        if not fitting:
            there = ", ".join(sorted({f"{kind.n_gpus} x {kind.gpu}" for kind in kinds})) or "none"
            raise FleetError(
                f"no host of the fleet has {n_gpus} x {gpu} (its hosts: {there}); start Ray there "
                f"with --resources '{{\"{_RESOURCE}{gpu}\": {n_gpus}}}'"
            )
        return max(fitting, key=lambda kind: kind.n_gpus)

    def room(self, gpu: str) -> int:
        """Return how many GPUs of a kind the living hosts have in all."""
        return sum(kind.n_gpus for kind in self.kinds() if kind.gpu == gpu)

    def plan(self, spec: StudySpec) -> list[Trial]:
        """Plan a study where it will run: on a host of each kind, or of the kind that it names.

        Raises:
            UsageError: As ``planning.plan``.
            FleetError: When no host has what the study needs.
        """
        if spec.gpu is not None:
            gpus = [find_gpu(spec.gpu).name]
        else:
            gpus = sorted({kind.gpu for kind in self.kinds()})
            if not gpus:
                raise FleetError("the fleet's hosts do not say which GPUs they have")
        planned: list[Trial] = []
        for gpu in gpus:
            kind = self.kind(gpu, max(spec.n_gpus))
            planned += self._on(kind, plan, dataclasses.replace(_anywhere(spec), gpu=gpu))
        return planned

    def engines(self, gpu: str) -> tuple[str, ...]:
        """Return the engines that a host with this kind of GPU has installed."""
        found: tuple[str, ...] = self._on(self.kind(gpu), installed_engines)
        return found

    def measure_with(self, settings: RunnerSettings) -> None:
        """Set how the runs of seats that are opened from now on are done."""
        self._settings = settings

    def open(self, config: EngineConfig) -> "RaySeat":
        """Ask for a seat for one engine start; it is placed when its GPUs are free."""
        assert self._settings is not None
        kind = self.kind(config.gpu, config.n_gpus)
        actor = self._ray.remote(Host).options(max_restarts=0, **kind.options(config.n_gpus))
        settings = dataclasses.replace(self._settings, n_gpus=config.n_gpus)
        return RaySeat(self._ray, actor.remote(settings, _own()), config, self._settings.log_dir)

    def wait(self, seats: Mapping[Identity, Seat]) -> dict[Identity, Outcome]:
        """Wait a moment for runs to end."""
        running = {s.running: start for start, s in seats.items() if isinstance(s, RaySeat)}
        ended, _ = self._ray.wait(list(running), num_returns=1, timeout=_WAIT_S)
        outcomes = {}
        for start, seat in seats.items():
            assert isinstance(seat, RaySeat)
            if seat.running in ended:
                outcomes[start] = seat.outcome()
            elif not seat.is_placed() and self.room(seat.config.gpu) < seat.config.n_gpus:
                outcomes[start] = Outcome(record=None, reason="its hosts have left the fleet")
        return outcomes

    def _on(self, kind: Kind, function: Any, *arguments: Any) -> Any:
        """Call a function on a host of a kind, beside whatever runs there."""
        beside = {"num_cpus": 0, "resources": {kind.resource: _A_TRACE}}
        task = self._ray.remote(seeing_all).options(max_retries=1, **beside)
        try:
            answer = self._ray.get(task.remote(_own(), function, *arguments))
        except self._ray.exceptions.RayError as error:
            raise FleetError(f"a host of the fleet failed: {_first_line(error)}") from error
        if isinstance(answer, Refusal):
            raise UsageError(answer.text) if answer.is_usage else FleetError(answer.text)
        return answer


class RaySeat:
    """An actor that holds one engine start's GPUs."""

    def __init__(self, ray: Any, actor: Any, config: EngineConfig, log_dir: Path) -> None:
        self.config = config
        self.running: Any = None
        self._ray = ray
        self._actor = actor
        self._log_dir = log_dir
        self._placed = actor.is_up.remote()

    def is_placed(self) -> bool:
        """Whether it has its GPUs."""
        return bool(self._ray.wait([self._placed], timeout=0)[0])

    def begin(self, item: Trial, part: Sequence[Trial]) -> None:
        """Begin a run."""
        self.running = self._actor.run.remote(item, list(part))

    def outcome(self) -> Outcome:
        """Return what came of the run that has ended."""
        try:
            reply = self._ray.get(self.running)
        except self._ray.exceptions.RayError as error:
            return Outcome(record=None, reason=f"its host was lost ({_first_line(error)})")
        if isinstance(reply, Refusal):
            return Outcome(record=None, reason=reply.text)
        return Outcome(record=self._record(reply), seconds=reply.seconds)

    def run(self, trial: Trial, start: Start) -> RunRecord:
        """Run one configuration to its end, as a runner does.

        Raises:
            FleetError: When its host refuses, or is lost meanwhile.
        """
        try:
            reply = self._ray.get(self._actor.run_one.remote(trial, start))
        except self._ray.exceptions.RayError as error:
            raise FleetError(f"the host that confirms was lost: {_first_line(error)}") from error
        if isinstance(reply, Refusal):
            raise FleetError(reply.text)
        return self._record(reply)

    def close(self) -> None:
        """Give the GPUs back; the engine ends with its actor."""
        self._ray.kill(self._actor)

    def _record(self, reply: Reply) -> RunRecord:
        record = from_json_line(reply.line)
        if reply.tail:
            with contextlib.suppress(OSError):
                self._log_dir.mkdir(parents=True, exist_ok=True)
                tail_path(self._log_dir, record).write_text(reply.tail, encoding="utf-8")
        return record


def _own() -> tuple[GpuSpec, ...]:
    """Return the GPUs that the hosts may not know: those beside the catalogue."""
    return tuple(known.spec for known in own_gpus())


def _kinds(node: Mapping[str, Any]) -> Iterator[Kind]:
    resources: Mapping[str, float] = node["Resources"]
    n_gpus = int(resources.get("GPU", 0))
    counted = [name for name in resources if name.startswith(_RESOURCE)]
    for name in counted or [name for name in resources if name.startswith(_ACCELERATOR)]:
        with contextlib.suppress(UnknownGpuError):
            yield Kind(
                gpu=find_gpu(name.partition(":")[2]).name,
                resource=name,
                n_gpus=int(resources[name]) if counted else n_gpus,
                is_counted=bool(counted),
                has_gpus=n_gpus > 0,
            )


def _anywhere(spec: StudySpec) -> StudySpec:
    """Return the study with whole paths: its hosts have the same files, in another directory."""
    model = str(Path(spec.model).resolve()) if is_model_directory(spec.model) else spec.model
    workloads = tuple(
        load
        if load.dataset_path is None
        else dataclasses.replace(load, dataset_path=str(Path(load.dataset_path).resolve()))
        for load in spec.workloads
    )
    return dataclasses.replace(spec, model=model, workloads=workloads)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200]
