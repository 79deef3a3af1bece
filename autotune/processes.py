"""Ending process groups: a worker, its engine's own processes, and what a dead session leaves."""

import contextlib
import os
import select
import signal
import time
from pathlib import Path

_POLL_S = 0.02


def end_group(group: int, *, grace_s: float) -> None:
    """End every process of a group but the caller: ask, wait, then kill, and wait again.

    Returns when none is left, or when what was killed has not ended within ``grace_s`` either (a
    process may hang in a driver).
    """
    for number in (signal.SIGTERM, signal.SIGKILL):
        if not members(group):
            return
        for pid in members(group) if number == signal.SIGKILL else [-group]:
            _signal(pid, number)
        # A stopped process hears nothing but SIGKILL until it goes on.
        _signal(-group, signal.SIGCONT)
        deadline = time.monotonic() + grace_s
        while members(group) and time.monotonic() < deadline:
            time.sleep(_POLL_S)


def members(group: int) -> list[int]:
    """Return the processes of a group that still run, the caller left out."""
    if not Path("/proc/self/stat").exists():
        return [-group] if _signal(-group, 0) and os.getpgrp() != group else []
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            state, in_group = _state_and_group(entry)
            if in_group == group and state not in "ZX":
                found.append(int(entry.name))
    return found


def _state_and_group(entry: Path) -> tuple[str, int]:
    try:
        text = (entry / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "X", 0
    state, _, in_group = text.rpartition(")")[2].split()[:3]
    return state, int(in_group)


def _signal(pid: int, number: int) -> bool:
    """Send a signal; whether there was someone to send it to."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)
        return True
    return False


def guard_group(*, lifeline: int, close: tuple[int, ...], grace_s: float) -> None:
    """Fork a guard that ends the caller's process group once nobody holds the lifeline.

    The lifeline is the reading end of a pipe whose writing end only the session has: however the
    session ends, SIGKILL included, the guard notices. It keeps no descriptor of ``close`` open.
    """
    if os.fork() != 0:
        return
    try:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        for descriptor in close:
            os.close(descriptor)
        waiting = select.poll()
        waiting.register(lifeline, 0)
        waiting.poll()
        end_group(os.getpgrp(), grace_s=grace_s)
    finally:
        os._exit(0)
