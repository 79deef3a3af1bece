"""The worker, or the whole study, killed at random moments."""

import contextlib
import os
import random
import signal
import time
from pathlib import Path

import pytest

from tests.support.lightly import N_TRIALS, Bench, assert_nothing_lost_or_doubled

SEEDS = range(50)


def children(pid: int) -> list[int]:
    """The processes that one has started and that still run."""
    found: list[int] = []
    for task in Path("/proc").glob(f"{pid}/task/*"):
        with contextlib.suppress(OSError):  # A thread may end between being listed and read.
            found += map(int, (task / "children").read_text().split())
    return found


def wait_for_children(pid: int, *, timeout: float = 300) -> list[int]:
    """The processes that one has started, once there is one."""
    deadline = time.monotonic() + timeout
    while not (found := children(pid)) and time.monotonic() < deadline:
        time.sleep(0.001)
    return found


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_killed_at_a_random_moment_loses_and_doubles_nothing(
    seed: int, tmp_path: Path
) -> None:
    moments = random.Random(seed)
    bench = Bench(tmp_path).prepare()
    n_lines = moments.randrange(2, 10)
    with bench.start(LIGHT_ENGINE_PASS_S="0.02") as process:
        assert process.stderr is not None
        # Two lines come before the worker and its first result, and five results after the last
        # strike: on a busy machine too there is something left to strike at.
        for _ in range(n_lines):
            process.stderr.readline()
        time.sleep(moments.uniform(0, 0.01))
        is_worker = seed % 2 == 0
        victims = wait_for_children(process.pid) if is_worker else [process.pid]
        for victim in victims:
            kill(victim)
        process.communicate(timeout=300)
    before = bench.records()
    assert victims
    assert process.returncode == (0 if is_worker else -signal.SIGKILL)
    assert is_worker or len(before) < N_TRIALS
    ended = bench.run_here()
    assert ended.code == 0
    after = bench.records()
    assert after[: len(before)] == before
    assert_nothing_lost_or_doubled(after)
    # One crash is tried again, and this one does not come twice.
    assert {record.status for record in after} == {"completed"}
    assert len({record.session_id for record in after}) == 1


def test_a_study_killed_again_and_again_loses_and_doubles_nothing(tmp_path: Path) -> None:
    moments = random.Random()
    bench = Bench(tmp_path).prepare()
    known: list[str] = []
    for _ in range(2):
        with bench.start(LIGHT_ENGINE_PASS_S="0.02") as process:
            assert process.stderr is not None
            for _ in range(moments.randrange(2, 8)):
                process.stderr.readline()
            kill(process.pid)
            process.communicate(timeout=300)
        ids = [record.record_id for record in bench.records()]
        assert ids[: len(known)] == known
        known = ids
    assert len(known) < N_TRIALS
    ended = bench.run_here()
    assert ended.code == 0
    records = bench.records()
    assert [record.record_id for record in records][: len(known)] == known
    assert_nothing_lost_or_doubled(records)
    assert {record.status for record in records} == {"completed"}
    assert len({record.session_id for record in records}) == 1
