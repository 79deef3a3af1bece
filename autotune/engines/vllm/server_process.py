"""An HTTP server as a child process, bound to the loopback interface alone."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from autotune.errors import TrialError
from autotune.processes import members

HOST = "127.0.0.1"
_POLL_S, _ANSWER_S, _GRACE_S = 0.1, 5.0, 10.0
_KILLED_POLL_S = 0.01


class ServerProcess:
    """A server that may still be starting."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self._process = process
        self._port = port

    @property
    def base_url(self) -> str:
        """Where it listens."""
        return f"http://{HOST}:{self._port}"

    def wait_until_ready(self) -> None:
        """Wait until its ``/health`` answers; who started it sets the limit.

        Raises:
            TrialError: When it ends before.
        """
        while True:
            self.check_alive("load_failed")
            if self.get("/health") is not None:
                return
            time.sleep(_POLL_S)

    def check_alive(self, status: str) -> None:
        """Return if the process runs.

        Raises:
            TrialError: With ``status``, or as out of memory when nobody but the kernel can have
                killed it.
        """
        code = self._process.poll()
        if code is None:
            return
        if code == -signal.SIGKILL:
            raise TrialError(
                "out_of_memory", "the server was killed by the kernel (host memory ran out?)"
            )
        raise TrialError(
            status, f"the server ended with exit code {code}; its log has the root cause"
        )

    def get(self, path: str) -> str | None:
        """Return the body of an answer with status 200, or ``None`` where there is none."""
        connection = http.client.HTTPConnection(HOST, self._port, timeout=_ANSWER_S)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read().decode()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()
        return body if answer.status == http.client.OK else None


@contextmanager
def serving(command: Sequence[str], environment: Mapping[str, str]) -> Iterator[ServerProcess]:
    """Run a command that takes ``--host`` and ``--port``; end it and its children afterwards.

    Its output goes where the caller's goes. The caller's process group must be its own: whatever
    has joined it in the meantime is taken for the server's.
    """
    with _held_port() as port:
        group, before = os.getpgrp(), set(members(os.getpgrp()))
        process = subprocess.Popen(
            [*command, f"--host={HOST}", f"--port={port}"],
            stdin=subprocess.DEVNULL,
            env=dict(environment),
        )
        try:
            yield ServerProcess(process, port)
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=_GRACE_S)
            _kill(lambda: set(members(group)) - before)
            process.wait()


def _kill(left: Callable[[], set[int]]) -> None:
    """Kill what is left and wait until it is gone: a killed process takes a moment to end."""
    for pid in left():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + _GRACE_S
    while left() and time.monotonic() < deadline:
        time.sleep(_KILLED_POLL_S)


@contextmanager
def _held_port() -> Iterator[int]:
    """Yield a port that is the server's from before it starts until after it has ended.

    vLLM binds its socket before it loads the model and listens on it once it serves. It sets
    SO_REUSEADDR and nothing else, so it may bind a port that another such socket holds without
    listening, and the kernel gives a held port to nobody who asks for a free one. Had some other
    server been listening there, holding it would have failed.
    """
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind((HOST, 0))
        yield held.getsockname()[1]
