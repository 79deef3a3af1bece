"""A Ray cluster of several nodes on this machine: real raylets, made-up GPU counts."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.support.servers import free_port

RAY = Path(sys.executable).with_name("ray")
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DISABLE_MEMORY_MONITOR": "1"}


class Cluster:
    """Starts and kills nodes.

    Args:
        environment: What engines on its nodes find in theirs.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        self._environment = os.environ | _QUIET | environment
        self._nodes: dict[str, subprocess.Popen[bytes]] = {}
        port = self.address.partition(":")[2]
        self._start("head", ["--head", f"--port={port}", "--include-dashboard=false"])

    def add(self, name: str, *, n_gpus: int, resources: Mapping[str, float]) -> None:
        """Start a node that says it has these."""
        given = [f"--num-gpus={n_gpus}", f"--resources={json.dumps(dict(resources))}"]
        self._start(name, [f"--address={self.address}", *given])

    def kill(self, name: str) -> None:
        """Kill a node without a word, as when its power fails."""
        process = self._nodes.pop(name)
        for pid in family(process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()

    def close(self) -> None:
        """End every node."""
        for name in list(self._nodes):
            self.kill(name)

    def _start(self, name: str, arguments: list[str]) -> None:
        command = [str(RAY), "start", "--block", "--num-cpus=1"]
        command += ["--object-store-memory=80000000", "--disable-usage-stats", *arguments]
        self._nodes[name] = subprocess.Popen(
            command,
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        # Two nodes that start at the same time on one machine get in each other's way.
        wait_for(len(self._nodes), self.address)


def family(pid: int) -> list[int]:
    """A process and all that it started."""
    found = [pid]
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += family(int(child))
    return found


@contextmanager
def cluster(environment: Mapping[str, str]) -> Iterator[Cluster]:
    """Run a cluster with a head that has no GPU."""
    running = Cluster(environment)
    try:
        yield running
    finally:
        running.close()


def wait_for(n_nodes: int, address: str, *, within_s: float = 90) -> None:
    """Wait until so many nodes answer."""
    deadline = time.monotonic() + within_s
    script = (
        f"import ray; ray.init({address!r}, log_to_driver=False); "
        "print(sum(node['Alive'] for node in ray.nodes()))"
    )
    while True:
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=False
        )
        if done.stdout.strip() == str(n_nodes):
            return
        assert time.monotonic() < deadline, done.stderr
        time.sleep(0.5)
