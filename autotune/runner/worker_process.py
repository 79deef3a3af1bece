"""The worker as a process of the system: requests go in, lines come out, nothing stays behind."""

import contextlib
import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from autotune.errors import EngineUnavailableError, InvalidRecordError
from autotune.processes import end_group
from autotune.runner.environment import without_secrets
from autotune.schema.engine_config import EngineConfig
from autotune.schema.record import check_measures
from autotune.schema.validation import METRIC_FIELDS, STATUSES

_GRACE_S = 5.0
_LIVENESS_S = 0.5
_LONGEST_LINE = 4 * 2**20


class WorkerGoneError(Exception):
    """The worker ended, or closed its end of a pipe."""


class WorkerProcess:
    """A running worker in a session (and process group) of its own, out of reach of Ctrl-C.

    Args:
        log_path: Where its standard output and error go; appended to.

    Raises:
        EngineUnavailableError: When the system refuses the process or its log.
    """

    def __init__(self, config: EngineConfig, log_path: Path) -> None:
        self._buffer = b""
        self._events_fd, write_fd = os.pipe()
        try:
            log_path.parent.mkdir(parents=True, exist_ok=True)
            with log_path.open("ab") as log:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "autotune.runner.worker"],
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    pass_fds=[write_fd],
                    env=worker_environment(config, write_fd),
                    start_new_session=True,
                )
        except OSError as error:
            os.close(self._events_fd)
            raise EngineUnavailableError(
                f"cannot start a worker for {config.engine}: {error}"
            ) from error
        finally:
            os.close(write_fd)

    @property
    def pid(self) -> int:
        """Process id, and id of the group."""
        return self._process.pid

    def send(self, line: bytes) -> None:
        """Hand one line over.

        Raises:
            WorkerGoneError: When nobody reads any more.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line + b"\n")
            self._process.stdin.flush()
        except OSError:
            raise WorkerGoneError from None

    def read_line(self, timeout_s: float) -> bytes:
        """Return the next line of the event pipe; of one without end, its first megabytes.

        The worker's own end is watched too: a process that outlives it may hold the pipe open.

        Raises:
            TimeoutError: When ``timeout_s`` passes without a whole line.
            WorkerGoneError: When no line will come any more.
        """
        deadline = time.monotonic() + timeout_s
        with selectors.DefaultSelector() as selector:
            selector.register(self._events_fd, selectors.EVENT_READ)
            while b"\n" not in self._buffer and len(self._buffer) < _LONGEST_LINE:
                is_gone = self._process.poll() is not None
                left = max(0.0, deadline - time.monotonic())
                if selector.select(0 if is_gone else min(left, _LIVENESS_S)):
                    chunk = os.read(self._events_fd, 65536)
                    if not chunk:
                        raise WorkerGoneError
                    self._buffer += chunk
                elif is_gone:
                    raise WorkerGoneError
                elif left == 0:
                    raise TimeoutError
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    def wait(self) -> int | None:
        """Return the exit code of a worker that is ending, or ``None`` when it does not end."""
        try:
            return self._process.wait(timeout=_GRACE_S)
        except subprocess.TimeoutExpired:
            return None

    def close(self) -> None:
        """End the worker and whatever it started. Call once."""
        assert self._process.stdin is not None
        try:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
            end_group(self._process.pid, grace_s=_GRACE_S)
            self.wait()
        finally:
            os.close(self._events_fd)


def worker_environment(config: EngineConfig, events_fd: int) -> dict[str, str]:
    """Return the worker's environment: the caller's without secrets, plus what its engine needs.

    Passive OpenMP waiting keeps a CPU engine's idle threads from starving the working ones.
    Nothing is fetched from the network while measuring.
    """
    environment = without_secrets(os.environ)
    environment |= {"AUTOTUNE_EVENTS_FD": str(events_fd), "PYTHONUNBUFFERED": "1"}
    environment.setdefault("HF_HUB_OFFLINE", "1")
    environment.setdefault("TOKENIZERS_PARALLELISM", "false")
    if config.is_on_cpu:
        environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    return environment


CIRCUMSTANCES = "circumstances"
_INFO = ("engine_version", "dtype", "weights", "vocab_size", "kv_cache_tokens", "settings")
_SHOWN = 200


class GarbledEventError(ValueError):
    """A line that no worker wrote."""


def parse_event(line: bytes) -> dict[str, Any]:
    """Return the event on a line.

    Raises:
        GarbledEventError: Quoting the line, when it is none.
    """
    try:
        event = json.loads(line.decode(), parse_constant=_refuse)
        _CHECKS[event["event"]](event)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise GarbledEventError(f"no event of a worker: {line[:_SHOWN]!r}") from error
    checked: dict[str, Any] = event
    return checked


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number in JSON")


def _check_started(event: Mapping[str, Any]) -> None:
    if set(event["info"]) != set(_INFO) or not isinstance(event["info"]["settings"], dict):
        raise ValueError("not an engine's account of itself")
    check_measures({"engine_start_s": event["engine_start_s"]})


def _check_pass(event: Mapping[str, Any]) -> None:
    if not isinstance(event["warmup"], bool):
        raise TypeError("a pass is a warm-up or not")
    check_measures({"output_throughput": event["output_throughput"]})


def _check_measured(event: Mapping[str, Any]) -> None:
    metrics = dict(event["metrics"])
    if not isinstance(metrics.pop(CIRCUMSTANCES, {}), dict):
        raise TypeError("circumstances are a mapping")
    if not metrics or set(metrics) - set(METRIC_FIELDS):
        raise InvalidRecordError("no such measures")
    check_measures(metrics)


def _check_failed(event: Mapping[str, Any]) -> None:
    if event["status"] not in STATUSES or not isinstance(event["message"], str):
        raise ValueError("not a failure")


_CHECKS = {
    "started": _check_started,
    "pass": _check_pass,
    "measured": _check_measured,
    "failed": _check_failed,
}
