"""Ends what tests have started, whatever became of the tests: failed, interrupted or killed.

Every process of a test run finds the run's mark in its environment and hands it on. A guard waits
for the end of the run, which it hears of by a pipe that only the run holds open, and then ends
whoever still bears the mark.

    python guard.py MARK
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

MARK = "AUTOTUNE_TEST_RUN"
_LONGEST_S = 10.0


class Guard:
    """The guard of this process's tests.

    Args:
        mark: What tells this run's processes from others'.
    """

    def __init__(self, mark: str) -> None:
        os.environ[MARK] = mark
        self._process = subprocess.Popen(
            [sys.executable, __file__, mark],
            stdin=subprocess.PIPE,
            env={k: v for k, v in os.environ.items() if k != MARK},
            start_new_session=True,
        )

    def close(self) -> None:
        """End what is left; returns when it is gone."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def marked(name: str, value: str) -> set[int]:
    """The processes that have a variable in the environment they were started with."""
    wanted = f"{name}={value}".encode()
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                found.add(int(entry.name))
    return found


def end_marked(name: str, value: str) -> None:
    """Kill the processes that are so marked, the caller left out, until there is none."""
    deadline = time.monotonic() + _LONGEST_S
    while (left := marked(name, value) - {os.getpid()}) and time.monotonic() < deadline:
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def _main(mark: str) -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.read()
    end_marked(MARK, mark)


if __name__ == "__main__":
    _main(sys.argv[1])
