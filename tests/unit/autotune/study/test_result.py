"""Latency limits are held against means; what misses them is graded by how far."""

from pathlib import Path
from typing import Any

import pytest

from autotune.schema.workload import Slo, best_of, describe_limits, meets, score
from autotune.study.result import StudyResult
from tests.support.records import record

SLO = Slo(max_ttft_ms=100, max_tpot_ms=10)


@pytest.mark.parametrize(
    ("changes", "met"),
    [
        ({"mean_ttft_ms": 100.0, "mean_tpot_ms": 10.0}, True),
        ({"mean_ttft_ms": 100.1, "mean_tpot_ms": 1.0}, False),
        ({"mean_ttft_ms": 1.0, "mean_tpot_ms": 11.0}, False),
        ({"mean_ttft_ms": None, "mean_tpot_ms": 1.0}, False),
        ({"mean_ttft_ms": 1.0, "mean_tpot_ms": 1.0, "p99_ttft_ms": 500.0}, True),
        ({"status": "out_of_memory", "output_throughput": None}, False),
    ],
)
def test_the_means_decide(changes: dict[str, Any], met: bool) -> None:
    assert meets(record(**changes), SLO) is met


def test_without_limits_everything_that_completed_meets_them() -> None:
    assert meets(record(mean_ttft_ms=None, mean_tpot_ms=None), Slo())


def test_scores_put_failures_below_misses_below_slow_ones_that_meet() -> None:
    failed = record(status="crashed", output_throughput=None)
    unmeasured = record(mean_ttft_ms=None)
    far = record(mean_ttft_ms=900.0, output_throughput=9e9)
    near = record(mean_ttft_ms=101.0, mean_tpot_ms=10.5)
    slow = record(output_throughput=0.001)
    fast = record(output_throughput=2000.0)
    worths = [score(r, SLO) for r in (failed, unmeasured, far, near, slow, fast)]
    assert worths == sorted(worths)
    assert len(set(worths)) == len(worths)
    assert worths[3] < 0 < worths[4]


def test_the_best_is_the_fastest_within_the_limits() -> None:
    fast = record(batch_size=64, output_throughput=5000.0, mean_ttft_ms=500.0)
    slower = record(batch_size=8, output_throughput=1000.0)
    assert best_of([fast, slower], SLO) is slower
    assert best_of([fast, slower], Slo()) is fast
    assert best_of([fast], SLO) is None


def result(*records: Any, slo: Slo = SLO) -> StudyResult:
    return StudyResult(session_id="s", journal=Path("j"), records=records, remarks=("r",), slo=slo)


def test_a_summary_says_that_nothing_met_the_limits() -> None:
    text = result(record(mean_ttft_ms=500.0)).summary
    assert "none of 1 that ran met mean TTFT up to 100 ms, mean TPOT up to 10 ms" in text
    assert "best" not in text
    assert text.endswith("r")


def test_a_summary_compares_the_best_with_the_baselines() -> None:
    best = record(batch_size=64, output_throughput=2000.0)
    kept = record(batch_size=8, output_throughput=1000.0, purpose="baseline")
    slow = record(batch_size=128, mean_ttft_ms=700.0, purpose="baseline")
    lines = result(kept, best, slow).summary.splitlines()
    assert lines[1].startswith("best: vllm on 1 x H200, batch 64: 2000.0 tok/s, mean TTFT 61.2 ms")
    assert lines[2] == "baseline: vllm on 1 x H200, batch 8: 1000.0 tok/s (the best is +100.0%)"
    assert "batch 128" in lines[3]
    assert "mean TTFT 700.0 ms" in lines[3]
    assert "misses" in lines[3]


def test_a_summary_without_results_has_no_verdict() -> None:
    failed = record(status="crashed", output_throughput=None)
    assert result(failed, slo=Slo()).summary.splitlines()[1:] == ["r"]
    assert result(failed).summary.splitlines()[1:] == ["r"]


def test_limits_are_told_in_words() -> None:
    assert describe_limits(Slo(max_tpot_ms=12.5)) == "mean TPOT up to 12.5 ms"
