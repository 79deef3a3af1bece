"""Real servers on the loopback interface: MLflow's, PostgreSQL, and a proxy that misbehaves."""

import contextlib
import http.client
import os
import random
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from autotune.processes import end_group
from tests.support.ports import HOST, free_port
from tests.support.workspace import AUTOTUNE, clean_environment

_START_S = 300.0


class MlflowServer:
    """MLflow's own tracking server, which can be killed and started again on the same port.

    Args:
        backend: Where it keeps runs.
        folder: Where it keeps artifacts and its log.
    """

    def __init__(self, backend: str, folder: Path) -> None:
        self.port = free_port()
        self.uri = f"http://{HOST}:{self.port}"
        self._backend = backend
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        artifacts = self._folder / "served-artifacts"
        command = [sys.executable, "-m", "mlflow", "server", "--host", HOST, "--workers", "2"]
        # What nothing here asks for: a queue of jobs, two processes more at every start.
        environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        command += ["--port", str(self.port), "--backend-store-uri", self._backend]
        command += ["--artifacts-destination", artifacts.as_uri(), "--serve-artifacts"]
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                env=environment,
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_S
        while not _answers(f"{self.uri}/health"):
            assert self._process.poll() is None, (self._folder / "server.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def kill(self) -> None:
        """End it at once, with its workers."""
        process, self._process = self._process, None
        if process is not None:
            end_group(process.pid, grace_s=0)
            process.wait()


@contextmanager
def mlflow_server(backend: str, folder: Path) -> Iterator[MlflowServer]:
    """Run MLflow's server meanwhile."""
    server = MlflowServer(backend, folder)
    try:
        server.start()
        yield server
    finally:
        server.kill()


@contextmanager
def autotune_ui(folder: Path, log: Path) -> Iterator[str]:
    """Run ``autotune ui`` on a folder's store meanwhile; what it printed until it answered."""
    port = free_port()
    with log.open("w") as file:
        server = subprocess.Popen(
            [str(AUTOTUNE), "ui", "--port", str(port)],
            cwd=folder,
            env=clean_environment(),
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + _START_S
        while not _answers(f"http://{HOST}:{port}/"):
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, f"nothing answers at port {port}"
            time.sleep(0.2)
        yield log.read_text()
    finally:
        server.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(timeout=60)
        end_group(server.pid, grace_s=5)
        server.wait()


def _answers(url: str) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):
        return True
    return False


class Proxy(ThreadingHTTPServer):
    """Stands before a server and passes requests on, or misbehaves.

    Attributes:
        mode: ``forward``; ``refuse`` answers 500; ``hang`` never answers; ``lose`` passes a request
            on and, one time in four, keeps the answer.
        n_passed_on: Requests that reached the server.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, server: MlflowServer) -> None:
        super().__init__((HOST, 0), _Passing)
        self.target = server.port
        self.mode = "forward"
        self.n_passed_on = 0
        self.let_go = threading.Event()
        self.chance = random.Random(0)

    @property
    def uri(self) -> str:
        return f"http://{HOST}:{self.server_address[1]}"


class _Passing(BaseHTTPRequestHandler):
    server: Proxy
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.server.mode == "hang":
            self.server.let_go.wait()
            self.close_connection = True
            return
        if self.server.mode == "refuse":
            self._answer(500, b"{}", "application/json")
            return
        upstream = http.client.HTTPConnection(HOST, self.server.target, timeout=60)
        with contextlib.closing(upstream):
            kept = {k: v for k, v in self.headers.items() if k.lower() != "host"}
            try:
                upstream.request(self.command, self.path, body, kept)
                answer = upstream.getresponse()
                content = answer.read()
            except OSError:
                self._answer(502, b"{}", "application/json")
                return
        self.server.n_passed_on += 1
        if self.server.mode == "lose" and self.server.chance.random() < 0.25:
            self.close_connection = True
            return
        kind = answer.headers.get("Content-Type", "application/json")
        self._answer(answer.status, content, kind)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _serve  # noqa: N815

    def _answer(self, status: int, content: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Nobody reads it."""


@contextmanager
def proxy(server: MlflowServer) -> Iterator[Proxy]:
    """Run a proxy before a server meanwhile."""
    with Proxy(server) as standing:
        thread = threading.Thread(target=standing.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield standing
        finally:
            standing.let_go.set()
            standing.shutdown()
            thread.join()


@contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """Run a PostgreSQL of its own meanwhile; the URI of an empty database, or a skipped test."""
    programs = _postgresql_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    data, port = folder / "postgresql", free_port()
    as_user: list[str] = []
    if os.geteuid() == 0:
        # The server refuses to be root; its own user may have to pass through our folders.
        data = Path("/var/lib/postgresql") / f"autotune-{os.getpid()}-{port}"
        as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    initdb = [*as_user, str(programs / "initdb"), "-D", str(data), "-U", "autotune", "-A", "trust"]
    server: subprocess.Popen[bytes] | None = None
    try:
        subprocess.run([*initdb, "--no-sync"], check=True, capture_output=True, cwd="/")
        options = ["-p", str(port), "-c", f"listen_addresses={HOST}", "-c", "fsync=off"]
        options += ["-c", f"unix_socket_directories={data}"]
        server = subprocess.Popen(
            [*as_user, str(programs / "postgres"), "-D", str(data), *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )
        _wait_for(programs / "pg_isready", port, server)
        yield f"postgresql://autotune@{HOST}:{port}/postgres"
    finally:
        if server is not None:
            end_group(server.pid, grace_s=5)
            server.wait()
        shutil.rmtree(data, ignore_errors=True)


def _postgresql_programs() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    if found:
        return found[-1].parent
    return None if on_path is None else Path(on_path).resolve().parent


def _wait_for(ready: Path, port: int, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + _START_S
    while subprocess.run([ready, "-h", HOST, "-p", str(port)], capture_output=True).returncode:
        assert server.poll() is None, "PostgreSQL did not start"
        assert time.monotonic() < deadline
        time.sleep(0.1)
