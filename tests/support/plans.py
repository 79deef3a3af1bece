"""Plans without a model, and a made-up landscape as the device that runs them."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autotune.runner.runner import Start, Trial
from autotune.schema.configuration import CONFIGURATION_FIELDS, Configuration
from autotune.schema.engine_config import EngineConfig
from autotune.schema.record import RunRecord
from autotune.schema.study_spec import StudySpec
from autotune.schema.workload import Workload
from autotune.store.journal import Journal, open_journal
from autotune.study.loop import Study
from autotune.study.strategies import Strategy, create_strategy

MODEL, GPU = "meta-llama/Llama-3.1-8B", "H100-80GB"
WORKLOAD = Workload(input_len=512, output_len=128)
# Configuration -> tok/s; None where memory runs out; a status where it fails otherwise.
Landscape = Callable[[Configuration], float | str | None]


def configuration(config: EngineConfig, workload: Workload, batch_size: int) -> Configuration:
    return Configuration(
        engine=config.engine,
        model=config.model,
        gpu=config.gpu,
        n_gpus=config.n_gpus,
        batch_size=batch_size,
        input_len=workload.input_len,
        output_len=workload.output_len,
        dtype=config.dtype,
        mode=workload.mode,
        knobs={**config.knobs, **workload.to_knobs()},
    )


def engine(n_gpus: int = 1, **changes: Any) -> EngineConfig:
    values = {"engine": "vllm", "model": MODEL, "gpu": GPU, "n_gpus": n_gpus, **changes}
    return EngineConfig(**values)


def planned(
    sizes: Sequence[int] = tuple(2**k for k in range(10)),
    *,
    starts: Sequence[EngineConfig] = (engine(),),
    workloads: Sequence[Workload] = (WORKLOAD,),
    baselines: Sequence[int] = (),
) -> list[Trial]:
    """Return the configurations of a grid; the baselines are of the first start."""
    return [
        Trial(
            config=config,
            workload=workload,
            batch_size=size,
            configuration=configuration(config, workload, size),
            is_baseline=size in baselines and config == starts[0],
        )
        for config in starts
        for workload in workloads
        for size in sorted({*sizes, *(baselines if config == starts[0] else ())})
    ]


def result(of: Configuration, value: float | str | None, **changes: Any) -> RunRecord:
    """Return the record of a run with this outcome."""
    fields = {name: getattr(of, name) for name in CONFIGURATION_FIELDS}
    outcome: dict[str, Any] = {"status": "completed", "output_throughput": value}
    if not isinstance(value, float):
        outcome = {"status": value or "out_of_memory"}
    return RunRecord(**fields, **({"source": "test", "engine_start_s": 1.0} | outcome | changes))


@dataclass
class Recorded:
    """A landscape as the measuring device.

    Attributes:
        landscape: What each configuration brings.
        room: The largest start (batch x longest request) that comes up, by engine start.
        latency_ms: Configuration -> mean TTFT and TPOT.
        ran: Everything run, in order.
        starts: Engine starts that came up or failed, as (start, came up).
    """

    landscape: Landscape
    room: Mapping[int, int] = field(default_factory=dict)
    latency_ms: Callable[[Configuration], float] | None = None
    ran: list[RunRecord] = field(default_factory=list)
    starts: list[tuple[Start, bool]] = field(default_factory=list)
    _up: Start | None = None

    def run(self, trial: Trial, start: Start) -> RunRecord:
        assert trial.batch_size <= start.max_batch_size
        assert trial.workload.max_len <= start.max_model_len
        of = trial.configuration
        record = self._start(start, of) or self._measure(of)
        if record.status != "completed":
            self._up = None
        self.ran.append(record)
        return record

    def _start(self, start: Start, of: Configuration) -> RunRecord | None:
        if self._up is not None and self._up.serves(start):
            return None
        size = start.max_batch_size * start.max_model_len
        fits = size <= self.room.get(start.config.n_gpus, 10**12)
        self.starts.append((start, fits))
        self._up = start if fits else None
        return None if fits else result(of, None, engine_start_s=None)

    def _measure(self, of: Configuration) -> RunRecord:
        value = self.landscape(of)
        if value == "load_failed":
            return result(of, value, engine_start_s=None)
        latency = None if self.latency_ms is None else self.latency_ms(of)
        return result(of, value, mean_ttft_ms=latency, mean_tpot_ms=latency)

    @property
    def sizes(self) -> list[int]:
        """The batch sizes in the order they ran."""
        return [record.batch_size for record in self.ran]


class Quiet:
    """A listener that keeps what it is told."""

    def __init__(self, *, stop_after: int | None = None) -> None:
        self.n_trials = self.n_done = 0
        self.left: list[int] = []
        self.remarks: list[str] = []
        self.finished: list[RunRecord] = []
        self._stop_after = stop_after

    def study_started(self, session_id: str, n_trials: int, n_done: int) -> None:
        self.n_trials, self.n_done = n_trials, n_done

    def engine_starting(self, config: EngineConfig) -> None:
        pass

    def trial_started(self, configuration: Configuration) -> None:
        pass

    def pass_finished(self, event: Mapping[str, Any]) -> None:
        pass

    def trial_finished(self, record: RunRecord) -> None:
        self.finished.append(record)
        if len(self.finished) == self._stop_after:
            raise KeyboardInterrupt

    def trials_left(self, n_trials: int) -> None:
        self.left.append(n_trials)

    def remark(self, text: str) -> None:
        self.remarks.append(text)


def study_of(
    journal: Journal,
    plan: Sequence[Trial],
    *,
    make: Callable[[StudySpec, Sequence[Trial]], Strategy] = create_strategy,
    **changes: Any,
) -> Study:
    spec = StudySpec(model=MODEL, **changes)
    return Study(spec, journal, planned=plan, strategy=make(spec, plan), session_id="s")


def drive(
    plan: Sequence[Trial],
    device: Recorded,
    path: Path,
    listener: Quiet | None = None,
    **changes: Any,
) -> list[RunRecord]:
    """Run a study on a device to its end (or the listener's interrupt); return its journal."""
    with open_journal(path, resume=True) as journal:
        with contextlib.suppress(KeyboardInterrupt):
            study_of(journal, plan, **changes).run(device, listener or Quiet())
        return list(journal.records)
