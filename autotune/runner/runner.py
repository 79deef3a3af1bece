"""TrialRunner: runs one configuration after another and turns each into a RunRecord.

The engine stays up between runs that one start can serve; it is started anew when a run needs
something else, or after a failure.
"""

import contextlib
import dataclasses
import datetime
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from autotune.catalog.gpus import GPU_SHEET, recorded_sheet
from autotune.catalog.naming import identify_model, name_model
from autotune.catalog.recorded_models import MODEL_CONFIG
from autotune.engines.knobs import require_engine
from autotune.errors import TrialError
from autotune.files import file_name
from autotune.runner.environment import scrub, snapshot
from autotune.runner.failures import cause_of, last_words
from autotune.runner.gpu_lock import hold_gpus
from autotune.runner.session import EngineSession
from autotune.schema.configuration import Configuration
from autotune.schema.engine_config import EngineConfig
from autotune.schema.record import RunRecord
from autotune.schema.validation import OWN_SOURCE
from autotune.schema.workload import MeasurePolicy, Slo, Workload

_NOTE_CHARS, _SAME_WORDS = 1500, 80
_TAIL_CHARS = 100_000


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One configuration to run.

    Attributes:
        config: The engine start that it needs.
        configuration: What its record will say of it.
        is_baseline: Whether a study measures it first, whatever the strategy: the engine's default,
            or the configuration kept from before. No part of what tells trials apart.
    """

    config: EngineConfig
    workload: Workload
    batch_size: int
    configuration: Configuration
    is_baseline: bool = dataclasses.field(default=False, compare=False)

    @classmethod
    def of(cls, config: EngineConfig, workload: Workload, batch_size: int) -> Self:
        """Return the trial of a batch size on an engine start.

        Raises:
            EngineUnavailableError: When the engine is not installed.
            UnknownModelError: When the model is none.
        """
        configuration = Configuration(
            engine=config.engine,
            engine_version=require_engine(config.engine),
            model=identify_model(config.model, config.like).name,
            gpu=config.gpu,
            n_gpus=config.n_gpus,
            batch_size=batch_size,
            input_len=workload.input_len,
            output_len=workload.output_len,
            dtype=config.dtype,
            quantization=config.quantization,
            mode=workload.mode,
            knobs={**config.knobs, **workload.to_knobs()},
        )
        return cls(
            config=config, workload=workload, batch_size=batch_size, configuration=configuration
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """An engine start: what it fixes, and the largest batch and sequence it is to serve."""

    config: EngineConfig
    max_batch_size: int
    max_model_len: int

    @classmethod
    def for_trials(cls, trials: Sequence[Trial]) -> Self:
        """Return the engine start that serves all of these; they share their engine config."""
        return cls(
            config=trials[0].config,
            max_batch_size=max(trial.batch_size for trial in trials),
            max_model_len=max(trial.workload.max_len for trial in trials),
        )

    def serves(self, other: "Start") -> bool:
        """Whether an engine started so can run what ``other`` would be started for."""
        return (
            self.config == other.config
            and self.max_batch_size >= other.max_batch_size
            and self.max_model_len >= other.max_model_len
        )


class RunnerListener(Protocol):
    """Whoever wants to follow the runs."""

    def engine_starting(self, config: EngineConfig) -> None:
        """An engine start begins (it can take minutes)."""

    def trial_started(self, configuration: Configuration) -> None:
        """A configuration begins."""

    def pass_finished(self, event: Mapping[str, Any]) -> None:
        """One warm-up or measured pass ended."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RunnerSettings:
    """What is the same for every run of a runner.

    Attributes:
        n_gpus: GPUs of this host that its runs take, which are held against others meanwhile.
    """

    session_id: str
    log_dir: Path
    n_gpus: int = 0
    policy: MeasurePolicy = dataclasses.field(default_factory=MeasurePolicy)
    slo: Slo = dataclasses.field(default_factory=Slo)
    purpose: str = "search"
    seed: int = 0
    start_timeout_s: float = 1800.0
    stall_timeout_s: float = 600.0


class TrialRunner:
    """Holds at most one engine at a time. Use as a context manager.

    Raises:
        GpuBusyError: On entering, when its GPUs are in use.
    """

    def __init__(self, settings: RunnerSettings, listener: RunnerListener) -> None:
        self.settings = settings
        self._listener = listener
        self._session: EngineSession | None = None
        self._start: Start | None = None
        self._held = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self._held.enter_context(hold_gpus(self.settings.n_gpus))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.close()
        finally:
            self._held.close()

    def close(self) -> None:
        """End the engine, if one is up."""
        session, self._session, self._start = self._session, None, None
        if session is not None:
            session.close()

    def run(self, trial: Trial, start: Start) -> RunRecord:
        """Run one configuration; a failure is a record too, and ends the engine."""
        begun = datetime.datetime.now(datetime.UTC)
        self._listener.trial_started(trial.configuration)
        log = ""
        try:
            session = self._ready_session(start)
            metrics = session.measure(
                batch_size=trial.batch_size,
                workload=trial.workload,
                policy=self.settings.policy,
                slo=self.settings.slo,
                seed=self.settings.seed,
                on_pass=self._listener.pass_finished,
            )
        except TrialError as error:
            outcome: dict[str, Any] = {"status": error.status, "notes": _note(error)}
            log = error.log
        else:
            outcome = {"status": "completed", **metrics}
        record = self._record(trial, begun, outcome)
        if record.status != "completed":
            self.close()
        if log:
            _keep_tail(tail_path(self.settings.log_dir, record), log)
        return record

    def _ready_session(self, start: Start) -> EngineSession:
        if self._session is not None and self._start is not None and self._start.serves(start):
            return self._session
        self.close()
        self._listener.engine_starting(start.config)
        session = file_name(self.settings.session_id)
        name = f"{session}-{start.config.engine}-{start.config.n_gpus}.log"
        opened = EngineSession(
            start.config,
            log_path=self.settings.log_dir / name,
            start_timeout_s=self.settings.start_timeout_s,
            stall_timeout_s=self.settings.stall_timeout_s,
        )
        self._session, self._start = opened.__enter__(), start
        opened.start(max_batch_size=start.max_batch_size, max_model_len=start.max_model_len)
        return opened

    def _record(
        self,
        trial: Trial,
        begun: datetime.datetime,
        outcome: Mapping[str, Any],
    ) -> RunRecord:
        config, configuration, outcome = trial.config, trial.configuration, dict(outcome)
        environment = snapshot() | {"measuring_tool": OWN_SOURCE, "seed": self.settings.seed}
        environment |= outcome.pop("circumstances", {})
        if config.trust_remote_code:
            environment["trust_remote_code"] = True
        if self.settings.slo.is_set:
            environment["slo"] = dataclasses.asdict(self.settings.slo)
        carried = dict(name_model(config.model, config.like).carried)
        if MODEL_CONFIG in carried:
            environment |= carried | {MODEL_CONFIG: _strict_json(carried[MODEL_CONFIG])}
        if (sheet := recorded_sheet(config.gpu)) is not None:
            environment[GPU_SHEET] = sheet
        engine_facts: dict[str, Any] = {}
        started = None if self._session is None else self._session.started
        if started is not None:
            environment |= {"weights": started.weights, "loaded_dtype": started.dtype}
            environment |= dict(started.settings)
            engine_facts["engine_start_s"] = started.engine_start_s
            engine_facts["kv_cache_tokens"] = started.kv_cache_tokens
        return RunRecord(
            **{f.name: getattr(configuration, f.name) for f in dataclasses.fields(configuration)},
            source=OWN_SOURCE,
            session_id=self.settings.session_id,
            purpose=self.settings.purpose,
            environment=environment,
            started_at=begun.isoformat(timespec="microseconds"),
            **engine_facts,
            **outcome,
        )


def failed_to_start(record: RunRecord) -> bool:
    """Whether no engine came up for a run of one's own."""
    return record.status != "completed" and record.engine_start_s is None


def tail_path(log_dir: Path, record: RunRecord) -> Path:
    """Return where the engine's last lines before a failure are kept."""
    moment = (record.started_at or "").replace(":", "")
    return log_dir / f"{file_name(f'{record.session_id}-{moment}')}.tail.log"


def _keep_tail(path: Path, log: str) -> None:
    """Write an engine's last lines down; a disk that has no room for them ends no study."""
    with contextlib.suppress(OSError):
        path.write_text(scrub(log[-_TAIL_CHARS:]), encoding="utf-8", errors="replace")


def _note(error: TrialError) -> str:
    """Return what happened, its cause where it is known, and the engine's own last words."""
    message = str(error).strip() or "the engine gave no reason"
    words = last_words(error.log)
    cause = cause_of(message) or cause_of(words)
    head = message if cause is None or cause in message else f"{cause}: {message}"
    quoted = (
        "" if not words or words[-_SAME_WORDS:] in head else f"\nthe engine's last words: {words}"
    )
    note = scrub(head)[:_NOTE_CHARS] + scrub(quoted)[:_NOTE_CHARS]
    return note.encode(errors="replace").decode()


def _strict_json(value: Any) -> Any:
    """Return JSON data with the numbers that strict JSON lacks (infinities) as texts."""
    return json.loads(json.dumps(value), parse_constant=str)
