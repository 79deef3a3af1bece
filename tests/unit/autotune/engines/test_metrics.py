"""Metrics follow their definitions; statistics agree with numpy, scipy and the standard library."""

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.engines.metrics import Pass, RequestTiming, percentile, relative_ci95, summarize

positive = st.floats(min_value=1e-3, max_value=1e6)


@given(st.lists(positive, min_size=1, max_size=50), st.floats(min_value=0, max_value=100))
def test_percentile_is_numpys(values: list[float], q: float) -> None:
    assert percentile(values, q) == pytest.approx(np.percentile(values, q), rel=1e-9)


@given(st.lists(positive, min_size=2, max_size=80))
def test_ci95_is_students_interval_relative_to_the_mean(values: list[float]) -> None:
    scipy = pytest.importorskip("scipy.stats")
    n = len(values)
    t = scipy.t.ppf(0.975, n - 1)
    expected = t * np.std(values, ddof=1) / math.sqrt(n) / np.mean(values)
    assert relative_ci95(values) == pytest.approx(expected, rel=2e-3, abs=1e-12)


@pytest.mark.parametrize("values", [[], [3.0]])
def test_fewer_than_two_values_have_no_interval(values: list[float]) -> None:
    assert relative_ci95(values) is None


def test_equal_values_have_an_interval_of_zero() -> None:
    assert relative_ci95([2.0, 2.0, 2.0]) == 0.0


timings = st.builds(
    lambda ttft, rest, n: RequestTiming(ttft_ms=ttft, e2el_ms=ttft + rest, n_output=n),
    positive,
    positive,
    st.integers(1, 200),
)
passes = st.builds(
    lambda duration, requests: Pass(
        duration_s=duration,
        n_requests=len(requests),
        input_tokens=10 * len(requests),
        output_tokens=sum(r.n_output for r in requests),
        requests=tuple(requests),
    ),
    positive,
    st.lists(timings, min_size=1, max_size=5),
)


@given(st.lists(passes, min_size=1, max_size=5))
def test_a_summary_follows_the_definitions(runs: list[Pass]) -> None:
    row = summarize(runs)
    output = [p.output_tokens / p.duration_s for p in runs]
    assert row["output_throughput"] == pytest.approx(statistics.fmean(output))
    total = [(p.input_tokens + p.output_tokens) / p.duration_s for p in runs]
    assert row["total_throughput"] == pytest.approx(statistics.fmean(total))
    assert row["repeats"] == len(runs)
    assert row["measure_s"] == pytest.approx(sum(p.duration_s for p in runs))
    requests = [r for p in runs for r in p.requests]
    assert row["median_ttft_ms"] == pytest.approx(np.median([r.ttft_ms for r in requests]))
    assert row["p99_e2el_ms"] == pytest.approx(np.percentile([r.e2el_ms for r in requests], 99))
    tpot = [(r.e2el_ms - r.ttft_ms) / (r.n_output - 1) for r in requests if r.n_output > 1]
    assert row.get("mean_tpot_ms") == (pytest.approx(statistics.fmean(tpot)) if tpot else None)


def test_what_was_not_measured_is_left_out() -> None:
    row = summarize([Pass(duration_s=1.0, n_requests=1, input_tokens=4, output_tokens=1)])
    assert row["throughput_ci95"] is None
    assert not any(name.endswith("_ms") for name in row)


@pytest.mark.parametrize(
    "runs", [[], [Pass(duration_s=1.0, n_requests=1, input_tokens=4, output_tokens=0)]]
)
def test_nothing_generated_is_never_a_throughput_of_zero(runs: list[Pass]) -> None:
    with pytest.raises(ValueError, match="no throughput"):
        summarize(runs)
