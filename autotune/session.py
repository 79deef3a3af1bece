"""EngineSession: one engine start in a worker process, many measurements, nothing left behind."""

import dataclasses
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from autotune.errors import TrialError
from autotune.failures import classify_exit
from autotune.spec import EngineConfig, MeasurePolicy, Workload

_GRACE_S = 5.0
_TAIL_BYTES = 8000
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
        self._process: subprocess.Popen[bytes] | None = None
        self._events_fd = -1
        self._buffer = b""
        self.started: StartedEngine | None = None

    def __enter__(self) -> Self:
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        read_fd, write_fd = os.pipe()
        try:
            with self.log_path.open("ab") as log:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "autotune.worker"],
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    pass_fds=[write_fd],
                    env=worker_environment(self.config, write_fd),
                    start_new_session=True,
                )
        finally:
            os.close(write_fd)
        self._events_fd = read_fd
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
        assert self._process is not None
        return self._process.pid

    def start(self, *, max_batch_size: int, max_model_len: int) -> StartedEngine:
        """Load the engine for batches up to ``max_batch_size``.

        Raises:
            TrialError: With status ``load_failed``, ``out_of_memory`` or ``timed_out``.
        """
        self._send(
            op="start",
            config=dataclasses.asdict(self.config),
            max_batch_size=max_batch_size,
            max_model_len=max_model_len,
        )
        event = self._next_event(self._start_timeout_s)
        self.started = StartedEngine(**event["info"], engine_start_s=event["engine_start_s"])
        return self.started

    def measure(
        self,
        *,
        batch_size: int,
        workload: Workload,
        policy: MeasurePolicy,
        seed: int = 0,
        on_pass: OnPass | None = None,
    ) -> dict[str, Any]:
        """Measure one batch size; return the metric fields of a RunRecord.

        Raises:
            TrialError: With the status the record is to carry.
        """
        self._send(
            op="measure",
            batch_size=batch_size,
            workload=dataclasses.asdict(workload),
            policy=dataclasses.asdict(policy),
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
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        end_process_group(process)
        os.close(self._events_fd)

    def log_tail(self) -> str:
        """Return the end of the engine's output."""
        data = self.log_path.read_bytes() if self.log_path.exists() else b""
        return data[-_TAIL_BYTES:].decode(errors="replace")

    def _send(self, **request: Any) -> None:
        assert self._process is not None and self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._worker_gone() from None

    def _next_event(self, timeout_s: float) -> dict[str, Any]:
        line = self._read_line(timeout_s)
        event: dict[str, Any] = json.loads(line)
        if event["event"] == "failed":
            raise TrialError(event["status"], event["message"], log_tail=self.log_tail())
        return event

    def _read_line(self, timeout_s: float) -> bytes:
        deadline = time.monotonic() + timeout_s
        with selectors.DefaultSelector() as selector:
            selector.register(self._events_fd, selectors.EVENT_READ)
            while b"\n" not in self._buffer:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise TrialError(
                        "timed_out",
                        f"no progress for {timeout_s:g} s; see {self.log_path}",
                        log_tail=self.log_tail(),
                    )
                chunk = os.read(self._events_fd, 65536)
                if not chunk:
                    raise self._worker_gone()
                self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    def _worker_gone(self) -> TrialError:
        assert self._process is not None
        try:
            returncode = self._process.wait(timeout=_GRACE_S)
        except subprocess.TimeoutExpired:
            returncode = None
        tail = self.log_tail()
        status, sentence = classify_exit(returncode, tail, started=self.started is not None)
        return TrialError(status, f"{sentence}; see {self.log_path}", log_tail=tail)


def worker_environment(config: EngineConfig, events_fd: int) -> dict[str, str]:
    """Return the worker's environment: the caller's, plus what its engine needs.

    Passive OpenMP waiting keeps a CPU engine's idle threads from starving the working ones.
    Nothing is fetched from the network while measuring.
    """
    environment = dict(os.environ, AUTOTUNE_EVENTS_FD=str(events_fd), PYTHONUNBUFFERED="1")
    environment.setdefault("HF_HUB_OFFLINE", "1")
    environment.setdefault("TOKENIZERS_PARALLELISM", "false")
    if config.gpu.startswith("CPU:"):
        environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    return environment


def end_process_group(process: subprocess.Popen[bytes], grace_s: float = _GRACE_S) -> None:
    """End a process and its group: ask, wait, then kill; returns when the process is gone."""
    for number, patience in ((signal.SIGTERM, grace_s), (signal.SIGKILL, None)):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(timeout=patience)
        except subprocess.TimeoutExpired:
            continue
    process.wait()
