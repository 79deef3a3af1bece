"""A Ray cluster of several nodes on this machine: real raylets, made-up GPU counts.

Each cluster has a folder, ports and a token of its own: whatever else runs here, or has left a
token in the home folder that Ray would take for this cluster's, changes nothing.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.support.guard import end_marked
from tests.support.ports import HOST, free_port
from tests.support.workspace import clean_environment

RAY = Path(sys.executable).with_name("ray")
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DISABLE_MEMORY_MONITOR": "1"}
_WITHIN_S = 300
_MARK = "AUTOTUNE_TEST_NODE"
# What every node listens on; left alone, some of these are the same for all clusters of a machine.
_PORTS = (
    "node-manager-port",
    "object-manager-port",
    "runtime-env-agent-port",
    "dashboard-agent-listen-port",
    "dashboard-agent-grpc-port",
    "metrics-export-port",
)


class Cluster:
    """Starts and kills nodes.

    Args:
        environment: What engines on its nodes find in theirs.
        folder: Where it keeps its sockets, so a short path, and what its processes print.

    Attributes:
        address: What `--fleet` is given.
        access: What a process that comes to it needs in its environment.
    """

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self.address = f"{HOST}:{free_port()}"
        self.access = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": uuid.uuid4().hex}
        self._environment = clean_environment() | _QUIET | self.access | environment
        self._folder = folder
        self._nodes: dict[str, tuple[str, subprocess.Popen[bytes]]] = {}

    def start(self) -> None:
        """Start the head, which has no GPU."""
        port = self.address.partition(":")[2]
        given = [f"--port={port}", f"--ray-client-server-port={free_port()}"]
        given += [f"--temp-dir={self._folder}", "--include-dashboard=false"]
        self._start("head", ["--head", *given])

    def add(self, name: str, *, n_gpus: int, resources: Mapping[str, float]) -> None:
        """Start a node that says it has these."""
        given = [f"--num-gpus={n_gpus}", f"--resources={json.dumps(dict(resources))}"]
        self._start(name, [f"--address={self.address}", *given])

    def kill(self, name: str) -> None:
        """Kill a node without a word, as when its power fails."""
        mark, process = self._nodes.pop(name)
        end_marked(_MARK, mark)
        process.wait()

    def close(self) -> None:
        """End every node."""
        for name in list(self._nodes):
            self.kill(name)

    def _start(self, name: str, arguments: list[str]) -> None:
        command = [str(RAY), "start", "--block", "--num-cpus=1"]
        command += ["--object-store-memory=80000000", "--disable-usage-stats"]
        command += [f"--{port}={free_port()}" for port in _PORTS]
        # Workers take what the system gives them.
        command += ["--min-worker-port=0", "--max-worker-port=0", *arguments]
        mark = uuid.uuid4().hex
        log = self._folder / f"{name}.log"
        with log.open("ab") as file:
            process = subprocess.Popen(
                command,
                env=self._environment | {_MARK: mark},
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        self._nodes[name] = (mark, process)
        # Two nodes that start at the same time on one machine get in each other's way.
        said = wait_for(len(self._nodes), self.address, self.access)
        assert said is None, f"{name}: {said}\n{log.read_text()}"


@contextmanager
def cluster(environment: Mapping[str, str]) -> Iterator[Cluster]:
    """Run a cluster with a head that has no GPU."""
    folder = Path(tempfile.mkdtemp(prefix="ray-"))
    running = Cluster(environment, folder)
    try:
        running.start()
        yield running
    finally:
        running.close()
        shutil.rmtree(folder, ignore_errors=True)


_COUNT = """
import sys, time
import ray

address, wanted, within_s = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
deadline = time.monotonic() + within_s
while True:
    try:
        if not ray.is_initialized():
            ray.init(address, log_to_driver=False)
        n = sum(node["Alive"] for node in ray.nodes())
    except (ConnectionError, RuntimeError, ValueError) as error:
        n = repr(error)
    if n == wanted:
        break
    if time.monotonic() > deadline:
        sys.exit(f"{n} nodes answer, not {wanted}")
    time.sleep(0.2)
"""


def wait_for(n_nodes: int, address: str, access: Mapping[str, str]) -> str | None:
    """Wait until so many nodes answer; say what happened if they never do."""
    done = subprocess.run(
        [sys.executable, "-c", _COUNT, address, str(n_nodes), str(_WITHIN_S)],
        env=clean_environment() | _QUIET | access,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    return None if done.returncode == 0 else done.stderr
