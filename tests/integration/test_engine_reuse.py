"""One engine start may stand for many: a reused engine is as fast as a fresh one of the size asked.

The two engines live side by side and take turns, so that whatever else the machine does meets both;
the order within a pair alternates. Pairs are added until their spread is small or the time is up:
the spread alone decides when to stop, never the result. On a machine so busy that the spread never
gets small, a median outside the tolerance proves nothing either way; the test then says so.
"""

import os
import statistics
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from autotune.engines.knobs import engine_version
from autotune.processes import members
from autotune.runner.session import EngineSession
from autotune.schema.engine_config import EngineConfig
from autotune.schema.workload import MeasurePolicy, Workload

pytestmark = [
    pytest.mark.alone,
    pytest.mark.engine,
    pytest.mark.slow,
    pytest.mark.skipif(engine_version("vllm") is None, reason="vLLM is not installed"),
]
BATCH_SIZE = 4
TOLERANCE = 0.05
# A third of a second to a second a pass, by machine.
WORKLOAD = Workload(input_len=32, output_len=128)
# A warm-up and two passes a turn; once both engines are warm, they count alike.
TURN = MeasurePolicy(min_repeats=2, max_repeats=2)
MIN_PAIRS, LIMIT_S = 9, 60.0


@contextmanager
def opened(model: Path, cpu: str, log: Path) -> Iterator[EngineSession]:
    config = EngineConfig(engine="vllm", model=str(model), gpu=cpu, knobs={"enforce_eager": True})
    with EngineSession(config, log_path=log) as session:
        pid = session.pid
        yield session
    assert not members(pid)


def start(session: EngineSession, max_batch_size: int) -> None:
    session.start(max_batch_size=max_batch_size, max_model_len=160)


def throughput(session: EngineSession) -> float:
    """Return the mean of one turn's passes in tokens per second."""
    events: list[Mapping[str, Any]] = []
    row = session.measure(
        batch_size=BATCH_SIZE, workload=WORKLOAD, policy=TURN, on_pass=events.append
    )
    assert row["measure_s"] >= 0.5, "passes too short to compare"
    return statistics.fmean(event["output_throughput"] for event in events)


def median_interval(ratios: list[float]) -> tuple[float, float]:
    """Return the 95 % interval of the median by ranks."""
    n, ordered = len(ratios), sorted(ratios)
    reach = round(0.98 * n**0.5)
    return ordered[max(0, n // 2 - reach)], ordered[min(n - 1, n // 2 + reach)]


def is_settled(ratios: list[float]) -> bool:
    """Whether the median is known to within the tolerance."""
    if len(ratios) < MIN_PAIRS:
        return False
    low, high = median_interval(ratios)
    return high - low <= TOLERANCE


def compare(reused: EngineSession, fresh: EngineSession) -> list[float]:
    """Let the engines take turns; return the ratios of their throughputs."""
    ratios: list[float] = []
    deadline = time.monotonic() + LIMIT_S
    while not is_settled(ratios) and time.monotonic() < deadline:
        order = (reused, fresh) if len(ratios) % 2 else (fresh, reused)
        speed = {session: throughput(session) for session in order}
        ratios.append(speed[reused] / speed[fresh])
    return ratios


def test_a_reused_engine_is_as_fast_as_a_fresh_one(
    demo_model: Path, cpu: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Left alone, the engines bind themselves to different cores, and cores are not equally busy.
    monkeypatch.setenv("VLLM_CPU_OMP_THREADS_BIND", str(min(os.sched_getaffinity(0))))
    with (
        opened(demo_model, cpu, tmp_path / "reused.log") as reused,
        opened(demo_model, cpu, tmp_path / "fresh.log") as fresh,
        ThreadPoolExecutor() as pool,
    ):
        list(pool.map(start, (reused, fresh), (16, BATCH_SIZE)))
        assert reused.started is not None
        assert reused.started.settings["engine_reuse"].startswith("max_num_")
        for batch_size in (16, 8, 2, 1, BATCH_SIZE):
            reused.measure(batch_size=batch_size, workload=WORKLOAD, policy=TURN)
        throughput(fresh)
        ratios = compare(reused, fresh)
    median = statistics.median(ratios)
    if not is_settled(ratios) and abs(median - 1) > TOLERANCE:
        low, high = median_interval(ratios)
        pytest.skip(
            f"too busy a machine: median ratio {median:.3f}, 95 % interval {low:.3f} to {high:.3f}"
        )
    assert median == pytest.approx(1, abs=TOLERANCE), sorted(ratios)
