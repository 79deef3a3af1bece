"""A result of vLLM 0.32's benchmark client, read as a pass: eight requests, three in flight."""

import json
import statistics
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from autotune.engines.base import Load
from autotune.engines.metrics import Pass, percentile, summarize
from autotune.engines.vllm.load_client import read_result
from autotune.errors import TrialError
from tests.support import FIXTURES

FIXTURE = FIXTURES / "vllm_bench_serve.json"
INPUT_LENS = [24, 17, 30, 24, 24, 40, 24, 9]
OUTPUT_LENS = [8, 1, 12, 5, 9, 10, 7, 6]
LOAD = Load(prompts=[[7] * n for n in INPUT_LENS], output_lens=OUTPUT_LENS, in_flight=3)
STATISTICS: dict[str, Callable[[Sequence[float]], float]] = {
    "mean": statistics.fmean,
    "median": statistics.median,
    "p99": lambda values: percentile(values, 99),
}


@pytest.fixture
def result() -> dict[str, Any]:
    """The result, for a test to alter."""
    content: dict[str, Any] = json.loads(FIXTURE.read_text(encoding="utf-8"))
    return content


def fail(result: dict[str, Any], *indices: int, error: str) -> None:
    """Write failed requests into a result as the client writes them."""
    for index in indices:
        for name, nothing in (("output_lens", 0), ("ttfts", 0.0), ("itls", []), ("latencies", 0.0)):
            result[name][index] = nothing
        result["errors"][index] = error
    result["completed"] -= len(indices)
    result["failed"] += len(indices)


def test_the_pass_is_what_was_asked(result: dict[str, Any]) -> None:
    read = read_result(result, LOAD)
    assert isinstance(read, Pass)
    assert (read.n_requests, read.input_tokens, read.output_tokens) == (8, 192, 58)
    assert read.duration_s == result["duration"]
    assert [request.n_output for request in read.requests] == OUTPUT_LENS
    for request in read.requests:
        assert 0 < request.ttft_ms <= request.e2el_ms < read.duration_s * 1e3
        assert len(request.itl_ms) <= request.n_output - 1
        assert sum(request.itl_ms) == pytest.approx(request.e2el_ms - request.ttft_ms)


@pytest.mark.parametrize("statistic", STATISTICS)
@pytest.mark.parametrize("metric", ["ttft", "tpot", "e2el"])
def test_latencies_agree_with_the_client(
    result: dict[str, Any], metric: str, statistic: str
) -> None:
    row = summarize([read_result(result, LOAD)])
    name = f"{statistic}_{metric}_ms"
    assert row[name] == pytest.approx(result[name], rel=1e-6)


@pytest.mark.parametrize("statistic", STATISTICS)
def test_gaps_between_chunks_agree_with_the_client(result: dict[str, Any], statistic: str) -> None:
    gaps = [gap for request in read_result(result, LOAD).requests for gap in request.itl_ms]
    expected = pytest.approx(result[f"{statistic}_itl_ms"], rel=1e-6)
    assert STATISTICS[statistic](gaps) == expected


def test_throughputs_agree_with_the_client(result: dict[str, Any]) -> None:
    row = summarize([read_result(result, LOAD)])
    for ours, theirs in (
        ("output_throughput", "output_throughput"),
        ("request_throughput", "request_throughput"),
        ("total_throughput", "total_token_throughput"),
    ):
        assert row[ours] == pytest.approx(result[theirs], rel=1e-6)


def test_a_client_that_lists_no_latencies_is_read_alike(result: dict[str, Any]) -> None:
    with_latencies = read_result(result, LOAD)
    del result["latencies"]
    sums = [request.e2el_ms for request in read_result(result, LOAD).requests]
    listed = [request.e2el_ms for request in with_latencies.requests]
    assert sums == pytest.approx(listed, rel=1e-6)


def test_a_failed_request_fails_the_pass_with_its_reason(result: dict[str, Any]) -> None:
    fail(result, 2, 5, error="Traceback (most recent call last):\nOSError: connection reset\n")
    with pytest.raises(TrialError, match="2 of 8 requests failed: OSError: connection reset") as e:
        read_result(result, LOAD)
    assert e.value.status == "crashed"
    assert "root cause" in str(e.value)


def test_a_pass_without_a_completed_request_is_no_measurement(result: dict[str, Any]) -> None:
    fail(result, *range(8), error="")
    with pytest.raises(TrialError, match="8 of 8 requests failed: no reason given"):
        read_result(result, LOAD)


@pytest.mark.parametrize(
    ("name", "says"), [("output_lens", "3 generated tokens"), ("input_lens", "3 prompt tokens")]
)
def test_other_lengths_than_asked_are_no_measurement(
    result: dict[str, Any], name: str, says: str
) -> None:
    result[name][4] = 3
    with pytest.raises(TrialError, match=f"1 of 8 requests failed: {says} instead of"):
        read_result(result, LOAD)
