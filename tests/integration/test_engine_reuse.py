"""One engine start may stand for many: a reused engine is as fast as a fresh one of the size asked.

The two engines live side by side and take turns, so that whatever else the machine does meets both;
the order within a pair alternates. Pairs are added until their spread is small or the limit is
reached: the spread alone decides when to stop, never the result.
"""

import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from autotune.engines.knobs import engine_version
from autotune.processes import members
from autotune.session import EngineSession
from autotune.spec import EngineConfig, MeasurePolicy, Workload

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(engine_version("vllm") is None, reason="vLLM is not installed"),
]
BATCH_SIZE = 4
TOLERANCE = 0.05
# About a second a pass.
WORKLOAD = Workload(input_len=32, output_len=128)
TWICE = MeasurePolicy(min_repeats=2, max_repeats=2)
MIN_PAIRS, MAX_PAIRS = 7, 25


@contextmanager
def started(model: Path, cpu: str, max_batch_size: int, log: Path) -> Iterator[EngineSession]:
    config = EngineConfig(engine="vllm", model=str(model), gpu=cpu, knobs={"enforce_eager": True})
    with EngineSession(config, log_path=log) as session:
        session.start(max_batch_size=max_batch_size, max_model_len=160)
        pid = session.pid
        yield session
    assert not members(pid)


def throughput(session: EngineSession) -> float:
    row = session.measure(batch_size=BATCH_SIZE, workload=WORKLOAD, policy=TWICE)
    assert row["measure_s"] / row["repeats"] >= 0.5, "passes too short to compare"
    return float(row["output_throughput"])


def is_settled(ratios: list[float]) -> bool:
    """Whether the median's 95 % interval (by ranks) is narrower than the tolerance."""
    n = len(ratios)
    if n < MIN_PAIRS:
        return False
    ordered = sorted(ratios)
    reach = round(0.98 * n**0.5)
    low, high = max(0, n // 2 - reach), min(n - 1, n // 2 + reach)
    return ordered[high] - ordered[low] <= TOLERANCE


def test_a_reused_engine_is_as_fast_as_a_fresh_one(
    demo_model: Path, cpu: str, tmp_path: Path
) -> None:
    with (
        started(demo_model, cpu, 16, tmp_path / "reused.log") as reused,
        started(demo_model, cpu, BATCH_SIZE, tmp_path / "fresh.log") as fresh,
    ):
        assert reused.started is not None
        assert reused.started.settings["engine_reuse"].startswith("max_num_")
        for batch_size in (1, 2, 4, 8, 16):
            policy = MeasurePolicy(min_repeats=1, max_repeats=1)
            reused.measure(batch_size=batch_size, workload=WORKLOAD, policy=policy)
        ratios: list[float] = []
        while not is_settled(ratios) and len(ratios) < MAX_PAIRS:
            order = (reused, fresh) if len(ratios) % 2 else (fresh, reused)
            speed = {session: throughput(session) for session in order}
            ratios.append(speed[reused] / speed[fresh])
    median = statistics.median(ratios)
    assert median == pytest.approx(1, abs=TOLERANCE), sorted(ratios)
