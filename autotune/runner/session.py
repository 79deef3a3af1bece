"""EngineSession: one engine start in a worker process, many measurements, nothing left behind."""

import dataclasses
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from autotune.errors import InvalidConfigError, TrialError
from autotune.runner.failures import classify_exit, classify_failure, last_words, oom_kills
from autotune.runner.worker_process import (
    GarbledEventError,
    WorkerGoneError,
    WorkerProcess,
    parse_event,
)
from autotune.schema.engine_config import EngineConfig
from autotune.schema.workload import MeasurePolicy, Slo, Workload

# Each request that was in flight when an engine died may have logged a traceback of its own.
_LOG_BYTES, _LAST_CHARS = 8_000_000, 8_000
OnPass = Callable[[Mapping[str, Any]], None]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StartedEngine:
    """A started engine: its own account (see ``EngineInfo``) and the seconds it took."""

    engine_version: str
    dtype: str
    weights: str
    vocab_size: int
    kv_cache_tokens: int | None
    settings: Mapping[str, Any]
    engine_start_s: float


class EngineSession:
    """Supervises one worker. Use as a context manager: leaving it ends the worker and its children.

    Args:
        config: What the start fixes.
        log_path: Where the engine's own output goes; kept.
        start_timeout_s: Longest a start may take.
        stall_timeout_s: Longest wait for the next finished pass.
    """

    def __init__(
        self,
        config: EngineConfig,
        *,
        log_path: Path,
        start_timeout_s: float = 1800.0,
        stall_timeout_s: float = 600.0,
    ) -> None:
        self.config = config
        self.log_path = log_path
        self._start_timeout_s = start_timeout_s
        self._stall_timeout_s = stall_timeout_s
        self._worker: WorkerProcess | None = None
        self._max_batch_size = self._max_model_len = self._log_begin = 0
        self._oom_kills: int | None = None
        self.started: StartedEngine | None = None

    def __enter__(self) -> Self:
        self._log_begin = self.log_path.stat().st_size if self.log_path.exists() else 0
        self._oom_kills = oom_kills()
        self._worker = WorkerProcess(self.config, self.log_path)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """Process id (and process group) of the worker."""
        return self._open_worker().pid

    def start(self, *, max_batch_size: int, max_model_len: int) -> StartedEngine:
        """Load the engine for batches up to ``max_batch_size``.

        Raises:
            TrialError: With status ``load_failed``, ``out_of_memory`` or ``timed_out``.
        """
        self._send(
            op="start",
            config=_fields(self.config) | {"knobs": dict(self.config.knobs)},
            max_batch_size=max_batch_size,
            max_model_len=max_model_len,
        )
        event = self._next_event(self._start_timeout_s)
        self._max_batch_size, self._max_model_len = max_batch_size, max_model_len
        self.started = StartedEngine(**event["info"], engine_start_s=event["engine_start_s"])
        return self.started

    def measure(
        self,
        *,
        batch_size: int,
        workload: Workload,
        policy: MeasurePolicy,
        slo: Slo | None = None,
        seed: int = 0,
        on_pass: OnPass | None = None,
    ) -> dict[str, Any]:
        """Measure one batch size; return the metric fields of a RunRecord.

        Under ``circumstances`` comes what belongs in the record's environment.

        Raises:
            InvalidConfigError: For more than the engine was started for: it would run, but not as
                asked.
            TrialError: With the status the record is to carry.
        """
        self._check_limits(batch_size, workload)
        self._send(
            op="measure",
            batch_size=batch_size,
            workload=_fields(workload),
            policy=_fields(policy),
            slo=_fields(slo or Slo()),
            seed=seed,
        )
        while True:
            event = self._next_event(self._stall_timeout_s)
            if event["event"] == "measured":
                metrics: dict[str, Any] = event["metrics"]
                return metrics
            if on_pass is not None:
                on_pass(event)

    def close(self) -> None:
        """End the worker and whatever it started; safe to call twice."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.close()

    def log(self) -> str:
        """Return the engine's output since this session began, the last megabytes of much."""
        if not self.log_path.exists():
            return ""
        with self.log_path.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(self._log_begin, end - _LOG_BYTES))
            return file.read().decode(errors="replace")

    def _check_limits(self, batch_size: int, workload: Workload) -> None:
        length = workload.max_len
        if batch_size > self._max_batch_size or length > self._max_model_len:
            raise InvalidConfigError(
                f"batch {batch_size} of {length} tokens is beyond what the engine was started for: "
                f"batch {self._max_batch_size} of {self._max_model_len} tokens"
            )

    def _open_worker(self) -> WorkerProcess:
        if self._worker is None:
            raise TrialError("crashed", "the engine session is not open")
        return self._worker

    def _send(self, **request: Any) -> None:
        try:
            self._open_worker().send(json.dumps(request).encode())
        except WorkerGoneError:
            raise self._worker_gone() from None

    def _next_event(self, timeout_s: float) -> dict[str, Any]:
        try:
            line = self._open_worker().read_line(timeout_s)
        except WorkerGoneError:
            raise self._worker_gone() from None
        except TimeoutError:
            # A late answer must not be taken for the next request's.
            self.close()
            message = f"no progress for {timeout_s:g} s; see {self.log_path}"
            raise TrialError("timed_out", message, log=self.log()) from None
        try:
            event = parse_event(line)
        except GarbledEventError as error:
            # What follows on this pipe means as little.
            self.close()
            status = "load_failed" if self.started is None else "crashed"
            raise TrialError(status, f"{error}; see {self.log_path}", log=self.log()) from None
        if event["event"] == "failed":
            log = self.log()
            status = classify_failure(event["status"], event["message"], _evidence(log))
            raise TrialError(status, event["message"], log=log)
        return event

    def _worker_gone(self) -> TrialError:
        returncode = self._open_worker().wait()
        log = self.log()
        is_started = self.started is not None
        kills = oom_kills()
        status, sentence = classify_exit(
            returncode,
            _evidence(log),
            started=is_started,
            oom_killed=kills is None or kills != self._oom_kills,
        )
        return TrialError(status, f"{sentence}; see {self.log_path}", log=log)


def _evidence(log: str) -> str:
    """Return what an engine's log says of its end: errors anywhere, remarks only in its last lines.

    Engines speak of running out of memory in their advice too.
    """
    return f"{last_words(log)}\n{log[-_LAST_CHARS:]}"


def _fields(value: EngineConfig | Workload | MeasurePolicy | Slo) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
